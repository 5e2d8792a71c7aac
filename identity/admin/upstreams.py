"""Upstream identity sources, and the accounts there that are linked to users."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from identity.admin.base import (
    LargeTable,
    ReadOnly,
    ServiceForm,
    TenantScoped,
    WrittenByService,
    context_of,
    operator_of,
)
from identity.federation import external_identities, upstreams
from identity.federation.connectors.base import connectors
from identity.models import ExternalAccount, ExternalIdentity, Upstream


class UpstreamForm(ServiceForm):
    """A source; its secret goes in and never comes out."""

    kind = forms.ChoiceField(
        label=_("Kind"),
        choices=lambda: [(kind, connector.label) for kind, connector in connectors().items()],
        widget=UnfoldAdminSelectWidget,
    )
    secret = forms.CharField(
        label=_("Secret or private key"),
        required=False,
        max_length=10_000,
        widget=UnfoldAdminTextareaWidget(attrs={"autocomplete": "off", "spellcheck": "false", "rows": 3}),
        help_text=_("WeChat: the AppSecret. Alipay: the application's private key. Empty: the present one stays."),
    )

    class Meta:
        model = Upstream
        fields = upstreams.EDITABLE

    def apply(self) -> Upstream:
        """Write the source."""
        data = self.cleaned_data
        values = {name: data[name] for name in upstreams.EDITABLE if name in data}
        common: dict[str, Any] = {
            "secret": data.get("secret", ""),
            "context": context_of(self.request),
            "actor": self.operator,
        }
        if self.instance.pk:
            row: Upstream = Upstream.objects.select_related("tenant").get(pk=self.instance.pk)
            upstreams.update(upstream=row, **common, **values)
            return row
        tenant = data.get("tenant") or self.operator.tenant
        return upstreams.create(tenant=tenant, kind=data["kind"], **common, **values)


def provider_of(row: Upstream | ExternalIdentity) -> str:
    """Return the provider's name for people; the bare kind of one whose connector is gone."""
    connector = connectors().get(row.kind)
    return str(connector.label) if connector else row.kind


@admin.register(Upstream)
class UpstreamAdmin(WrittenByService, TenantScoped):
    is_sensitive = True
    form = UpstreamForm
    list_display = (
        "label", "provider", "client_id", "for_apps", "on_sign_in_page", "unknown_user", "is_active", "tenant",
    )  # fmt: skip
    list_filter = ("is_active", "on_sign_in_page")
    list_select_related = ("tenant",)
    search_fields = ("=client_id", "name")
    autocomplete_fields = ("tenant", "application")
    hidden_fields = ("secret_sealed",)
    readonly_fields = ("provider", "callback_path", "created_at", "updated_at")

    def get_fieldsets(self, request: HttpRequest, obj: Upstream | None = None) -> list[Any]:
        owner = ("tenant",) if request.user.is_superuser else ()
        # Fields of the form only: a page to look at has none.
        secret = ("secret",) if obj is None or self.has_change_permission(request, obj) else ()
        return [
            (None, {"fields": (*owner, "kind" if obj is None else "provider", "name", "is_active")}),
            (_("At the provider"), {"fields": ("client_id", *secret, "public_key", "callback_path")}),
            (
                _("Who may use it"),
                {"fields": ("for_apps", "application", "on_sign_in_page", "is_in_app", "unknown_user")},
            ),
            (_("Addresses"), {"fields": ("api_url", "authorize_url", "is_internal")}),
            (_("Record"), {"fields": ("created_at", "updated_at")}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        readonly = super().get_readonly_fields(request, obj)
        if obj is not None:
            readonly = [*readonly, "kind"]
        # S34: whose private network would be called is the installation's, and not one tenant's.
        return readonly if request.user.is_superuser else [*readonly, "is_internal"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if isinstance(obj, Upstream) and obj.is_internal and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: Upstream) -> None:
        upstreams.delete(upstream=obj, context=context_of(request), actor=operator_of(request))

    @admin.display(description=_("kind"), ordering="kind")
    def provider(self, upstream: Upstream) -> str:
        return provider_of(upstream)

    @admin.display(description=_("name"))
    def label(self, upstream: Upstream) -> str:
        return str(upstream)

    @admin.display(description=_("callback address"))
    def callback_path(self, upstream: Upstream) -> str:
        """Return what the provider is told: this path on every host name of the tenant."""
        return reverse("identity:external_callback", args=[upstream.public_id]) if upstream.pk else "—"


@admin.register(ExternalIdentity)
class ExternalIdentityAdmin(ReadOnly):
    list_display = ("user", "provider", "nickname", "created_at", "updated_at", "tenant")
    list_select_related = ("user", "tenant")
    search_fields = ("=subject", "=public_id", "=user__user_key")
    fields = ("user", "provider", "subject", "nickname", "picture_url", "public_id", "created_at", "updated_at")
    readonly_fields = fields
    actions_detail = ("unlink",)

    @admin.display(description=_("kind"), ordering="kind")
    def provider(self, identity: ExternalIdentity) -> str:
        return provider_of(identity)

    def has_unlink_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return bool(request.user.has_perm("identity.delete_externalidentity"))

    @action(description=_("Unlink"), url_path="unlink", permissions=["unlink"])
    def unlink(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take a link away, a person's last way to sign in too: an operator can give another one."""

        def perform(row: ExternalIdentity, form: Any) -> HttpResponse:
            external_identities.unlink(
                identity=row, context=context_of(request), actor=operator_of(request), is_forced=True
            )
            return HttpResponseRedirect(reverse("admin:identity_externalidentity_changelist"))

        return self.confirmed_action(
            request,
            object_id,
            title=_("Unlink"),
            text=_("This account no longer signs the user in. Sessions that are open stay open."),
            perform=perform,
            permission=self.has_unlink_permission,
        )


@admin.register(ExternalAccount)
class ExternalAccountAdmin(ReadOnly, LargeTable):
    list_display = ("user", "namespace", "client_id", "openid", "created_at", "tenant")
    list_select_related = ("user", "tenant")
    search_fields = ("=openid", "=user__user_key")
    fields = ("identity", "user", "namespace", "client_id", "openid", "created_at")
    readonly_fields = fields
