"""Section 3.1.3: users."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from identity.directory import accounts, lists, users
from identity.errors import ValueRequired
from identity.events import EventType
from identity.models import AttributeEditor, User
from identity.sign_in import account
from tenant_api import examples
from tenant_api.fields import wire_id
from tenant_api.pagination import read_page
from tenant_api.permissions import Right
from tenant_api.serializers import users as wire
from tenant_api.views.base import LIMIT, OFFSET, TenantAPIView, operation

TAG = "users"
_ORG_ID = OpenApiParameter("org_id", str, required=True, allow_blank=True, description="Empty selects all users.")


class UserView(TenantAPIView):
    """What the operations on one user share."""

    def user(self, user_id: str) -> User:
        """Return the user of the path. Raises NotFound (USER.0001) and ValueRequired (USER.0061)."""
        return lists.get_user(tenant=self.tenant, public_id=wire_id(user_id))


def belonging(user: User) -> wire.Belonging:
    """Return the user with the organisations that it belongs to."""
    return wire.Belonging(user, lists.memberships_of([user])[user.pk])


class UsersView(TenantAPIView):
    """/users"""

    @operation(
        "createUser", "Create a user", tag=TAG, right=Right.WRITE_USERS, source="3.1.3.1",
        event=EventType.USER_CREATE, request=wire.UserCreateRequest, answer=wire.UserIdResponse, status=201,
        example=examples.USER,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Create a user and answer its id. Which attributes are mandatory is configured per tenant."""
        tenant, by = self.tenant, self.by
        values = {"password_must_change": True, **self.read(wire.UserCreateRequest)}
        user = users.create(tenant=tenant, editor=AttributeEditor.API, looks_up=True, **by, **values)
        return self.answer(wire.UserIdResponse, user, status=201)

    @operation(
        "listUsers", "List users", tag=TAG, right=Right.READ_USERS, source="3.1.3.10",
        answer=wire.UserList, query=[_ORG_ID, OFFSET, LIMIT],
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Page through the users of the tenant, or of one organization."""
        if "org_id" not in request.GET:
            raise ValueRequired("PARAM.0017")
        page = read_page(request.GET)
        found = lists.list_users(
            tenant=self.tenant, organization_id=wire_id(request.GET["org_id"]), index=page.index, size=page.size
        )
        return self.answer(wire.UserList, (found, lists.memberships_of(found.rows)))


class UserByIdView(UserView):
    """/users/{user_id}"""

    @operation(
        "updateUser", "Update a user", tag=TAG, right=Right.WRITE_USERS, source="3.1.3.2",
        event=EventType.USER_UPDATE, request=wire.UserUpdateRequest, answer=wire.UserIdResponse,
        example=examples.USER_CHANGES,
    )  # fmt: skip
    def put(self, request: Request, user_id: str) -> Response:
        """Change a user. What is absent stays as it is; the password has operations of its own."""
        user = self.user(user_id)
        users.update(user=user, editor=AttributeEditor.API, **self.by, **self.read(wire.UserUpdateRequest))
        return self.answer(wire.UserIdResponse, user)

    @operation(
        "deleteUser", "Delete a user", tag=TAG, right=Right.WRITE_USERS, source="3.1.3.3",
        event=EventType.USER_DELETE, status=204,
    )  # fmt: skip
    def delete(self, request: Request, user_id: str) -> Response:
        """Delete a user; sessions and tokens end at once, and the id is never given again."""
        users.delete(user=self.user(user_id), **self.by)
        return self.answer(status=204)

    @operation(
        "getUserById", "Get a user by id", tag=TAG, right=Right.READ_USERS, source="3.1.3.8", answer=wire.UserDetail
    )
    def get(self, request: Request, user_id: str) -> Response:
        """One user."""
        return self.answer(wire.UserDetail, belonging(self.user(user_id)))


class EnableUserView(UserView):
    """/users/{user_id}/enable"""

    @operation(
        "enableUser", "Enable a user", tag=TAG, right=Right.WRITE_USERS, source="3.1.3.4",
        event=EventType.USER_ENABLE, answer=wire.UserIdResponse,
    )  # fmt: skip
    def put(self, request: Request, user_id: str) -> Response:
        """Let the user sign in again."""
        user = self.user(user_id)
        users.enable(user=user, **self.by)
        return self.answer(wire.UserIdResponse, user)


class DisableUserView(UserView):
    """/users/{user_id}/disable"""

    @operation(
        "disableUser", "Disable a user", tag=TAG, right=Right.WRITE_USERS, source="3.1.3.5",
        event=EventType.USER_DISABLE, answer=wire.UserIdResponse,
    )  # fmt: skip
    def put(self, request: Request, user_id: str) -> Response:
        """Keep the user out; sessions and tokens end at once."""
        user = self.user(user_id)
        users.disable(user=user, **self.by)
        return self.answer(wire.UserIdResponse, user)


class ChangePasswordView(UserView):
    """/users/{user_id}/change-password"""

    @operation(
        "changeUserPassword", "Set a user's password", tag=TAG, right=Right.WRITE_USERS, source="3.1.3.6",
        event=EventType.PASSWORD_RESET, request=wire.ChangePasswordRequest, answer=wire.UserIdResponse,
        example=examples.PASSWORD,
    )  # fmt: skip
    def put(self, request: Request, user_id: str) -> Response:
        """Set a new password without asking for the old one, which lifts a lock; by default it must be changed next."""
        user = self.user(user_id)
        values = {"must_change": True, **self.read(wire.ChangePasswordRequest)}
        account.set_password_of(user=user, may_be_disabled=False, **self.by, **values)
        return self.answer(wire.UserIdResponse, user)


class ChangePasswordVerifyView(UserView):
    """/users/{user_id}/change-password-verify"""

    @operation(
        "changeUserPasswordWithVerification", "Change a user's password after checking the old one", tag=TAG,
        right=Right.WRITE_USERS, source="3.1.3.7", request=wire.ChangePasswordVerifyRequest,
        answer=wire.UserIdResponse, example=examples.PASSWORD_WITH_OLD,
    )  # fmt: skip
    def put(self, request: Request, user_id: str) -> Response:
        """Set a new password if the old one is right; wrong ones are counted like failed sign-ins."""
        user = self.user(user_id)
        account.change_password_of(user=user, **self.by, **self.read(wire.ChangePasswordVerifyRequest))
        return self.answer(wire.UserIdResponse, user)


class UserByUsernameView(TenantAPIView):
    """/users/user-by-username"""

    @operation(
        "getUserByUsername", "Get a user by username", tag=TAG, right=Right.READ_USERS, source="3.1.3.9",
        request=wire.UserByUsernameRequest, answer=wire.UserDetail, example=examples.USER_NAME,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """One user, by its name in the body."""
        user = lists.get_user_by_name(tenant=self.tenant, **self.read(wire.UserByUsernameRequest))
        return self.answer(wire.UserDetail, belonging(user))


class AuthorizeAccountView(UserView):
    """/users/{user_id}/applications/{application_id}/accounts"""

    @operation(
        "authorizeApplicationAccount", "Authorise an application for a user and create the account", tag=TAG,
        right=Right.WRITE_USERS, source="3.1.3.11", event=EventType.ACCOUNT_CREATE,
        request=wire.AuthorizeAccountRequest, answer=wire.AccountIdResponse, example=examples.AUTHORIZE,
    )  # fmt: skip
    def post(self, request: Request, user_id: str, application_id: str) -> Response:
        """Open the application to the user, with an account of its own there."""
        user, application = self.user(user_id), self.application(application_id)
        values = self.read(wire.AuthorizeAccountRequest)
        created = accounts.create(user=user, application=application, **self.by, **values)
        return self.answer(wire.AccountIdResponse, created)


class UserAccountsView(UserView):
    """/users/{user_id}/accounts"""

    @operation(
        "listUserAccounts", "List all application accounts of a user", tag=TAG, right=Right.READ_USERS,
        source="3.1.3.12", answer=wire.UserAccountList,
    )  # fmt: skip
    def get(self, request: Request, user_id: str) -> Response:
        """All accounts of the user over all applications, without paging."""
        return self.answer(wire.UserAccountList, lists.list_accounts_of(user=self.user(user_id)))
