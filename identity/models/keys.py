"""Keys as rows."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.tenants import Tenant


class KeyUse(models.TextChoices):
    """RFC7517-4.2, and the keys of SAML, which are in no JWK set: service providers pin their certificates."""

    SIG = "sig", _("Signing")
    ENC = "enc", _("Encryption")
    SAML = "saml", _("SAML signing")


class KeyState(models.TextChoices):
    NEXT = "next", _("Next")
    ACTIVE = "active", _("Active")
    RETIRED = "retired", _("Retired")
    REVOKED = "revoked", _("Revoked")


class KeyPair(models.Model):
    """A key pair of a tenant: one active and one published next for each (use, alg) (decision 29)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="keys", verbose_name=_("tenant"))
    kid = models.CharField(_("kid"), max_length=64, unique=True)  # RFC 7638 thumbprint, base64url
    use = models.CharField(_("use"), max_length=8, choices=KeyUse.choices)
    alg = models.CharField(_("algorithm"), max_length=16)  # RFC7518-3.1 or RFC7518-4.1
    state = models.CharField(_("state"), max_length=16, choices=KeyState.choices)
    private_sealed = models.TextField(editable=False)  # PKCS #8 DER, sealed
    public_jwk = models.JSONField(_("public key"))  # RFC 7517 members, without private ones
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    activated_at = models.DateTimeField(_("active since"), null=True, blank=True)
    retired_at = models.DateTimeField(_("retired at"), null=True, blank=True)
    published_until = models.DateTimeField(_("published until"), null=True, blank=True)  # retired keys only

    class Meta:
        verbose_name = _("key pair")
        verbose_name_plural = _("key pairs")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "use", "alg"], condition=models.Q(state="active"), name="one_active_key"
            ),
            models.UniqueConstraint(
                fields=["tenant", "use", "alg"], condition=models.Q(state="next"), name="one_next_key"
            ),
        ]

    def __str__(self) -> str:
        return self.kid


class SecretFingerprint(models.Model):
    """What this installation's secrets look like from outside, so that other ones are told before they do harm.

    One row for each list of keys in the environment: a keyed hash by the key that writes, which nobody can turn round.
    """

    variable = models.CharField(_("variable"), max_length=32, primary_key=True)  # as in the environment
    fingerprint = models.CharField(_("fingerprint"), max_length=64)  # hex HMAC-SHA-256
    recorded_at = models.DateTimeField(_("recorded at"), auto_now=True)

    class Meta:
        verbose_name = _("secret fingerprint")
        verbose_name_plural = _("secret fingerprints")

    def __str__(self) -> str:
        return self.variable
