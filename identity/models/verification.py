"""Steps of signing in that outlive one request, and the codes sent on the way."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.applications import Application
from identity.models.tenants import Tenant


class VerificationPurpose(models.TextChoices):
    SECOND_FACTOR = "second_factor", _("Second factor")
    RESET_PASSWORD = "reset_password", _("Forgotten password")
    VERIFY_EMAIL = "verify_email", _("E-mail verification")
    VERIFY_MOBILE = "verify_mobile", _("Mobile number verification")
    LOGIN = "login", _("Sign-in")
    REGISTER = "register", _("Registration")
    BIND = "bind", _("Linking")


class VerificationChannel(models.TextChoices):
    EMAIL = "email", _("E-mail")
    SMS = "sms", _("Text message")


class VerificationCode(models.Model):
    """A one-time code sent to a phone or mailbox. Only its keyed hash is kept; one is open per purpose and target."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("user")
    )
    purpose = models.CharField(_("purpose"), max_length=32, choices=VerificationPurpose.choices)
    channel = models.CharField(_("channel"), max_length=16, choices=VerificationChannel.choices)
    target_index = models.CharField(max_length=64, editable=False)  # blind index of the address or number
    target_masked = models.CharField(_("sent to"), max_length=100, blank=True, default="")
    code_hash = models.CharField(max_length=64, editable=False)  # hex keyed hash
    failures = models.PositiveSmallIntegerField(_("wrong tries"), default=0)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"))
    consumed_at = models.DateTimeField(_("spent at"), null=True, blank=True)  # set once, by a conditional update

    class Meta:
        verbose_name = _("verification code")
        verbose_name_plural = _("verification codes")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "purpose", "target_index"],
                condition=models.Q(consumed_at=None),
                name="one_open_code_per_target",
            )
        ]
        indexes = [models.Index(fields=["expires_at"], name="verification_code_expires")]

    def __str__(self) -> str:
        return f"verification code {self.pk}"


class Captcha(models.Model):
    """A sliding puzzle, and the captcha_token that its right answer gave: each is used once. The answer is sealed."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    token_hash = models.CharField(max_length=64, unique=True, editable=False)  # hex keyed hash
    binding_hash = models.CharField(max_length=64, editable=False)  # keyed hash of the client and its device
    solution_sealed = models.CharField(max_length=200, editable=False)  # JSON: x of the hole, key of the point
    captcha_token_hash = models.CharField(max_length=64, blank=True, default="", editable=False)  # given if right
    sender_hash = models.CharField(max_length=64, blank=True, default="", editable=False)  # whom that one is for
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"))  # of the puzzle, then of the captcha_token
    checked_at = models.DateTimeField(_("answered at"), null=True, blank=True)  # set once, by a conditional update
    consumed_at = models.DateTimeField(_("spent at"), null=True, blank=True)  # likewise

    class Meta:
        verbose_name = _("captcha")
        verbose_name_plural = _("captchas")
        indexes = [models.Index(fields=["expires_at"], name="captcha_expires")]

    def __str__(self) -> str:
        return f"captcha {self.pk}"


class LoginState(models.TextChoices):
    """Where one sign-in stands; the SDK contract's states and our own first one."""

    START = "START", _("Nothing proved yet")
    MFA_AUTH = "MFA_AUTH", _("Second factor needed")
    FACTOR_ENROL = "FACTOR_ENROL", _("Second factor to be set up")
    PASSWORD_WARN = "PASSWORD_WARN", _("Password will expire soon")
    PASSWORD_EXPIRED = "PASSWORD_EXPIRED", _("Password must be changed")
    SOCIAL_BIND = "SOCIAL_BIND", _("External identity to be linked")
    USER_REGISTER = "USER_REGISTER", _("External identity to be linked or registered")
    SUCCESS = "SUCCESS", _("Signed in")
    ACCESS_DENIED = "ACCESS_DENIED", _("Refused by policy")


class LoginTransaction(models.Model):
    """One sign-in under way, on the server (S44). Its handle is bound to the browser or device that began it."""

    handle_hash = models.CharField(max_length=64, unique=True, editable=False)  # hex keyed hash
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("user")
    )
    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("application")
    )
    channel = models.CharField(_("channel"), max_length=16)  # SessionKind
    binding_hash = models.CharField(max_length=64, editable=False)  # keyed hash of the browser's or device's own handle
    state = models.CharField(_("state"), max_length=32, choices=LoginState.choices, default=LoginState.START)
    next_url = models.TextField(blank=True, default="")  # path of our own site, checked when set
    amr = models.JSONField(default=list)  # factors proved so far, RFC8176-2
    data = models.JSONField(default=dict)  # what the step needs, e.g. login_hint, required acr, reauthenticate
    failures = models.PositiveSmallIntegerField(default=0)
    session = models.ForeignKey(
        "identity.SSOSession", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )  # the session that this sign-in opened
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"))
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)  # set once, by a conditional update
    consumed_at = models.DateTimeField(null=True, blank=True)  # when the protocol took note of the finished sign-in
    epoch = models.IntegerField(default=0, db_default=0, editable=False)  # of its user, at the latest proof (S48)

    class Meta:
        verbose_name = _("sign-in under way")
        verbose_name_plural = _("sign-ins under way")
        indexes = [models.Index(fields=["expires_at"], name="login_transaction_expires")]

    def __str__(self) -> str:
        return f"login transaction {self.pk}"
