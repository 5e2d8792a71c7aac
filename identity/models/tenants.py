"""Tenants: the outermost boundary of every row."""

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.ids import PUBLIC_ID_LENGTH, new_public_id
from identity.models.reading import ReadSafely
from identity.validators import validate_language, validate_time_zone, validate_web_address

HOST_PATTERN = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?$"


class NewClientAlgorithm(models.TextChoices):
    """RFC7518-3.1: what signs the id_tokens of clients that do not say otherwise."""

    RS256 = "RS256", _("RS256: RSA, which every client verifies")
    ES256 = "ES256", _("ES256: elliptic curve, a twelfth of the work")


class Tenant(ReadSafely):
    """One customer: its people, applications, keys and policies. Chosen by host name (decision 10)."""

    public_id = models.CharField(_("public id"), max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id)
    code = models.SlugField(_("code"), max_length=64, unique=True)
    name = models.CharField(_("name"), max_length=100)
    logo_url = models.CharField(
        _("logo address"), max_length=500, blank=True, default="", validators=[validate_web_address]
    )
    is_active = models.BooleanField(_("active"), default=True)
    is_default = models.BooleanField(_("default tenant"), default=False)
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="Asia/Shanghai", validators=[validate_time_zone]
    )  # IANA name
    language = models.CharField(_("language"), max_length=16, default="en", validators=[validate_language])
    has_demo_data = models.BooleanField(_("holds demo data"), default=False, editable=False)  # set by load_demo
    localize_errors = models.BooleanField(_("localise error texts"), default=False)  # decision 28
    allow_registration = models.BooleanField(
        _("people may register"), default=False, help_text=_("In apps, by a code sent to their mobile number.")
    )
    registration_organization = models.ForeignKey(
        "identity.Organization",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("organisation of people who register"),
        help_text=_("Empty: the first one at the top, if there is any."),
    )
    encrypt_captcha = models.BooleanField(
        _("give captchas a key"),
        default=False,
        help_text=_("Apps may then encrypt the position, as AJ-Captcha does; a plain one is taken too."),
    )
    id_token_signed_response_alg = models.CharField(
        _("ID token signature of new clients"),
        max_length=8,
        choices=NewClientAlgorithm.choices,
        default=NewClientAlgorithm.RS256,
        db_default=NewClientAlgorithm.RS256,
        help_text=_(
            "For clients that are registered from now on and do not say otherwise. A signature takes 213 µs of a "
            "processor with RS256 (2048 bits) and 17 µs with ES256. Dialects without ES256 keep RS256."
        ),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("tenant")
        verbose_name_plural = _("tenants")
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="one_default_tenant"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse an organisation of another tenant (S36). Raises ValidationError."""
        chosen = self.registration_organization
        if chosen is not None and chosen.tenant_id != self.pk:
            raise ValidationError({"registration_organization": _("It belongs to another tenant.")})


class TenantDomain(models.Model):
    """A host name of a tenant. The one with the lowest position makes the issuer (decision 10)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="domains", verbose_name=_("tenant"))
    host = models.CharField(
        _("host name"), max_length=253, unique=True, validators=[RegexValidator(HOST_PATTERN)]
    )  # lower case, with the port only where it is not the scheme's own
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("domain")
        verbose_name_plural = _("domains")
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.host
