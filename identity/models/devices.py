"""The devices that people sign in from with native apps."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.tenants import Tenant


class Device(models.Model):
    """A device that a user signed in from. What the app says of it is hearsay, shown to people and never trusted."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, related_name="devices", verbose_name=_("user"), db_index=False
    )
    fingerprint_index = models.CharField(max_length=64, editable=False)  # blind index; equals SSOSession.device_index
    os_version = models.CharField(_("system"), max_length=100, blank=True, default="")
    agent = models.CharField(_("app"), max_length=300, blank=True, default="")
    ip = models.GenericIPAddressField(_("address"), null=True, blank=True)  # where its last sign-in came from
    claimed_ip = models.GenericIPAddressField(_("address by its own word"), null=True, blank=True)
    first_seen_at = models.DateTimeField(_("first seen at"))
    last_seen_at = models.DateTimeField(_("last seen at"))

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")
        constraints = [models.UniqueConstraint(fields=["user", "fingerprint_index"], name="device_per_user")]
        indexes = [models.Index(fields=["last_seen_at"], name="device_last_seen")]

    def __str__(self) -> str:
        return f"device {self.pk}"
