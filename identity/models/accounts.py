"""Accounts inside applications."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.applications import Application, AppOrganization
from identity.models.ids import PUBLIC_ID_LENGTH, new_public_id
from identity.models.reading import ReadSafely
from identity.validators import validate_object


class AccountType(models.TextChoices):
    """Kinds of application account (tenant API contract, schema AccountType)."""

    BASIC = "BASIC_ACCOUNT", _("Basic account")
    ORPHAN = "ORPHAN_ACCOUNT", _("Account without an owner")
    PUBLIC = "PUBLIC_ACCOUNT", _("Public account")


class AppAccount(ReadSafely):
    """A user's account inside one application. Only basic accounts have an owner."""

    public_id = models.CharField(_("public id"), max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id)
    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, db_index=False, related_name="accounts", verbose_name=_("application")
    )
    user = models.ForeignKey(
        "identity.User",
        on_delete=models.PROTECT,
        db_index=False,
        null=True,
        blank=True,
        related_name="app_accounts",
        verbose_name=_("user"),
    )
    account_type = models.CharField(_("type"), max_length=16, choices=AccountType.choices, default=AccountType.BASIC)
    account_name = models.CharField(_("account name"), max_length=150)
    name = models.CharField(_("display name"), max_length=150, blank=True, default="")
    organization = models.ForeignKey(
        AppOrganization,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="accounts",
        verbose_name=_("application organisation"),
    )
    password_sealed = models.TextField(_("password, sealed"), blank=True, default="", editable=False)
    extension = models.JSONField(_("extended attributes"), blank=True, default=dict, validators=[validate_object])
    is_active = models.BooleanField(_("enabled"), default=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("application account")
        verbose_name_plural = _("application accounts")
        constraints = [
            models.UniqueConstraint(fields=["application", "account_name"], name="account_name_per_application"),
            # An owner has one account in an application (APP_ACCOUNT.0002), so its name is never ambiguous.
            models.UniqueConstraint(fields=["user", "application"], name="one_account_per_user_and_application"),
            models.CheckConstraint(
                condition=models.Q(account_type="BASIC_ACCOUNT", user__isnull=False)
                | (~models.Q(account_type="BASIC_ACCOUNT") & models.Q(user=None)),
                name="only_basic_accounts_have_an_owner",
            ),
        ]

    def __str__(self) -> str:
        return self.account_name
