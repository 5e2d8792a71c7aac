"""Section 3.1.6: application accounts."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from identity.directory import accounts, lists
from identity.events import EventType
from identity.models import AccountType, AppAccount
from tenant_api import examples
from tenant_api.fields import wire_id
from tenant_api.pagination import read_page
from tenant_api.permissions import Right
from tenant_api.serializers import accounts as wire
from tenant_api.serializers.users import AccountIdResponse
from tenant_api.views.base import LIMIT, OFFSET, TenantAPIView, operation

TAG = "application-accounts"
_ACCOUNT_TYPE = OpenApiParameter(
    "account_type", str, enum=[*AccountType.values, ""], allow_blank=True, description="Empty or absent: all kinds."
)


class BasicAccountView(TenantAPIView):
    """/applications/{application_id}/accounts/basic-account"""

    @operation(
        "createApplicationAccount", "Add an application account", tag=TAG, right=Right.WRITE_APPLICATIONS,
        source="3.1.6.1", event=EventType.ACCOUNT_CREATE, request=wire.AppAccountCreateRequest,
        answer=AccountIdResponse, status=201, example=examples.ACCOUNT,
    )  # fmt: skip
    def post(self, request: Request, application_id: str) -> Response:
        """Give an existing user an account in the application, which also opens it to the user."""
        application = self.application(application_id)
        values = self.read(wire.AppAccountCreateRequest)
        user = lists.get_user(tenant=self.tenant, public_id=values.pop("user_id"))
        created = accounts.create(application=application, user=user, **self.by, **values)
        return self.answer(AccountIdResponse, created, status=201)


class UnownedAccountView(TenantAPIView):
    """What the two kinds of account share that belong to nobody; the document only lists them."""

    def add(self, account_type: AccountType, application_id: str) -> Response:
        """Add one. It opens nothing."""
        application, values = self.application(application_id), self.read(wire.UnownedAccountCreateRequest)
        created = accounts.create(application=application, user=None, account_type=account_type, **self.by, **values)
        return self.answer(AccountIdResponse, created, status=201)


class OrphanAccountView(UnownedAccountView):
    """/applications/{application_id}/accounts/orphan-account"""

    @operation(
        "createOrphanAccount", "Add an account without an owner", tag=TAG, right=Right.WRITE_APPLICATIONS,
        source="3.1.6.5, beside which it is ours", event=EventType.ACCOUNT_CREATE,
        request=wire.UnownedAccountCreateRequest, answer=AccountIdResponse, status=201,
        example=examples.UNOWNED_ACCOUNT,
    )  # fmt: skip
    def post(self, request: Request, application_id: str) -> Response:
        """Add an account that has no owner."""
        return self.add(AccountType.ORPHAN, application_id)


class PublicAccountView(UnownedAccountView):
    """/applications/{application_id}/accounts/public-account"""

    @operation(
        "createPublicAccount", "Add a public account", tag=TAG, right=Right.WRITE_APPLICATIONS,
        source="3.1.6.5, beside which it is ours", event=EventType.ACCOUNT_CREATE,
        request=wire.UnownedAccountCreateRequest, answer=AccountIdResponse, status=201,
        example=examples.UNOWNED_ACCOUNT,
    )  # fmt: skip
    def post(self, request: Request, application_id: str) -> Response:
        """Add an account that several people use."""
        return self.add(AccountType.PUBLIC, application_id)


class AccountsView(TenantAPIView):
    """/applications/{application_id}/accounts"""

    @operation(
        "listApplicationAccounts", "List application accounts", tag=TAG, right=Right.READ_APPLICATIONS,
        source="3.1.6.5", answer=wire.AppAccountList, query=[_ACCOUNT_TYPE, OFFSET, LIMIT],
    )  # fmt: skip
    def get(self, request: Request, application_id: str) -> Response:
        """Page through the accounts of the application, of one kind or of all."""
        application, page = self.application(application_id), read_page(request.GET)
        kind = request.GET.get("account_type", "")
        found = lists.list_accounts(application=application, account_type=kind, index=page.index, size=page.size)
        return self.answer(wire.AppAccountList, found)


class AccountOperationView(TenantAPIView):
    """What the operations on one account share."""

    def account(self, application_id: str, account_id: str) -> AppAccount:
        """Return the account of the path. Raises NotFound (APP.0001, APP_ACCOUNT.0001)."""
        application = self.application(application_id)
        return lists.get_account(application=application, public_id=wire_id(account_id))


class AccountView(AccountOperationView):
    """/applications/{application_id}/accounts/{account_id}"""

    @operation(
        "updateApplicationAccount", "Update an application account", tag=TAG, right=Right.WRITE_APPLICATIONS,
        source="3.1.6.2", event=EventType.ACCOUNT_UPDATE, request=wire.AppAccountUpdateRequest,
        answer=AccountIdResponse, example=examples.ACCOUNT_CHANGES,
    )  # fmt: skip
    def put(self, request: Request, application_id: str, account_id: str) -> Response:
        """Change an account. What is absent stays; the owner cannot be changed."""
        account = self.account(application_id, account_id)
        accounts.update(account=account, **self.by, **self.read(wire.AppAccountUpdateRequest))
        return self.answer(AccountIdResponse, account)

    @operation(
        "deleteApplicationAccount", "Delete an application account", tag=TAG, right=Right.WRITE_APPLICATIONS,
        source="3.1.6.3", event=EventType.ACCOUNT_DELETE, status=204,
    )  # fmt: skip
    def delete(self, request: Request, application_id: str, account_id: str) -> Response:
        """Delete an account with its roles."""
        accounts.delete(account=self.account(application_id, account_id), **self.by)
        return self.answer(status=204)

    @operation(
        "getApplicationAccount", "Get an application account", tag=TAG, right=Right.READ_APPLICATIONS,
        source="3.1.6.4", answer=wire.AppAccountDetail,
    )  # fmt: skip
    def get(self, request: Request, application_id: str, account_id: str) -> Response:
        """One account with its roles."""
        return self.answer(wire.AppAccountDetail, lists.with_roles(self.account(application_id, account_id)))


class EnableAccountView(AccountOperationView):
    """/applications/{application_id}/accounts/{account_id}/enable"""

    @operation(
        "enableApplicationAccount", "Enable an application account", tag=TAG, right=Right.WRITE_APPLICATIONS,
        source="3.1.6.6", event=EventType.ACCOUNT_UPDATE, answer=AccountIdResponse,
    )  # fmt: skip
    def put(self, request: Request, application_id: str, account_id: str) -> Response:
        """Let the owner into the application again."""
        account = self.account(application_id, account_id)
        accounts.enable(account=account, **self.by)
        return self.answer(AccountIdResponse, account)


class DisableAccountView(AccountOperationView):
    """/applications/{application_id}/accounts/{account_id}/disable"""

    @operation(
        "disableApplicationAccount", "Disable an application account", tag=TAG, right=Right.WRITE_APPLICATIONS,
        source="3.1.6.7", event=EventType.ACCOUNT_UPDATE, answer=AccountIdResponse,
    )  # fmt: skip
    def put(self, request: Request, application_id: str, account_id: str) -> Response:
        """Keep the owner out of the application."""
        account = self.account(application_id, account_id)
        accounts.disable(account=account, **self.by)
        return self.answer(AccountIdResponse, account)
