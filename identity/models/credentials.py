"""What proves a person, beside the password hash on the user's own row."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.tenants import Tenant


class PasswordHistory(models.Model):
    """An earlier password hash, kept to refuse its reuse (PWD.0001)."""

    user = models.ForeignKey("identity.User", on_delete=models.CASCADE, db_index=False, related_name="password_history")
    password = models.CharField(max_length=255)  # Django hasher format
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("old password")
        verbose_name_plural = _("old passwords")
        indexes = [models.Index(fields=["user", "-created_at"], name="password_history_user")]

    def __str__(self) -> str:
        return f"old password {self.pk}"


class CounterKind(models.TextChoices):
    ACCOUNT = "account", _("Account")
    UNKNOWN_NAME = "unknown_name", _("Unknown name")
    SOURCE = "source", _("Source address")
    SEND_TARGET = "send_target", _("Codes sent to one target")
    SEND_TARGET_DAY = "send_target_day", _("Codes sent to one target in a day")
    SEND_DEVICE = "send_device", _("Codes sent for one device")
    SEND_SOURCE = "send_source", _("Codes sent for one source")
    SEND_TENANT = "send_tenant", _("Codes sent for the tenant")
    API_CLIENT = "api_client", _("API requests of a client")
    CAPTCHA_SOURCE = "captcha_source", _("Captchas drawn for one source")


class AttemptCounter(models.Model):
    """Failed tries against one account, unknown name or source, for all factors together (S30, S31, decision 24)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    kind = models.CharField(max_length=16, choices=CounterKind.choices)
    key_hash = models.CharField(max_length=64)  # keyed hash of the user's id, the name, the address or the target
    failures = models.PositiveIntegerField(default=0)
    window_started_at = models.DateTimeField()
    locked_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "kind", "key_hash"], name="one_counter_per_key")]
        indexes = [models.Index(fields=["window_started_at"], name="attempt_counter_window")]

    def __str__(self) -> str:
        return f"attempt counter {self.pk}"
