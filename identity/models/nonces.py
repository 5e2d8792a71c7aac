"""What may be used once and was."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.tenants import Tenant


class SpentNonce(models.Model):
    """A nonce that was used. Its row is the lock: of two requests with the same one, one can write it (decision 32)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    key_hash = models.CharField(max_length=64, unique=True, editable=False)  # keyed hash of the nonce and whose it is
    expires_at = models.DateTimeField(_("expires at"))  # from then on the same nonce may be used again

    class Meta:
        verbose_name = _("spent nonce")
        verbose_name_plural = _("spent nonces")
        indexes = [models.Index(fields=["expires_at"], name="spent_nonce_expires")]

    def __str__(self) -> str:
        return f"spent nonce {self.pk}"
