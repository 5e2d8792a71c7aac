"""Single sign-on sessions and who joined them."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from identity.models.applications import Application
from identity.models.tenants import Tenant


class SessionKind(models.TextChoices):
    BROWSER = "browser", _("Browser")
    SDK = "sdk", _("App")


class SessionEndReason(models.TextChoices):
    SIGNED_OUT = "signed_out", _("Signed out")
    REPLACED = "replaced", _("Replaced by a new sign-in")
    ENDED_BY_USER = "ended_by_user", _("Ended by the user from elsewhere")
    ENDED_BY_OPERATOR = "ended_by_operator", _("Ended by an operator")
    PASSWORD_CHANGED = "password_changed", _("Password changed")
    USER_DISABLED = "user_disabled", _("User disabled")
    USER_DELETED = "user_deleted", _("User deleted")


# Decision 14: ended so, a session leaves the grants that were to outlive it. Whoever ends one from elsewhere, its user
# or an operator, means the device and all that it was given.
PLAIN_ENDS = frozenset({SessionEndReason.SIGNED_OUT, SessionEndReason.REPLACED})


class FrontChannelState(models.TextChoices):
    """How far an application was told of a sign-out through the browser."""

    NONE = "", _("Not told in this way")
    WAITING = "waiting", _("Waiting")
    SHOWN = "shown", _("Loaded by the browser")  # in a frame: there is no answer to it
    ASKED = "asked", _("Asked")  # the browser was sent there and has not come back
    CONFIRMED = "confirmed", _("Confirmed")
    REFUSED = "refused", _("Refused")


class SSOSession(models.Model):
    """Our session with one browser or device. The cookie or session_token is a handle, kept as a keyed hash."""

    sid = models.CharField(_("sid"), max_length=43, unique=True)  # public: goes into id_tokens and logout tokens
    handle_hash = models.CharField(max_length=64, unique=True, editable=False)  # hex keyed hash of the handle
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, db_index=False, related_name="sso_sessions", verbose_name=_("user")
    )
    kind = models.CharField(_("kind"), max_length=16, choices=SessionKind.choices, default=SessionKind.BROWSER)
    amr = models.JSONField(_("authentication methods"), default=list)  # RFC8176-2, in order of use
    acr = models.CharField(_("assurance"), max_length=100, default="")
    authenticated_at = models.DateTimeField(_("signed in at"))  # auth_time
    factor_skipped = models.BooleanField(_("second factor put off"), default=False, db_default=False)
    device_trusted = models.BooleanField(
        _("second factor left out in a trusted browser"), default=False, db_default=False
    )
    password_confirmed_at = models.DateTimeField(_("password confirmed at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    last_seen_at = models.DateTimeField(_("last seen at"))
    idle_expires_at = models.DateTimeField(_("expires when idle at"))
    expires_at = models.DateTimeField(_("expires at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    end_reason = models.CharField(
        _("ended because"), max_length=32, choices=SessionEndReason.choices, blank=True, default=""
    )
    ip = models.GenericIPAddressField(_("address"), null=True, blank=True)
    user_agent = models.CharField(_("browser"), max_length=300, blank=True, default="")
    # Blind index of the fingerprint of the device that signed in, "" for browsers; see devices.py.
    device_index = models.CharField(max_length=64, blank=True, default="", editable=False)
    epoch = models.IntegerField(default=0, db_default=0, editable=False)  # of its user, when it was made (S48)

    class Meta:
        verbose_name = _("SSO session")
        verbose_name_plural = _("SSO sessions")
        indexes = [
            models.Index(fields=["user", "ended_at"], name="sso_session_user_ended"),
            models.Index(fields=["expires_at"], name="sso_session_expires"),
        ]

    def __str__(self) -> str:
        return f"session {self.pk}"

    @property
    def is_usable(self) -> bool:
        """Whether the session still counts: not ended, not too old, not idle, and its person may act (S26)."""
        now = timezone.now()
        return (
            self.ended_at is None
            and now < self.expires_at
            and now < self.idle_expires_at
            and self.epoch == self.user.epoch  # S48
            and self.user.is_usable
        )

    @property
    def leaves_offline_grants(self) -> bool:
        """Whether grants that outlive their session outlive this one too (decision 14)."""
        return self.ended_at is None or self.end_reason in PLAIN_ENDS


class SessionParticipant(models.Model):
    """An application that a session was used to sign in to; logout tells each of them."""

    session = models.ForeignKey(SSOSession, on_delete=models.CASCADE, db_index=False, related_name="participants")
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="+")
    protocol = models.CharField(max_length=16)  # "oidc", "cas", "saml"
    registration = models.CharField(max_length=255)  # client_id, CAS service id or SAML entity id
    data = models.JSONField(default=dict, blank=True)  # what that protocol's logout needs
    joined_at = models.DateTimeField(auto_now_add=True)
    front_channel_state = models.CharField(
        _("told through the browser"),
        max_length=16,
        choices=FrontChannelState.choices,
        blank=True,
        default=FrontChannelState.NONE,
    )
    front_channel_at = models.DateTimeField(null=True, blank=True)  # of its last change

    class Meta:
        verbose_name = _("session participant")
        verbose_name_plural = _("session participants")
        constraints = [
            models.UniqueConstraint(fields=["session", "protocol", "registration"], name="one_participant_per_session")
        ]

    def __str__(self) -> str:
        return f"participant {self.pk}"


class SSOTicket(models.Model):
    """A one-time hand-over of a session's user to one application (OneAccess-3.2.10). Only its keyed hash is kept."""

    ticket_hash = models.CharField(max_length=64, unique=True, editable=False)  # hex keyed hash
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    session = models.ForeignKey(SSOSession, on_delete=models.CASCADE, related_name="+", verbose_name=_("session"))
    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="+", verbose_name=_("application")
    )  # whose back end may spend it
    client_id = models.CharField(_("client ID"), max_length=255)  # of the registration that was named, or that asked
    device_index = models.CharField(max_length=64, editable=False)  # of the session, when the ticket was made
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"))
    consumed_at = models.DateTimeField(_("spent at"), null=True, blank=True)  # set once, by a conditional update
    epoch = models.IntegerField(default=0, db_default=0, editable=False)  # of its user, when it was made (S48)

    class Meta:
        verbose_name = _("SSO ticket")
        verbose_name_plural = _("SSO tickets")
        indexes = [models.Index(fields=["expires_at"], name="sso_ticket_expires")]

    def __str__(self) -> str:
        return f"SSO ticket {self.pk}"
