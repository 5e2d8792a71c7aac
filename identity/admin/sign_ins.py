"""Sessions, sign-ins under way, codes, counters and deliveries: mostly to be looked at."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from identity import delivery
from identity.admin.base import ReadOnly, TabularInline, context_of, operator_of, writer_of
from identity.models import (
    AttemptCounter,
    AuthenticatorApp,
    Captcha,
    Delivery,
    Device,
    FactorCeremony,
    LoginTransaction,
    Passkey,
    PasswordHistory,
    PendingRequest,
    RecoveryCode,
    SessionEndReason,
    SessionParticipant,
    SpentNonce,
    SSOSession,
    SSOTicket,
    TrustedDevice,
    UniqueAttributeValue,
    VerificationCode,
)
from identity.sso import sessions


class ParticipantInline(TabularInline):
    model = SessionParticipant
    can_delete = False
    fields = ("application", "protocol", "registration", "joined_at", "front_channel_state")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    has_change_permission = has_add_permission
    has_delete_permission = has_add_permission


@admin.register(SSOSession)
class SSOSessionAdmin(ReadOnly):
    list_display = ("user", "kind", "authenticated_at", "last_seen_at", "expires_at", "ended_at", "end_reason", "ip")
    list_filter = ("kind", "end_reason")
    list_select_related = ("user",)
    search_fields = ("=sid", "=user__user_key", "=user__public_id")
    hidden_fields = ("handle_hash", "device_index")
    fields = (
        "tenant",
        "user",
        "sid",
        "kind",
        "amr",
        "acr",
        "device_trusted",
        "authenticated_at",
        "last_seen_at",
        "idle_expires_at",
        "expires_at",
        "ended_at",
        "end_reason",
        "ip",
        "user_agent",
    )
    readonly_fields = fields
    inlines = (ParticipantInline,)
    actions_detail = ("end",)

    def has_end_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return bool(request.user.has_perm("identity.change_ssosession"))

    @action(description=_("End session"), url_path="end", permissions=["end"])
    def end(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Sign this browser or device out."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("End session"),
            text=_("The user is signed out on this browser or device, and the applications are told."),
            perform=lambda row, form: self._end(request, row),
            permission=self.has_end_permission,
        )

    def _end(self, request: HttpRequest, row: SSOSession) -> None:
        sessions.end(
            row, reason=SessionEndReason.ENDED_BY_OPERATOR, context=context_of(request), actor=operator_of(request)
        )


@admin.register(Device)
class DeviceAdmin(ReadOnly):
    list_display = ("user", "agent", "os_version", "ip", "first_seen_at", "last_seen_at")
    list_select_related = ("user",)
    search_fields = ("=user__user_key", "=user__public_id")
    hidden_fields = ("fingerprint_index",)
    fields = ("tenant", "user", "agent", "os_version", "ip", "claimed_ip", "first_seen_at", "last_seen_at")
    readonly_fields = fields


@admin.register(SSOTicket)
class SSOTicketAdmin(ReadOnly):
    list_display = ("created_at", "application", "client_id", "expires_at", "consumed_at")
    list_select_related = ("application",)
    hidden_fields = ("ticket_hash", "device_index")
    fields = ("tenant", "session", "application", "client_id", "created_at", "expires_at", "consumed_at")
    readonly_fields = fields


@admin.register(SessionParticipant)
class SessionParticipantAdmin(ReadOnly):
    tenant_lookup = "session__tenant"
    list_display = ("session", "application", "protocol", "registration", "joined_at", "front_channel_state")
    list_select_related = ("session", "application")
    fields = ("session", "application", "protocol", "registration", "joined_at", "front_channel_state")
    readonly_fields = fields


@admin.register(LoginTransaction)
class LoginTransactionAdmin(ReadOnly):
    list_display = ("created_at", "user", "application", "channel", "state", "failures", "expires_at", "finished_at")
    list_filter = ("state", "channel")
    list_select_related = ("user", "application")
    fields = (
        "tenant",
        "user",
        "application",
        "channel",
        "state",
        "amr",
        "failures",
        "created_at",
        "expires_at",
        "finished_at",
    )
    readonly_fields = fields


@admin.register(VerificationCode)
class VerificationCodeAdmin(ReadOnly):
    list_display = ("created_at", "purpose", "channel", "target_masked", "failures", "expires_at", "consumed_at")
    list_filter = ("purpose", "channel")
    fields = (
        "tenant",
        "user",
        "purpose",
        "channel",
        "target_masked",
        "failures",
        "created_at",
        "expires_at",
        "consumed_at",
    )
    readonly_fields = fields


@admin.register(Captcha)
class CaptchaAdmin(ReadOnly):
    list_display = ("created_at", "expires_at", "checked_at", "consumed_at")
    fields = ("tenant", "created_at", "expires_at", "checked_at", "consumed_at")
    readonly_fields = fields


@admin.register(AttemptCounter)
class AttemptCounterAdmin(ReadOnly):
    list_display = ("kind", "failures", "window_started_at", "locked_until")
    list_filter = ("kind",)
    fields = ("tenant", "kind", "failures", "window_started_at", "locked_until")
    readonly_fields = fields


@admin.register(AuthenticatorApp)
class AuthenticatorAppAdmin(ReadOnly):
    tenant_lookup = "user__tenant"
    list_display = ("user", "name", "algorithm", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("=user__user_key", "=user__public_id")
    hidden_fields = ("secret_sealed",)
    fields = ("user", "name", "algorithm", "created_at", "last_used_at")
    readonly_fields = fields


@admin.register(Passkey)
class PasskeyAdmin(ReadOnly):
    tenant_lookup = "user__tenant"
    list_display = ("user", "name", "is_backup_eligible", "is_backed_up", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("=user__user_key", "=user__public_id")
    hidden_fields = ("public_key", "credential_id")
    fields = (
        "user",
        "name",
        "algorithm",
        "aaguid",
        "attestation_format",
        "transports",
        "is_discoverable",
        "is_user_verified",
        "is_backup_eligible",
        "is_backed_up",
        "sign_count",
        "created_at",
        "last_used_at",
    )
    readonly_fields = fields


@admin.register(RecoveryCode)
class RecoveryCodeAdmin(ReadOnly):
    tenant_lookup = "user__tenant"
    list_display = ("user", "created_at", "consumed_at")
    list_select_related = ("user",)
    search_fields = ("=user__user_key", "=user__public_id")
    hidden_fields = ("code_hash",)
    fields = ("user", "created_at", "consumed_at")
    readonly_fields = fields


@admin.register(FactorCeremony)
class FactorCeremonyAdmin(ReadOnly):
    list_display = ("created_at", "purpose", "user", "expires_at", "consumed_at")
    list_filter = ("purpose",)
    list_select_related = ("user",)
    hidden_fields = ("secret_sealed",)
    fields = ("tenant", "user", "purpose", "bound_to", "created_at", "expires_at", "consumed_at")
    readonly_fields = fields


@admin.register(TrustedDevice)
class TrustedDeviceAdmin(ReadOnly):
    tenant_lookup = "user__tenant"
    list_display = ("user", "created_at", "last_used_at", "expires_at", "ip")
    list_select_related = ("user",)
    search_fields = ("=user__user_key", "=user__public_id")
    hidden_fields = ("handle_hash", "binding_hash")
    fields = ("user", "created_at", "last_used_at", "expires_at", "ip", "user_agent")
    readonly_fields = fields


@admin.register(PasswordHistory)
class PasswordHistoryAdmin(ReadOnly):
    tenant_lookup = "user__tenant"
    list_display = ("user", "created_at")
    list_select_related = ("user",)
    fields = ("user", "created_at")
    readonly_fields = fields


@admin.register(UniqueAttributeValue)
class UniqueAttributeValueAdmin(ReadOnly):
    tenant_lookup = "user__tenant"
    list_display = ("user", "definition")
    list_select_related = ("user", "definition")
    fields = ("user", "definition")
    readonly_fields = fields


@admin.register(PendingRequest)
class PendingRequestAdmin(ReadOnly):
    list_display = ("created_at", "path", "expires_at", "consumed_at")
    fields = ("tenant", "path", "created_at", "expires_at", "consumed_at")
    readonly_fields = fields


@admin.register(SpentNonce)
class SpentNonceAdmin(ReadOnly):
    list_display = ("id", "expires_at")
    fields = ("tenant", "expires_at")
    readonly_fields = fields


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = (
        "created_at", "application", "kind", "state", "attempts", "last_status", "last_error", "next_attempt_at",
    )  # fmt: skip
    list_filter = ("state", "kind")
    list_select_related = ("application",)
    search_fields = ("=jti", "=sid", "=application__code")
    fields = (
        "tenant",
        "application",
        "kind",
        "url",
        "jti",
        "sid",
        "state",
        "attempts",
        "next_attempt_at",
        "last_status",
        "last_error",
        "created_at",
        "delivered_at",
    )
    readonly_fields = fields
    actions_detail = ("try_again",)

    def has_retry_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return bool(request.user.has_perm("identity.change_delivery"))

    @action(description=_("Try again"), url_path="try-again", permissions=["retry"])
    def try_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let the worker send a delivery now that was given up, or that waits for its next attempt."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("Try again"),
            text=_("The worker sends it again, with the same id."),
            perform=lambda row, form: self._try_again(request, row),
            permission=self.has_retry_permission,
        )

    def _try_again(self, request: HttpRequest, row: Delivery) -> None:
        delivery.retry(delivery=row, **writer_of(request))
