"""The application catalogue. Protocol registrations point here (house plan, section 2)."""

from typing import Any, ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.ids import PUBLIC_ID_LENGTH, new_public_id
from identity.models.policies import MFAMode
from identity.models.reading import ReadSafely
from identity.models.tenants import Tenant
from identity.validators import validate_web_address


class ApplicationAccess(models.TextChoices):
    """Who may sign in to an application (decision 7)."""

    EVERYONE = "everyone", _("Everyone of the tenant")
    ASSIGNED = "assigned", _("Users with an enabled application account")


class Application(ReadSafely):
    """Something people sign in to. One row, whatever protocols it speaks."""

    public_id = models.CharField(_("public id"), max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="applications", verbose_name=_("tenant")
    )
    code = models.CharField(_("code"), max_length=64, validators=[RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")])
    name = models.CharField(_("name"), max_length=100)
    description = models.CharField(_("description"), max_length=500, blank=True, default="")
    logo_url = models.CharField(
        _("logo address"), max_length=500, blank=True, default="", validators=[validate_web_address]
    )
    home_url = models.CharField(
        _("home address"), max_length=500, blank=True, default="", validators=[validate_web_address]
    )
    is_active = models.BooleanField(_("enabled"), default=True)
    access = models.CharField(
        _("access"), max_length=16, choices=ApplicationAccess.choices, default=ApplicationAccess.EVERYONE
    )
    is_internal = models.BooleanField(
        _("internal"), default=False, help_text=_("Its addresses may lie in the private network.")
    )  # decision 12
    skip_consent = models.BooleanField(_("skip consent"), default=False)
    mfa_mode = models.CharField(
        _("second factor"),
        max_length=32,
        choices=MFAMode.choices,
        blank=True,
        default="",
        help_text=_("Empty: the tenant's."),
    )
    has_organizations = models.BooleanField(_("has application organisations"), default=True)
    has_roles = models.BooleanField(_("has application roles"), default=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    # Nobody comes in by a slip, nor with one factor.
    read_as: ClassVar[dict[str, Any]] = {"access": ApplicationAccess.ASSIGNED, "mfa_mode": MFAMode.ALWAYS}

    class Meta:
        verbose_name = _("application")
        verbose_name_plural = _("applications")
        constraints = [models.UniqueConstraint(fields=["tenant", "code"], name="application_code_per_tenant")]

    def __str__(self) -> str:
        return self.name


class AppOrganization(models.Model):
    """A node of an application's own organisation tree; `path` as in Organization."""

    public_id = models.CharField(_("public id"), max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id)
    application = models.ForeignKey(
        Application,
        on_delete=models.CASCADE,
        db_index=False,
        related_name="organizations",
        verbose_name=_("application"),
    )
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children", verbose_name=_("parent")
    )
    code = models.CharField(_("code"), max_length=64)
    name = models.CharField(_("name"), max_length=100)
    path = models.CharField(_("path"), max_length=500, default="", editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("application organisation")
        verbose_name_plural = _("application organisations")
        constraints = [
            models.UniqueConstraint(fields=["application", "code"], name="app_organization_code"),
            models.UniqueConstraint(fields=["application", "parent", "name"], name="app_organization_name_per_parent"),
            models.UniqueConstraint(
                fields=["application", "name"], condition=models.Q(parent=None), name="root_app_organization_name"
            ),
        ]
        indexes = [
            models.Index(  # as Organization's
                fields=["application", "path"],
                opclasses=["int8_ops", "varchar_pattern_ops"],
                name="app_organization_path_prefix",
            )
        ]

    def __str__(self) -> str:
        return self.name
