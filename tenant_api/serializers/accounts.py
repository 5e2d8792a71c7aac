"""Section 3.1.6: application accounts."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from identity.directory.lists import Page
from identity.models import AccountType, AppAccount
from tenant_api.fields import Extension, Flag, Id, Request, Text
from tenant_api.serializers.common import Answer

_UNKNOWN_ATTRIBUTE = "APP_ACCOUNT.0007"


class _AccountValues(Request):
    """What an account may be given; is_active is `disabled` on the wire."""

    account_name = Text(required=False, invalid="APP_ACCOUNT.0036")
    name = Text(required=False, invalid="APP_ACCOUNT.0036", help_text="Display name.")
    org_code = Text(
        required=False, source="organization_code", invalid="APP_ORG.0001", help_text="Application organization."
    )
    password = Text(required=False, write_only=True, invalid="PWD.0005")
    disabled = Flag(required=False)
    extension = Extension(
        required=False, allow_null=True, invalid=_UNKNOWN_ATTRIBUTE, help_text="As the application defined them."
    )

    @classmethod
    def read(cls, document: Any) -> dict[str, Any]:
        """Read it as the services know it."""
        values = super().read(document)
        if "disabled" in values:
            values["is_active"] = not values.pop("disabled")
        return values


class AppAccountCreateRequest(_AccountValues):
    """OneAccess-3.1.6.1. Without an account_name it is the user name."""

    user_id = Id()


class UnownedAccountCreateRequest(_AccountValues):
    """An account that is nobody's; ours, not of the document."""

    account_name = Text(invalid="APP_ACCOUNT.0036")


class AppAccountUpdateRequest(_AccountValues):
    """OneAccess-3.1.6.2. What is absent stays; the owner cannot be changed."""


class ResourceItem(serializers.Serializer):
    """A resource item of a privilege. `item_parentid` has no underscore between parent and id."""

    item_id = serializers.CharField(required=False)
    item_code = serializers.CharField(required=False)
    item_name = serializers.CharField(required=False)
    item_parentid = serializers.CharField(required=False, allow_null=True)


class PrivilegeInfo(serializers.Serializer):
    """A privilege of a role."""

    privilege_id = serializers.CharField(required=False)
    privilege_code = serializers.CharField(required=False)
    privilege_name = serializers.CharField(required=False)
    resource_items = ResourceItem(many=True, required=False)


class RolesInfo(serializers.Serializer):
    """A role that an account holds."""

    role_id = serializers.CharField(required=False)
    role_code = serializers.CharField(required=False)
    role_name = serializers.CharField(required=False)
    privileges = PrivilegeInfo(many=True, required=False)


class AppAccountDetail(Answer):
    """An application account, as the detail and the list answer it."""

    id = serializers.CharField()
    account_name = serializers.CharField()
    account_type = serializers.ChoiceField(choices=AccountType.values)
    name = serializers.CharField(allow_null=True)
    disabled = serializers.BooleanField()
    org_id = serializers.CharField(allow_null=True, help_text="The application organization.")
    roles = RolesInfo(many=True, required=False)
    extension = serializers.DictField(allow_null=True)

    def to_representation(self, account: AppAccount) -> dict[str, Any]:
        # In memory: the list loaded them for a whole page.
        roles = [member.role for member in account.roles.all()]
        return {
            **account_members(account),
            "roles": [
                # Roles have no privileges here, so the list of them is true, and empty.
                {"role_id": role.public_id, "role_code": role.code, "role_name": role.name, "privileges": []}
                for role in roles
            ],
        }


def account_members(account: AppAccount) -> dict[str, Any]:
    """Return what every list tells of an account."""
    return {
        "id": account.public_id,
        "account_name": account.account_name,
        "account_type": account.account_type,
        "name": account.name,
        "disabled": not account.is_active,
        "org_id": account.organization.public_id if account.organization else None,
        "extension": account.extension,
    }


class AppAccountList(Answer):
    """One page of application accounts."""

    total = serializers.IntegerField(help_text="Of all pages.")
    accounts = AppAccountDetail(many=True)

    def to_representation(self, page: Page[AppAccount]) -> dict[str, Any]:
        row = AppAccountDetail()
        return {"total": page.total, "accounts": [row.to_representation(account) for account in page.rows]}
