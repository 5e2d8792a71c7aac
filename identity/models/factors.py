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

    PASSKEY = "passkey", _("Passkey")
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


class Passkey(models.Model):
    """A key pair of an authenticator of the person (WebAuthn). Binary values are base64url without padding."""

    public_id = models.CharField(max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id, editable=False)
    user = models.ForeignKey("identity.User", on_delete=models.CASCADE, related_name="passkeys", verbose_name=_("user"))
    name = models.CharField(_("name"), max_length=100)
    credential_id = models.CharField(_("credential id"), max_length=1364, editable=False)  # of at most 1023 bytes
    public_key = models.TextField(editable=False)  # COSE key in CBOR
    algorithm = models.IntegerField(_("algorithm"))  # of COSE: -7 is ES256
    sign_count = models.BigIntegerField(_("signature counter"), default=0)
    is_backup_eligible = models.BooleanField(_("may be copied to other devices"), default=False)
    is_backed_up = models.BooleanField(_("copied to other devices"), default=False)
    is_user_verified = models.BooleanField(_("asked for the person when it was added"), default=False)
    is_discoverable = models.BooleanField(_("signs in without a name"), null=True, blank=True)  # None: not told
    transports = models.JSONField(_("transports"), default=list, blank=True)
    aaguid = models.CharField(_("AAGUID"), max_length=36, blank=True, default="")
    attestation_format = models.CharField(_("attestation"), max_length=32, blank=True, default="")
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)

    class Meta:
        verbose_name = _("passkey")
        verbose_name_plural = _("passkeys")
        # Of any person of any tenant (WebAuthn, "Registering a New Credential").
        constraints = [models.UniqueConstraint(fields=["credential_id"], name="one_passkey_per_credential_id")]

    def __str__(self) -> str:
        return f"passkey {self.pk}"


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


class TrustedDevice(models.Model):
    """A browser in which its person need not prove the second factor, until a day. Only keyed hashes of it are kept."""

    public_id = models.CharField(max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id, editable=False)
    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, related_name="trusted_devices", verbose_name=_("user")
    )
    handle_hash = models.CharField(max_length=64, unique=True, editable=False)  # hex keyed hash, of a cookie of its own
    binding_hash = models.CharField(max_length=64, editable=False)  # hex keyed hash, of the browser's binding
    epoch = models.IntegerField(editable=False)  # of its user, when it was made (S48)
    user_agent = models.CharField(_("browser"), max_length=300, blank=True, default="")
    ip = models.GenericIPAddressField(_("address"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"))

    class Meta:
        verbose_name = _("trusted browser")
        verbose_name_plural = _("trusted browsers")
        indexes = [models.Index(fields=["expires_at"], name="trusted_device_expires")]

    def __str__(self) -> str:
        return f"trusted browser {self.pk}"


class CeremonyPurpose(models.TextChoices):
    ENROL_TOTP = "enrol_totp", _("An authenticator app is being added")
    ENROL_PASSKEY = "enrol_passkey", _("A passkey is being added")
    PASSKEY_FACTOR = "passkey_factor", _("A passkey is asked for as the second factor")
    PASSKEY_SIGN_IN = "passkey_sign_in", _("A passkey is asked for without a name")


class FactorCeremony(models.Model):
    """Something made for one person or browser to answer, once: an app's secret, or a challenge for a passkey.

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
        verbose_name = _("proof under way")
        verbose_name_plural = _("proofs under way")
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
