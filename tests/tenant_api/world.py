"""A tenant with one of everything that the tenant API names, and a client that may call it.

Every operation of the contract has one good request here; a test changes one thing of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.test import Client as HttpClient

from identity.models import Tenant, User
from oidc_provider.clients import tenant_rights
from oidc_provider.models import Client
from tests.factories import (
    make_account,
    make_app_organization,
    make_application,
    make_attribute,
    make_membership,
    make_organization,
    make_role,
    make_tenant,
    make_user,
)
from tests.factories.keys import make_keys
from tests.factories.oidc import CLIENT_SECRET, make_client

PASSWORD = "Quiet-Harbour-41"
OLD_PASSWORD = "Silent-Bridge-58"
NEW_PASSWORD = "Amber-Meadow-77"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json;charset=utf8"  # spelled as in the document
ALL_RIGHTS = tuple(tenant_rights.RIGHTS)


@dataclass
class Call:
    """One request: what stands in the path, the query, the body."""

    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] | None = None
    body: Any = None


class World:
    """The rows, and the HTTP client of the integrator."""

    def __init__(self, *, rights: tuple[str, ...] = ALL_RIGHTS, **tenant: Any) -> None:
        self.tenant: Tenant = make_tenant(**tenant)
        make_keys(self.tenant)
        self.host = self.tenant.domains.get().host
        self.http = HttpClient(HTTP_HOST=self.host)
        self.rights = rights
        self.root = make_organization(self.tenant, code="10000", name="HQ")
        self.child = make_organization(parent=self.root, code="TestOrg1", name="Development")
        self.second = make_organization(self.tenant, code="TestOrg2", name="Second")
        self.empty = make_organization(self.tenant, code="empty", name="Empty")
        self.user: User = make_user(
            self.tenant,
            user_name="zhangsan",
            name="Zhang",
            password=OLD_PASSWORD,
            mobile="12345678901",
            email="zhangsan@example.com",
            employee_id="E1",
            identity_number="ID1",
            extension={"age": "18", "badge": "B1"},
        )
        make_membership(self.user, self.root)
        make_membership(self.user, self.second, is_primary=False)
        self.other: User = make_user(
            self.tenant, user_name="lisi", mobile="12345678902", email="lisi@example.com", employee_id="E2"
        )
        self.application = make_application(self.tenant, access="assigned")
        self.app_root = make_app_organization(self.application, code="10000", name="HQ")
        self.app_child = make_app_organization(parent=self.app_root, code="10001", name="Branch")
        self.app_empty = make_app_organization(self.application, code="10002", name="Empty")
        self.account = make_account(self.user, self.application, organization=self.app_root, extension={"age": "18"})
        self.role = make_role(self.application, self.account, code="admin", name="Administrator")
        self.free_role = make_role(self.application, code="free", name="Free")
        self.attribute("age")
        self.attribute("age", application=self.application, target="account")

    def attribute(self, name: str, **values: Any) -> None:
        """Define an attribute of this tenant."""
        make_attribute(self.tenant, name, **values)

    @cached_property
    def client(self) -> Client:
        client = make_client(
            make_application(self.tenant, code="hr"),
            client_id=f"hr-{self.tenant.pk}",
            grant_types=["client_credentials"],
            response_types=[],
            scopes=[],
        )
        client.api_scopes.set(tenant_rights.chosen(self.tenant, self.rights))
        return client

    def ask_for_token(self, headers: dict[str, str] | None = None, **changes: str) -> Any:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client.client_id,
            "client_secret": CLIENT_SECRET,
            **changes,
        }
        body = urlencode({name: value for name, value in form.items() if value})
        return self.http.generic("POST", "/api/v2/tenant/token", body, content_type=FORM, **(headers or {}))

    @cached_property
    def token(self) -> str:
        answer = self.ask_for_token()
        assert answer.status_code == 200, answer.content
        token: str = answer.json()["access_token"]
        return token

    def send(self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: Any) -> Any:
        """A request as it is. token: None is the world's own, "" sends none. body: an object, or what is sent."""
        found = self.token if token is None else token
        if found:
            headers.setdefault("HTTP_AUTHORIZATION", f"Bearer {found}")
        data = body if isinstance(body, str | bytes) else b"" if body is None else json.dumps(body)
        content_type = headers.pop("content_type", JSON)
        return self.http.generic(method, path, data, content_type=content_type, **headers)

    def call(self, operation: str, call: Call | None = None, **headers: Any) -> Any:
        """The operation with its good request, or with another one."""
        method, template = OPERATIONS[operation]
        call = call or self.good(operation)
        path = template
        for name, value in call.path.items():
            path = path.replace("{" + name + "}", value)
        if call.query is not None:
            path += "?" + urlencode(call.query)
        if operation == "obtainAccessToken":
            body = urlencode(call.body)
            return self.http.generic(method, path, body, content_type=FORM, **headers)
        return self.send(method, path, call.body, **headers)

    def good(self, operation: str) -> Call:
        """A request of this operation that succeeds."""
        user = {"user_id": self.user.public_id}
        app = {"application_id": self.application.public_id}
        account = {**app, "account_id": self.account.public_id}
        role = {**app, "role_id": self.role.public_id}
        page = {"offset": 0, "limit": 10}
        calls = {
            "obtainAccessToken": lambda: Call(
                body={
                    "grant_type": "client_credentials",
                    "client_id": self.client.client_id,
                    "client_secret": CLIENT_SECRET,
                }
            ),
            "createUser": lambda: Call(body=new_user()),
            "listUsers": lambda: Call(query={"org_id": "", **page}),
            "updateUser": lambda: Call(user, body={"name": "Zhang San"}),
            "deleteUser": lambda: Call(user),
            "getUserById": lambda: Call(user),
            "enableUser": lambda: Call(user),
            "disableUser": lambda: Call(user),
            "changeUserPassword": lambda: Call(user, body={"password": NEW_PASSWORD, "pwd_must_modify": False}),
            "changeUserPasswordWithVerification": lambda: Call(
                user, body={"password": NEW_PASSWORD, "old_password": OLD_PASSWORD}
            ),
            "getUserByUsername": lambda: Call(body={"user_name": "zhangsan"}),
            "authorizeApplicationAccount": lambda: Call(
                {"user_id": self.other.public_id, **app}, body={"account_name": "Test01"}
            ),
            "listUserAccounts": lambda: Call(user),
            "createOrganization": lambda: Call(
                body={
                    "code": "1000001",
                    "name": "子部门",
                    "parent_id": self.root.public_id,
                    "category": "department",
                }
            ),
            "listOrganizations": lambda: Call(query={"org_id": "", "all_child": "true", **page}),
            "updateOrganization": lambda: Call(
                {"org_id": self.child.public_id},
                body={"code": "TestOrg", "name": "测试机构", "parent_id": "", "category": "department"},
            ),
            "deleteOrganization": lambda: Call({"org_id": self.empty.public_id}),
            "getOrganization": lambda: Call({"org_id": self.child.public_id}),
            "createApplicationOrganization": lambda: Call(
                app, body={"org_code": "20000", "name": "开发组", "parent_id": self.app_root.public_id}
            ),
            "listApplicationOrganizations": lambda: Call(app, query=page),
            "updateApplicationOrganization": lambda: Call(
                {**app, "org_id": self.app_child.public_id}, body={"name": "开发组", "parent_id": ""}
            ),
            "deleteApplicationOrganization": lambda: Call({**app, "org_id": self.app_empty.public_id}),
            "getApplicationOrganization": lambda: Call({**app, "org_id": self.app_child.public_id}),
            "createApplicationAccount": lambda: Call(
                app,
                body={
                    "account_name": "lisi",
                    "user_id": self.other.public_id,
                    "name": "ls",
                    "org_code": "",
                    "password": "",
                    "disabled": False,
                    "extension": {},
                },
            ),
            "updateApplicationAccount": lambda: Call(
                account, body={"account_name": "Test02", "name": "Example", "org_code": "10000", "disabled": False}
            ),
            "deleteApplicationAccount": lambda: Call(account),
            "getApplicationAccount": lambda: Call(account),
            "listApplicationAccounts": lambda: Call(app, query={"account_type": "BASIC_ACCOUNT", **page}),
            "enableApplicationAccount": lambda: Call(account),
            "disableApplicationAccount": lambda: Call(account),
            "createApplicationRole": lambda: Call(app, body={"code": "admin1", "name": "管理员1"}),
            "updateApplicationRole": lambda: Call(role, body={"name": "管理员2"}),
            "deleteApplicationRole": lambda: Call({**app, "role_id": self.free_role.public_id}),
            "getApplicationRole": lambda: Call(role),
            "listApplicationRoles": lambda: Call(app, query=page),
            "addApplicationRoleMembers": lambda: Call(
                app, body={"role_id": self.free_role.public_id, "account_Ids": [self.account.public_id]}
            ),
            "removeApplicationRoleMembers": lambda: Call(
                app, body={"role_id": self.role.public_id, "account_Ids": [self.account.public_id]}
            ),
            "listApplicationRoleMembers": lambda: Call(role, body={"offset": "0", "limit": "10"}),
        }
        return calls[operation]()


def new_user(**changes: Any) -> dict[str, Any]:
    """The document's own example of a new user, with names of our own."""
    return {
        "user_name": "wangwu",
        "password": PASSWORD,
        "org_code": "10000",
        "name": "Wang Wu",
        "mobile": "12345678903",
        "email": "wangwu@example.com",
        "employee_id": "123456789",
        "pwd_must_modify": False,
        "first_name": "F",
        "middle_name": "M",
        "last_name": "L",
        "attr_gender": "male",
        "attr_birthday": "1990-02-01",
        "attr_nick_name": "wangwu",
        "attr_identity_type": "id_card",
        "attr_identity_number": "123456789",
        "attr_area": "CN",
        "attr_city": "xxx",
        "attr_manager_id": "123456789",
        "attr_user_type": "regular",
        "attr_hire_date": "2021-04-01",
        "attr_work_place": "xxx",
        "user_org_relation_list": [
            {"orgCode": "10000", "relationType": 1},
            {"orgCode": "TestOrg1", "relationType": 0},
            {"orgCode": "TestOrg2", "relationType": 0},
        ],
        "extension": {"age": "18"},
        **changes,
    }


def _operations() -> dict[str, tuple[str, str]]:
    from tests.contract.tenant_contract import operations

    return {row.name: (row.method, row.path) for row in operations()}


OPERATIONS = _operations()
