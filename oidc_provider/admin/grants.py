"""Pages of what clients were granted. Codes and tokens are only hashes here; their rows are looked at, not edited."""

from typing import ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action

from identity.admin.base import (
    ReadOnly,
    context_of,
    operator_of,
)
from oidc_provider.authorization import consent
from oidc_provider.models import (
    ClientAssertion,
    Consent,
)


@admin.register(Consent)
class ConsentAdmin(ReadOnly):
    tenant_lookup = "user__tenant"
    list_display = ("user", "client", "granted_at", "withdrawn_at")
    list_select_related = ("user", "client")
    search_fields = ("=user__user_key", "=client__client_id")
    fields = ("user", "client", "scopes", "claims", "granted_at", "withdrawn_at")
    readonly_fields = fields
    actions_detail = ("withdraw",)

    def has_withdraw_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return bool(request.user.has_perm("oidc_provider.change_consent"))

    @action(description=gettext_lazy("Withdraw"), url_path="withdraw", permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take the consent back for the user, and end what it gave."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("Withdraw"),
            text=_("The client's tokens for this user end at once, and the user is asked again next time."),
            perform=lambda row, form: self._withdraw(request, row),
            permission=self.has_withdraw_permission,
        )

    def _withdraw(self, request: HttpRequest, row: Consent) -> None:
        consent.withdraw(row, actor=operator_of(request), context=context_of(request))


class GrantedAdmin(ReadOnly):
    """A code or token: who got it, for whom, until when. The value itself is nowhere."""

    tenant_lookup = "application__tenant"
    list_display: ClassVar[tuple[str, ...]] = ("id", "user", "application", "dialect", "scope", "created", "expires")
    list_filter = ("dialect",)
    list_select_related = ("user", "application")
    search_fields = ("=user__user_key", "=application__client_id")
    common: ClassVar[tuple[str, ...]] = (
        "user",
        "application",
        "session",
        "dialect",
        "scope",
        "family",
        "is_offline",
        "created",
        "expires",
    )


class AuthorizationCodeAdmin(GrantedAdmin):
    hidden_fields = ("code_hash", "nonce", "code_challenge")
    fields = (*GrantedAdmin.common, "redirect_uri", "auth_time", "acr", "consumed_at")
    readonly_fields = fields


class AccessTokenAdmin(GrantedAdmin):
    hidden_fields = ("token_checksum",)
    fields = (*GrantedAdmin.common, "audience")
    readonly_fields = fields


class RefreshTokenAdmin(GrantedAdmin):
    hidden_fields = ("token_checksum",)
    fields = (*GrantedAdmin.common, "auth_time", "acr", "superseded_at", "revoked")
    readonly_fields = fields


@admin.register(ClientAssertion)
class ClientAssertionAdmin(ReadOnly):
    tenant_lookup = "client__tenant"
    hidden_fields = ("jti_hash",)
    list_display = ("client", "expires_at")
    list_select_related = ("client",)
    fields = ("client", "expires_at")
    readonly_fields = fields
