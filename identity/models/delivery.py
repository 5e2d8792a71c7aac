"""What waits on the server: outgoing calls, and a browser's parked request."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.applications import Application
from identity.models.tenants import Tenant


class DeliveryState(models.TextChoices):
    PENDING = "pending", _("Waiting")
    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Given up")


class Delivery(models.Model):
    """One outgoing call, written in the transaction that causes it and sent at least once (decision 33)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("application")
    )
    kind = models.CharField(_("kind"), max_length=32)  # name of the registered sender
    url = models.CharField(_("address"), max_length=2000)
    jti = models.CharField(_("jti"), max_length=64, unique=True)  # the same at each repeat
    payload = models.JSONField(_("payload"), default=dict)  # what the sender needs; no secrets
    sid = models.CharField(_("session"), max_length=43, blank=True, default="")
    state = models.CharField(_("state"), max_length=16, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"))
    claimed_until = models.DateTimeField(null=True, blank=True)  # a worker has it until then
    last_status = models.PositiveSmallIntegerField(_("last status"), null=True, blank=True)  # HTTP
    last_error = models.CharField(_("last error"), max_length=200, blank=True, default="")
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=models.Q(state="pending"), name="delivery_due"),
            models.Index(fields=["sid"], name="delivery_sid"),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class PendingRequest(models.Model):
    """A cross-site POST kept while the browser comes back with a GET that carries its cookies (decision 8).

    Sealed, single use, bound to the browser.
    """

    handle_hash = models.CharField(max_length=64, unique=True, editable=False)  # hex keyed hash
    binding_hash = models.CharField(max_length=64, editable=False)  # keyed hash of the browser's own handle
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    path = models.CharField(max_length=500)
    payload_sealed = models.TextField(editable=False)  # JSON object of the parameters
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True, blank=True)  # set once, by a conditional update

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="pending_request_expires")]

    def __str__(self) -> str:
        return f"pending request {self.pk}"
