"""Where people may come from beside our own passwords, and who they are there."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.applications import Application
from identity.models.ids import PUBLIC_ID_LENGTH, new_public_id
from identity.models.reading import ReadSafely
from identity.models.tenants import Tenant


class UnknownUser(models.TextChoices):
    """What is offered to somebody whose external account belongs to no user yet."""

    BIND = "bind", _("Link to an existing user")
    BIND_OR_REGISTER = "bind_or_register", _("Link to an existing user, or register one")


class Upstream(ReadSafely):
    """One application of ours at a provider such as WeChat or Alipay: what asks there who a person is.

    A tenant may have several of one kind: for each of its phone apps, for its web pages, for pages inside the
    provider's own app. `kind` names a connector (identity.federation.connectors), so a new one needs no migration.
    """

    public_id = models.CharField(_("public id"), max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, db_index=False, related_name="upstreams", verbose_name=_("tenant")
    )
    kind = models.CharField(_("kind"), max_length=32)
    name = models.CharField(_("name"), max_length=100, blank=True, default="")  # "" shows the connector's own
    application = models.ForeignKey(
        Application,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("application"),
        help_text=_("Whose phone app this is for; empty for every application without one of its own."),
    )
    client_id = models.CharField(_("application id at the provider"), max_length=128)
    secret_sealed = models.TextField(_("secret or private key, sealed"), blank=True, default="", editable=False)
    public_key = models.TextField(_("the provider's public key"), blank=True, default="")  # PEM, or its Base64 alone
    # Empty ones are the connector's: the provider's real addresses.
    api_url = models.CharField(_("address of the provider's API"), max_length=300, blank=True, default="")
    authorize_url = models.CharField(_("address of the provider's sign-in"), max_length=300, blank=True, default="")
    unknown_user = models.CharField(
        _("people without a linked user"), max_length=32, choices=UnknownUser.choices, default=UnknownUser.BIND
    )
    for_apps = models.BooleanField(_("for phone apps"), default=True)
    on_sign_in_page = models.BooleanField(_("shown on the sign-in page"), default=False)
    is_in_app = models.BooleanField(
        _("inside the provider's own app"),
        default=False,
        help_text=_("Shown only to browsers inside that app, where no code can be scanned."),
    )
    is_internal = models.BooleanField(_("on the private network"), default=False)  # decision 12
    is_active = models.BooleanField(_("enabled"), default=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("upstream identity source")
        verbose_name_plural = _("upstream identity sources")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "kind", "client_id"], name="upstream_client_per_tenant"),
            # What a phone app's request resolves to is one row or none.
            models.UniqueConstraint(
                fields=["tenant", "kind"],
                condition=models.Q(for_apps=True, is_active=True, application=None),
                name="one_upstream_for_all_apps",
            ),
            models.UniqueConstraint(
                fields=["tenant", "kind", "application"],
                condition=models.Q(for_apps=True, is_active=True),
                name="one_upstream_per_app",
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.kind} {self.client_id}"


class ExternalIdentity(models.Model):
    """One person at one provider, linked to one user.

    `subject` is what the provider calls the person in all applications of one owner (WeChat: unionid), "" until it is
    told. What single applications call the person are `ExternalAccount` rows below.
    """

    public_id = models.CharField(_("public id"), max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, related_name="external_identities", verbose_name=_("user")
    )
    kind = models.CharField(_("kind"), max_length=32)
    # Within which a subject names one person; of the connector, so that two providers never mix (S45).
    namespace = models.CharField(_("namespace"), max_length=200)
    subject = models.CharField(_("person at the provider"), max_length=128, blank=True, default="")
    nickname = models.CharField(_("nickname"), max_length=150, blank=True, default="")
    picture_url = models.CharField(_("picture address"), max_length=500, blank=True, default="")
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("linked account")
        verbose_name_plural = _("linked accounts")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "namespace", "subject"],
                condition=~models.Q(subject=""),
                name="one_user_per_external_subject",
            ),
            models.UniqueConstraint(
                fields=["user", "namespace"],
                condition=~models.Q(subject=""),
                name="one_external_subject_per_user",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.public_id}"


class ExternalAccount(models.Model):
    """What one application at the provider calls the person (WeChat: openid)."""

    identity = models.ForeignKey(
        ExternalIdentity, on_delete=models.CASCADE, related_name="accounts", verbose_name=_("linked account")
    )
    # The identity's own, here for the constraints.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, db_index=False, related_name="+", verbose_name=_("tenant")
    )
    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, db_index=False, related_name="+", verbose_name=_("user")
    )
    namespace = models.CharField(_("namespace"), max_length=200)
    client_id = models.CharField(_("application id at the provider"), max_length=128)
    openid = models.CharField(_("person in that application"), max_length=128)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("account of a linked account")
        verbose_name_plural = _("accounts of linked accounts")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "namespace", "client_id", "openid"], name="one_user_per_external_account"
            ),
            models.UniqueConstraint(fields=["user", "namespace", "client_id"], name="one_external_account_per_user"),
        ]

    def __str__(self) -> str:
        return f"external account {self.pk}"
