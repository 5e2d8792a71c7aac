"""What people have enrolled to prove themselves by, beside the password, and the ceremonies under way for it.

Which kinds a person has also stands on the person's own row (`User.factor_kinds`), so that a sign-in asks for none of
these tables until a factor is proved. `identity.sign_in.enrolment` writes both in one transaction.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.ids import PUBLIC_ID_LENGTH, new_public_id
from identity.models.tenants import Tenant


class FactorKind(models.TextChoices):
    """What people enrol by themselves. Codes to a proved mailbox or telephone need no enrolment."""

    TOTP = "totp", _("Authenticator app")
    RECOVERY_CODE = "recovery_code", _("Recovery codes")


class TOTPAlgorithm(models.TextChoices):
    SHA1 = "sha1", "SHA-1"
    SHA256 = "sha256", "SHA-256"


class AuthenticatorApp(models.Model):
    """A secret that an app of the person shares with us, for codes that change with the time (RFC 6238)."""

    public_id = models.CharField(max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id, editable=False)
    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, related_name="authenticator_apps", verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=100)
    secret_sealed = models.CharField(max_length=400, editable=False)  # base32
    algorithm = models.CharField(
        _("algorithm"), max_length=16, choices=TOTPAlgorithm.choices, default=TOTPAlgorithm.SHA1
    )
    # RFC6238-5.2: the newest time step whose code was taken. A conditional UPDATE raises it, so each is taken once.
    last_step = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)

    class Meta:
        verbose_name = _("authenticator app")
        verbose_name_plural = _("authenticator apps")

    def __str__(self) -> str:
        return f"authenticator app {self.pk}"


class RecoveryCode(models.Model):
    """A code on paper, for whoever has lost everything else. Only its keyed hash is kept; each is good once."""

    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, related_name="recovery_codes", verbose_name=_("user"), db_index=False
    )
    code_hash = models.CharField(max_length=64, editable=False)  # hex keyed hash
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    consumed_at = models.DateTimeField(_("spent at"), null=True, blank=True)  # set once, by a conditional update

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")
        constraints = [models.UniqueConstraint(fields=["user", "code_hash"], name="recovery_code_per_user")]

    def __str__(self) -> str:
        return f"recovery code {self.pk}"


class CeremonyPurpose(models.TextChoices):
    ENROL_TOTP = "enrol_totp", _("An authenticator app is being added")


class FactorCeremony(models.Model):
    """Something made for one person or browser to answer, once: the secret of an app that is being added.

    It counts for what it was made for only: one sign-in under way, or one session (S28, S29).
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("user")
    )
    purpose = models.CharField(_("purpose"), max_length=24, choices=CeremonyPurpose.choices)
    bound_to = models.CharField(_("good for"), max_length=64)  # "session 12" or "sign-in 34"
    secret_sealed = models.CharField(max_length=400, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"))
    consumed_at = models.DateTimeField(_("spent at"), null=True, blank=True)  # set once, by a conditional update

    class Meta:
        verbose_name = _("enrolment under way")
        verbose_name_plural = _("enrolments under way")
        constraints = [
            models.UniqueConstraint(
                fields=["bound_to", "purpose"],
                condition=models.Q(consumed_at=None),
                name="one_open_ceremony_per_owner",
            )
        ]
        indexes = [models.Index(fields=["expires_at"], name="factor_ceremony_expires")]

    def __str__(self) -> str:
        return f"factor ceremony {self.pk}"
