"""Per-tenant policy. Rows, not settings: an operator changes them in the admin."""

from typing import Any, ClassVar, Self

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.reading import ReadSafely
from identity.models.tenants import Tenant
from identity.validators import DAY, MINUTE, count, seconds, validate_countries, validate_factors


class MFAMode(models.TextChoices):
    """When a second factor is asked for (decision 21)."""

    NEVER = "never", _("Never")
    IF_ENROLLED = "if_enrolled", _("If the user has enrolled one")
    ALWAYS = "always", _("Always")
    PHISHING_RESISTANT = "phishing_resistant", _("Always, and by a passkey")


class SignInMethod(models.TextChoices):
    """By what a sign-in begins on the page. Codes are named like the channels that carry them."""

    PASSWORD = "password", _("Password")
    SMS = "sms", _("Code by text message")
    EMAIL = "email", _("Code by mail")


class PasswordPolicy(ReadSafely):
    """What a password must be, how long it lives, and when guessing locks (PWD.*, LOGIN.0001)."""

    tenant = models.OneToOneField(
        Tenant, on_delete=models.CASCADE, related_name="password_policy", verbose_name=_("tenant")
    )
    min_length = models.PositiveSmallIntegerField(_("minimum length"), default=8, validators=count(6, 128))
    max_length = models.PositiveSmallIntegerField(_("maximum length"), default=64, validators=count(8, 128))
    min_classes = models.PositiveSmallIntegerField(
        _("character classes needed"),  # of lower case, upper case, digits, others
        default=2,
        validators=count(1, 4),
    )
    max_identical = models.PositiveSmallIntegerField(
        _("identical characters allowed"),
        default=0,
        validators=count(0, 128),
        help_text=_("How often one character may occur; 0 does not limit."),
    )
    history_length = models.PositiveSmallIntegerField(_("old passwords refused"), default=3, validators=count(0, 24))
    refuse_user_name = models.BooleanField(_("refuse user name, mobile and e-mail inside"), default=True)
    refuse_user_name_reversed = models.BooleanField(_("refuse user name backwards"), default=True)
    refuse_weak_list = models.BooleanField(_("refuse passwords of the weak list"), default=True)
    weak_words = models.TextField(_("further weak passwords"), blank=True, default="", help_text=_("One a line."))
    refuse_breached = models.BooleanField(
        _("refuse passwords known from breaches"),
        default=False,
        db_default=False,
        help_text=_("New ones are looked up where the installation says. They pass where that does not answer."),
    )
    breach_threshold = models.PositiveIntegerField(
        _("times seen in breaches before refusing"), default=1, db_default=1, validators=count(1, 1_000_000_000)
    )
    max_age_days = models.PositiveSmallIntegerField(
        _("days until expiry"), default=0, validators=count(0, 3660), help_text=_("0: never.")
    )
    warn_days = models.PositiveSmallIntegerField(
        _("days of warning before expiry"), default=7, validators=count(0, 366)
    )
    max_failures = models.PositiveSmallIntegerField(
        _("failed tries before locking"), default=5, validators=count(1, 10_000)
    )
    max_failures_per_source = models.PositiveIntegerField(
        _("failed tries of one address before locking"), default=100, validators=count(1)
    )
    failure_window_seconds = models.PositiveIntegerField(
        _("seconds in which failures are counted"), default=900, validators=seconds(1, 31 * DAY)
    )
    lock_seconds = models.PositiveIntegerField(_("seconds a lock lasts"), default=900, validators=seconds(1, 31 * DAY))
    operators_may_reset = models.BooleanField(
        _("operators may replace a forgotten password themselves"),
        default=False,
        db_default=False,
        help_text=_(
            "By one code to their mailbox and another one to their telephone, both proved. Superusers never may, as "
            "whoever sets up a tenant's gateways can read what they carry. Only superusers change this."
        ),
    )

    class Meta:
        verbose_name = _("password policy")
        verbose_name_plural = _("password policies")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(min_length__lte=models.F("max_length")), name="password_lengths_in_order"
            )
        ]

    def __str__(self) -> str:
        return f"password policy {self.tenant_id}"

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any, **options: Any) -> Self:
        """Make the row; where one of the lengths had to be replaced, the two still leave room for a password."""
        row = super().from_db(db, field_names, values, **options)
        if row.unusable and row.min_length > row.max_length:
            row.min_length, row.max_length = row.max_length, row.min_length
        return row


class SessionPolicy(ReadSafely):
    """How long sign-ins last and when a second factor is needed (decisions 21 and 23)."""

    tenant = models.OneToOneField(
        Tenant, on_delete=models.CASCADE, related_name="session_policy", verbose_name=_("tenant")
    )
    # Less than a minute, and nobody gets from the sign-in page to the next one.
    idle_seconds = models.PositiveIntegerField(
        _("seconds a browser session may idle"), default=8 * 3600, validators=seconds(MINUTE)
    )
    lifetime_seconds = models.PositiveIntegerField(
        _("seconds a browser session lasts"), default=24 * 3600, validators=seconds(MINUTE)
    )
    sdk_lifetime_seconds = models.PositiveIntegerField(
        _("seconds an app session lasts"), default=604_800, validators=seconds(MINUTE)
    )
    sdk_max_seconds = models.PositiveIntegerField(
        _("seconds an app session lasts with refreshing"),
        default=90 * DAY,
        validators=seconds(MINUTE),
        help_text=_("Counted from the sign-in. A refresh gives the lifetime above once more, up to here."),
    )
    sso_ticket_seconds = models.PositiveIntegerField(
        _("seconds an SSO ticket lasts"), default=300, validators=seconds(10, 9600)
    )
    sign_in_by_password = models.BooleanField(
        _("sign-in by password"),
        default=True,
        db_default=True,
        help_text=_("On the sign-in page. Passkeys are taken there wherever they are allowed as second factors."),
    )
    sign_in_by_sms = models.BooleanField(
        _("sign-in by a code in a text message"),
        default=False,
        db_default=False,
        help_text=_("On the sign-in page, in place of a password, to proved numbers. Never for superusers."),
    )
    sign_in_by_email = models.BooleanField(
        _("sign-in by a code in mail"),
        default=False,
        db_default=False,
        help_text=_("On the sign-in page, in place of a password, to proved mailboxes. Never for superusers."),
    )
    mfa_mode = models.CharField(_("second factor"), max_length=32, choices=MFAMode.choices, default=MFAMode.NEVER)
    factors_allowed = models.CharField(
        _("kinds of second factors allowed"),
        max_length=100,
        blank=True,
        default="",
        db_default="",
        validators=[validate_factors],
        help_text=_("Of passkey, totp, sms, email and recovery_code, with spaces between them. Empty: all."),
    )
    operators_need_own_factor = models.BooleanField(
        _("operators need a passkey or an authenticator app"),
        default=False,
        db_default=False,
        help_text=_("Superusers and operators, at every sign-in; a code by text message or mail is not enough."),
    )
    factor_grace_sign_ins = models.PositiveSmallIntegerField(
        _("sign-ins without a second factor until one must be set up"),
        default=0,
        db_default=0,
        validators=count(0, 100),
    )
    factor_grace_days = models.PositiveSmallIntegerField(
        _("days without a second factor until one must be set up"), default=0, db_default=0, validators=count(0, 366)
    )

    trusted_device_days = models.PositiveSmallIntegerField(
        _("days without the second factor in a browser that its person trusts"),
        default=0,
        db_default=0,
        validators=count(0, 366),
        help_text=_("0: it is asked for at every sign-in. Of operators it is always asked for."),
    )

    # A mode that is none was meant to ask for something, so everybody is asked. Whom that keeps out is let in by an
    # operator or, where it keeps out every operator, from the machine: `rescue_operator --email`, or `apply_config`.
    read_as: ClassVar[dict[str, Any]] = {"mfa_mode": MFAMode.ALWAYS}

    class Meta:
        verbose_name = _("session policy")
        verbose_name_plural = _("session policies")
        constraints = [
            # A passkey is no way in for whoever has none yet.
            models.CheckConstraint(
                condition=models.Q(sign_in_by_password=True)
                | models.Q(sign_in_by_sms=True)
                | models.Q(sign_in_by_email=True),
                name="one_way_to_sign_in",
                violation_error_message=_("One way of signing in has to stay: a password, or a code."),
            )
        ]

    def __str__(self) -> str:
        return f"session policy {self.tenant_id}"


class MessagePolicy(ReadSafely):
    """Where codes may be sent and how many, against pumping: messages ordered by strangers at the tenant's cost."""

    tenant = models.OneToOneField(
        Tenant, on_delete=models.CASCADE, related_name="message_policy", verbose_name=_("tenant")
    )
    country = models.CharField(
        _("own country"),
        max_length=2,
        blank=True,
        default="",
        validators=[RegexValidator(r"^[A-Z]{2}\Z"), validate_countries],
        help_text=_("ISO 3166 code: what numbers without a calling code mean. Empty: that of the time zone."),
    )
    allowed_countries = models.CharField(
        _("countries allowed"),
        max_length=1000,
        blank=True,
        default="",
        validators=[RegexValidator(r"^(\*|[A-Z]{2}( [A-Z]{2})*)\Z"), validate_countries],
        help_text=_("Codes with spaces between them, or * for all. Empty: the own country only."),
    )
    per_target_hour = models.PositiveIntegerField(
        _("codes an hour to one number or mailbox, for one purpose"), default=5, validators=count(1)
    )
    per_target_day = models.PositiveIntegerField(
        _("codes a day to one number or mailbox, for one purpose"), default=10, validators=count(1)
    )
    per_device_hour = models.PositiveIntegerField(
        _("codes an hour because of one device"), default=10, validators=count(1)
    )
    per_source_hour = models.PositiveIntegerField(
        _("codes an hour because of one network address"), default=30, validators=count(1)
    )
    per_tenant_day = models.PositiveIntegerField(
        _("codes a day in all"), default=10_000, validators=count(1, 100_000_000)
    )

    class Meta:
        verbose_name = _("message policy")
        verbose_name_plural = _("message policies")

    def __str__(self) -> str:
        return f"message policy {self.tenant_id}"
