"""The organisation tree and who belongs where."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.ids import PUBLIC_ID_LENGTH, new_public_id
from identity.models.reading import ReadSafely
from identity.models.tenants import Tenant


class OrganizationCategory(models.TextChoices):
    """Kinds of organisation (tenant API contract, schema OrgCategory)."""

    DEPARTMENT = "department", _("Department")
    COMPANY = "company", _("Company")
    UNIT = "unit", _("Unit")
    GROUP = "group", _("Group")


class Organization(ReadSafely):
    """A node of the tenant's tree. `path` is materialised: "/<id>/…/<own id>/" (decision 4)."""

    public_id = models.CharField(_("public id"), max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="organizations", verbose_name=_("tenant")
    )
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children", verbose_name=_("parent")
    )
    code = models.CharField(_("code"), max_length=64)
    name = models.CharField(_("name"), max_length=100)
    category = models.CharField(
        _("category"), max_length=16, choices=OrganizationCategory.choices, default=OrganizationCategory.DEPARTMENT
    )
    path = models.CharField(_("path"), max_length=500, db_index=False, default="", editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("organisation")
        verbose_name_plural = _("organisations")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "code"], name="organization_code_per_tenant"),
            models.UniqueConstraint(fields=["tenant", "parent", "name"], name="organization_name_per_parent"),
            models.UniqueConstraint(
                fields=["tenant", "name"], condition=models.Q(parent=None), name="root_organization_name_per_tenant"
            ),
        ]
        indexes = [
            # For prefixes, which PostgreSQL's usual collations look up in no other index. SQLite ignores the classes.
            models.Index(
                fields=["tenant", "path"],
                opclasses=["int8_ops", "varchar_pattern_ops"],
                name="organization_path_prefix",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A user in an organisation; at most one membership of a user is the primary one."""

    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, db_index=False, related_name="memberships", verbose_name=_("user")
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="memberships", verbose_name=_("organisation")
    )
    is_primary = models.BooleanField(_("primary"), default=False)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["user", "organization"], name="one_membership_per_organization"),
            models.UniqueConstraint(
                fields=["user"], condition=models.Q(is_primary=True), name="one_primary_membership"
            ),
        ]

    def __str__(self) -> str:
        return f"membership {self.pk}"
