"""Section 3.1.7: application roles. Their times are camelCase, and members are sent as `account_Ids`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from identity.directory.lists import Page
from identity.models import AccountType, AppRole, AppRoleMember
from tenant_api.fields import Id, Ids, Request, Text, wire_time
from tenant_api.pagination import PageRequest
from tenant_api.serializers.accounts import account_members
from tenant_api.serializers.common import Answer

# OneAccess-3.1.7.8 prints a number here, and the name everywhere else. Only that of a basic account is printed.
_ACCOUNT_TYPES = {AccountType.BASIC.value: "1", AccountType.ORPHAN.value: "2", AccountType.PUBLIC.value: "3"}


class RoleCreateRequest(Request):
    """OneAccess-3.1.7.1."""

    code = Text(max_length=50, invalid="APP_ROLE.0006", help_text="Unique in the application.")
    name = Text(required=False, max_length=32, invalid="APP_ROLE.0008")


class RoleUpdateRequest(Request):
    """OneAccess-3.1.7.2. The code cannot be changed."""

    name = Text(max_length=32, invalid="APP_ROLE.0008")


class RoleIdResponse(Answer):
    """Which role the operation was about."""

    role_id = serializers.CharField()

    def to_representation(self, role: AppRole) -> dict[str, Any]:
        return {"role_id": role.public_id}


class Role(Answer):
    """An application role."""

    id = serializers.CharField()
    code = serializers.CharField()
    name = serializers.CharField(allow_null=True)
    createdAt = serializers.CharField(help_text="In the tenant's time zone.")  # noqa: N815 - the wire's own
    updatedAt = serializers.CharField(  # noqa: N815
        allow_null=True, help_text="Of a role that was never changed: createdAt, and null in the list."
    )

    def to_representation(self, role: AppRole) -> dict[str, Any]:
        row = self.in_list(role)
        return {**row, "updatedAt": row["updatedAt"] or row["createdAt"]}  # as OneAccess-3.1.7.4 prints it

    def in_list(self, role: AppRole) -> dict[str, Any]:
        """Return the role as OneAccess-3.1.7.5 prints it."""
        return {
            "id": role.public_id,
            "code": role.code,
            "name": role.name,
            "createdAt": wire_time(role.created_at, self.zone),
            "updatedAt": wire_time(role.updated_at, self.zone),
        }


class _Echoed(Answer):
    """A page that repeats what was asked for."""

    total = serializers.IntegerField(help_text="Of all pages.")
    offset = serializers.IntegerField(help_text="As asked for.")
    limit = serializers.IntegerField(help_text="As asked for.")


class RoleList(_Echoed):
    """One page of roles."""

    roles = Role(many=True)

    def to_representation(self, answer: tuple[PageRequest, Page[AppRole]]) -> dict[str, Any]:
        asked, page = answer
        row = Role(tenant=self.tenant)
        roles = [row.in_list(role) for role in page.rows]
        return {"total": page.total, "offset": asked.index, "limit": asked.size, "roles": roles}


class RoleMemberChangeRequest(Request):
    """OneAccess-3.1.7.6, 3.1.7.7: at most 50 accounts."""

    role_id = Id()
    account_Ids = Ids(child=serializers.CharField(), max_length=50, source="account_ids")  # noqa: N815


class RoleMemberChangeResponse(Answer):
    """Every id of the request is in exactly one of the lists."""

    success_list = serializers.ListField(child=serializers.CharField())
    fail_list = serializers.ListField(child=serializers.CharField())

    def to_representation(self, done_and_failed: tuple[list[str], list[str]]) -> dict[str, Any]:
        done, failed = done_and_failed
        return {"success_list": done, "fail_list": failed}


class RoleMember(Answer):
    """An account that holds the role."""

    id = serializers.CharField()
    account_name = serializers.CharField()
    name = serializers.CharField(allow_null=True)
    org_id = serializers.CharField(allow_null=True)
    disabled = serializers.BooleanField()
    account_type = serializers.CharField(help_text="1: basic, 2: without an owner, 3: public.")
    extension = serializers.DictField(allow_null=True)

    def to_representation(self, member: AppRoleMember) -> dict[str, Any]:
        return {**account_members(member.account), "account_type": _ACCOUNT_TYPES[member.account.account_type]}


class RoleMemberList(_Echoed):
    """One page of members."""

    role_members = RoleMember(many=True)

    def to_representation(self, answer: tuple[PageRequest, Page[AppRoleMember]]) -> dict[str, Any]:
        asked, page = answer
        row = RoleMember()
        members = [row.to_representation(member) for member in page.rows]
        return {"total": page.total, "offset": asked.index, "limit": asked.size, "role_members": members}


@extend_schema_field({"type": ["integer", "string"], "pattern": r"^\d+$"})
class Number(serializers.Field):
    """A number, or the text of one: the document's table has one, its example the other."""


class RoleMemberListBody(serializers.Serializer):
    """Paging in the body of a GET, as the document has it; the query wins."""

    offset = Number(help_text="Page index, from 0.")
    limit = Number(help_text="Page size, 10 to 100.")
