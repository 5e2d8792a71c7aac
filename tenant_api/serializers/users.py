"""Section 3.1.3: users. Input names organisations by code in camelCase, output by id in snake_case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from identity.directory.lists import MembershipReference, Page
from identity.messaging import phone
from identity.models import AppAccount, Gender, IdentityType, User, UserType
from tenant_api.fields import Attribute, Choice, Extension, Flag, Relations, Request, Text, wire_time
from tenant_api.serializers.common import Answer


class _UserAttributes(Request):
    """Whether one is mandatory is the tenant's own decision, except where the document says so."""

    user_name = Attribute(required=False, help_text="Unique within the tenant.")
    mobile = Attribute(required=False, help_text="Unique within the tenant.")
    mobile_verified = Flag(
        required=False,
        source="phone_number_verified",
        help_text="Ours and not of the document: the caller answers for it that the number is this person's.",
    )
    org_code = Text(required=False, source="organization_code", invalid="ORG.0001", help_text="Primary organization.")
    name = Attribute(required=False, help_text="Real name.")
    email = Attribute(required=False)
    employee_id = Attribute(required=False)
    first_name = Attribute(required=False)
    middle_name = Attribute(required=False)
    last_name = Attribute(required=False)
    pwd_must_modify = Flag(required=False, source="password_must_change")
    attr_gender = Choice(required=False, source="gender", choices=Gender.values)
    attr_birthday = Attribute(required=False, source="birth_date", help_text="yyyy-mm-dd")
    attr_nick_name = Attribute(required=False, source="nick_name")
    attr_identity_type = Choice(required=False, source="identity_type", choices=IdentityType.values)
    attr_identity_number = Attribute(required=False, source="identity_number")
    attr_area = Attribute(required=False, source="area")
    attr_city = Attribute(required=False, source="city")
    attr_manager_id = Attribute(required=False, source="manager")
    attr_user_type = Choice(required=False, source="user_type", choices=UserType.values)
    attr_hire_date = Attribute(required=False, source="hire_date", help_text="yyyy-mm-dd")
    attr_work_place = Attribute(required=False, source="work_place")
    user_org_relation_list = Relations(
        required=False, source="relations", help_text="Must contain the primary organization."
    )
    extension = Extension(required=False, allow_null=True, help_text="Custom attributes, as the tenant defined them.")

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> dict[str, Any]:
        """Read it as the services know it. Many clients send a list that they have nothing for as an empty one."""
        values = super().read(document)
        if values.get("relations") == []:
            del values["relations"]
        return values


class UserCreateRequest(_UserAttributes):
    """OneAccess-3.1.3.1. Without pwd_must_modify, the password must be changed at the first sign-in."""

    user_name = Attribute(help_text="Unique within the tenant.")
    mobile = Attribute(help_text="Unique within the tenant.")
    password = Text(required=False, write_only=True, invalid="PWD.0005")
    pwd_must_modify = Flag(required=False, default=True, source="password_must_change")


class UserUpdateRequest(_UserAttributes):
    """OneAccess-3.1.3.2. What is absent stays as it is."""


class ChangePasswordRequest(Request):
    """OneAccess-3.1.3.6."""

    password = Text(write_only=True, invalid="PWD.0005")
    pwd_must_modify = Flag(required=False, default=True, source="must_change")


class ChangePasswordVerifyRequest(Request):
    """OneAccess-3.1.3.7. The document has no pwd_must_modify here."""

    password = Text(write_only=True, source="new_password", invalid="PWD.0005")
    old_password = Text(write_only=True, invalid="PARAM.0028")


class UserByUsernameRequest(Request):
    """OneAccess-3.1.3.9."""

    user_name = Text(invalid="USER.0001")


class AuthorizeAccountRequest(Request):
    """OneAccess-3.1.3.11."""

    account_name = Text(required=False, invalid="APP_ACCOUNT.0036", help_text="Empty: the user name.")


@dataclass(frozen=True, slots=True)
class Belonging:
    """A user, and the organisations that the user belongs to."""

    user: User
    memberships: list[MembershipReference]


class UserIdResponse(Answer):
    """Whom the operation was about."""

    user_id = serializers.CharField()

    def to_representation(self, user: User) -> dict[str, Any]:
        return {"user_id": user.public_id}


class RelationOutput(serializers.Serializer):
    """A membership, by the organisation's id."""

    org_id = serializers.CharField()
    relation_type = serializers.ChoiceField(choices=[0, 1], help_text="1 for the primary organization.")


class UserDetail(Answer):
    """A user as the three questions answer it. What is not here can be written only (OneAccess-3.1.3.8)."""

    user_id = serializers.CharField()
    org_id = serializers.CharField(help_text="The primary organization.")
    user_name = serializers.CharField()
    name = serializers.CharField()
    mobile = serializers.CharField()
    email = serializers.CharField(required=False, allow_null=True)
    pwd_must_modify = serializers.BooleanField()
    pwd_change_at = serializers.CharField(required=False, allow_null=True)
    created_at = serializers.CharField(help_text="In the tenant's time zone.")
    updated_at = serializers.CharField(required=False, allow_null=True)
    disabled = serializers.BooleanField()
    grade = serializers.IntegerField()
    locked = serializers.BooleanField()
    extension = serializers.DictField(allow_null=True)
    user_org_relation_list = RelationOutput(many=True)

    def to_representation(self, belonging: Belonging) -> dict[str, Any]:
        user, memberships = belonging.user, belonging.memberships
        primary = next((row.organization_id for row in memberships if row.is_primary), "")
        return {
            "user_id": user.public_id,
            "org_id": primary,
            "user_name": user.user_name,
            "name": user.name,
            "mobile": phone.bare(user.mobile, country=self.country),
            "email": user.email or None,
            "pwd_must_modify": user.password_must_change,
            "pwd_change_at": wire_time(user.password_changed_at, self.zone),
            "created_at": wire_time(user.created_at, self.zone),
            "updated_at": wire_time(user.updated_at, self.zone),
            "disabled": not user.is_active,
            "grade": user.grade,
            "locked": user.locked_until is not None and user.locked_until > timezone.now(),
            "extension": user.extension,
            "user_org_relation_list": [
                {"org_id": row.organization_id, "relation_type": int(row.is_primary)} for row in memberships
            ],
        }


class UserList(Answer):
    """One page of users."""

    total = serializers.IntegerField(help_text="Of all pages.")
    users = UserDetail(many=True)

    def to_representation(
        self, page_and_memberships: tuple[Page[User], dict[int, list[MembershipReference]]]
    ) -> dict[str, Any]:
        page, memberships = page_and_memberships
        row = UserDetail(tenant=self.tenant)
        users = [row.to_representation(Belonging(user, memberships[user.pk])) for user in page.rows]
        return {"total": page.total, "users": users}


class AccountIdResponse(Answer):
    """Which account the operation was about."""

    account_id = serializers.CharField()

    def to_representation(self, account: AppAccount) -> dict[str, Any]:
        return {"account_id": account.public_id}


class UserAccount(Answer):
    """An application account in the list of one user: `id` here, and the application's id."""

    id = serializers.CharField()
    application_id = serializers.CharField()
    account_name = serializers.CharField()
    account_type = serializers.ChoiceField(choices=["BASIC_ACCOUNT", "ORPHAN_ACCOUNT", "PUBLIC_ACCOUNT"])
    name = serializers.CharField(allow_null=True)
    extension = serializers.DictField(allow_null=True)

    def to_representation(self, account: AppAccount) -> dict[str, Any]:
        return {
            "id": account.public_id,
            "application_id": account.application.public_id,
            "account_name": account.account_name,
            "account_type": account.account_type,
            "name": account.name,
            "extension": account.extension,
        }


class UserAccountList(Answer):
    """All accounts of a user."""

    total = serializers.IntegerField()
    accounts = UserAccount(many=True)

    def to_representation(self, accounts: list[AppAccount]) -> dict[str, Any]:
        row = UserAccount()
        return {"total": len(accounts), "accounts": [row.to_representation(account) for account in accounts]}
