"""Bodies to start from, in the schema and on the browsable pages. Made up; ids are replaced by the reader's own."""

from __future__ import annotations

from typing import Any, Final

_ID: Final = "20220413165737132-3BA0-91FCA2CB7"

USER: Final[dict[str, Any]] = {
    "user_name": "zhangsan",
    "password": "Quiet-Harbour-41",
    "name": "Zhang San",
    "mobile": "12345678901",
    "email": "zhangsan@example.com",
    "pwd_must_modify": False,
    "attr_gender": "unknown",
    "attr_birthday": "1990-02-01",
}
USER_CHANGES: Final[dict[str, Any]] = {"name": "Zhang San", "attr_city": "Shanghai"}
PASSWORD: Final[dict[str, Any]] = {"password": "Quiet-Harbour-42", "pwd_must_modify": False}
PASSWORD_WITH_OLD: Final[dict[str, Any]] = {"old_password": "Quiet-Harbour-42", "password": "Quiet-Harbour-43"}
USER_NAME: Final[dict[str, Any]] = {"user_name": "zhangsan"}
AUTHORIZE: Final[dict[str, Any]] = {"account_name": "Test01"}
ORGANIZATION: Final[dict[str, Any]] = {
    "code": "1000001",
    "name": "Development",
    "parent_id": "",
    "category": "department",
}
ORGANIZATION_CHANGES: Final[dict[str, Any]] = {"name": "Research", "parent_id": ""}
APP_ORGANIZATION: Final[dict[str, Any]] = {"org_code": "10000", "name": "Headquarters", "parent_id": ""}
APP_ORGANIZATION_CHANGES: Final[dict[str, Any]] = {"name": "Branch"}
ACCOUNT: Final[dict[str, Any]] = {"user_id": _ID, "account_name": "zhangsan", "name": "zs", "disabled": False}
UNOWNED_ACCOUNT: Final[dict[str, Any]] = {"account_name": "reception", "name": "Reception desk"}
ACCOUNT_CHANGES: Final[dict[str, Any]] = {"account_name": "Test02", "disabled": False}
ROLE: Final[dict[str, Any]] = {"code": "admin1", "name": "Administrator"}
ROLE_CHANGES: Final[dict[str, Any]] = {"name": "Auditor"}
ROLE_MEMBERS: Final[dict[str, Any]] = {"role_id": _ID, "account_Ids": [_ID]}
PAGE: Final[dict[str, Any]] = {"offset": "0", "limit": "10"}
