"""Roles inside applications."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.accounts import AppAccount
from identity.models.applications import Application
from identity.models.ids import PUBLIC_ID_LENGTH, new_public_id


class AppRole(models.Model):
    """A role of one application, held by accounts."""

    public_id = models.CharField(_("public id"), max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id)
    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, db_index=False, related_name="roles", verbose_name=_("application")
    )
    code = models.CharField(_("code"), max_length=50)
    name = models.CharField(_("name"), max_length=32, blank=True, default="")
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), null=True, blank=True, editable=False)  # null: never changed

    class Meta:
        verbose_name = _("application role")
        verbose_name_plural = _("application roles")
        constraints = [models.UniqueConstraint(fields=["application", "code"], name="role_code_per_application")]

    def __str__(self) -> str:
        return self.code


class AppRoleMember(models.Model):
    """An account that holds a role."""

    role = models.ForeignKey(
        AppRole, on_delete=models.CASCADE, db_index=False, related_name="members", verbose_name=_("role")
    )
    account = models.ForeignKey(AppAccount, on_delete=models.CASCADE, related_name="roles", verbose_name=_("account"))

    class Meta:
        verbose_name = _("role member")
        verbose_name_plural = _("role members")
        constraints = [models.UniqueConstraint(fields=["role", "account"], name="one_membership_per_role")]

    def __str__(self) -> str:
        return f"role member {self.pk}"
