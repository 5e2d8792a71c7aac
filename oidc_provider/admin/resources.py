"""Pages of what clients may reach: scopes of APIs, and the mini programs that a host application shows."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identity.admin.base import (
    ServiceForm,
    TenantScoped,
    WrittenByService,
    context_of,
    writer_of,
)
from oidc_provider import dialects
from oidc_provider.admin.fields import LinesField
from oidc_provider.clients import api_scopes
from oidc_provider.mini_programs import hosts
from oidc_provider.models import (
    ApiScope,
    Client,
    HostApplication,
)


class ApiScopeForm(ServiceForm):
    """A scope of a tenant's own API."""

    class Meta:
        model = ApiScope
        fields = ("name", *api_scopes.FIELDS)

    def apply(self) -> ApiScope:
        """Write what the form holds. Raises ValidationError by field."""
        data, row = self.cleaned_data, self.instance
        found = row if row.pk else None
        scope, is_new, _changes = api_scopes.define(
            tenant=found.tenant if found else data.get("tenant") or self.operator.tenant,
            name=found.name if found else data["name"],
            **{name: data[name] for name in api_scopes.FIELDS},
            **writer_of(self.request),
        )
        if not found and not is_new:
            raise ValidationError({"name": _("There is one of this name.")})
        return scope


@admin.register(ApiScope)
class ApiScopeAdmin(WrittenByService, TenantScoped):
    form = ApiScopeForm
    is_sensitive = True
    list_display = ("name", "audience", "description", "tenant")
    list_select_related = ("tenant",)
    search_fields = ("name", "audience")
    autocomplete_fields = ("tenant",)
    fixed_fields = ("name",)
    fields = ("tenant", *ApiScopeForm.Meta.fields)

    def delete_model(self, request: HttpRequest, obj: ApiScope) -> None:
        api_scopes.remove(obj, **writer_of(request))


class HostApplicationForm(ServiceForm):
    """Which mini programs an app shows, and from where its back end may call; `hosts.register` judges it."""

    networks = LinesField(
        label=gettext_lazy("Networks"),
        help_text=gettext_lazy(
            "Where the app's back end may call from, for example 192.0.2.0/24, one a line. Empty: from anywhere."
        ),
    )

    class Meta:
        model = HostApplication
        fields = ("client", "is_active", "networks", "mini_programs")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "mini_programs" in self.fields:  # of its own tenant, whoever looks
            tenant = self.instance.tenant_id or self.operator.tenant_id
            rows = Client.objects.filter(tenant=tenant, dialect=dialects.OF_MINI_PROGRAMS.name)
            self.fields["mini_programs"].queryset = rows.order_by("client_id")  # type: ignore[attr-defined]

    def apply(self) -> HostApplication:
        """Write what the form holds. Raises ValidationError by field."""
        client = self.cleaned_data.get("client") or self.instance.client
        hosts.register(
            Client.objects.select_related("catalogue_entry__tenant").get(pk=client.pk),
            networks=self.cleaned_data["networks"],
            mini_programs=self.cleaned_data.get("mini_programs"),
            is_active=self.cleaned_data["is_active"],
            context=context_of(self.request),
            actor=self.operator,
        )
        return HostApplication.objects.get(client=client)


@admin.register(HostApplication)
class HostApplicationAdmin(WrittenByService, TenantScoped):
    form = HostApplicationForm
    is_sensitive = True
    list_display = ("client", "is_active", "tenant")
    list_select_related = ("client", "tenant")
    search_fields = ("=client__client_id",)
    autocomplete_fields = ("client",)
    filter_horizontal = ("mini_programs",)
    fields = ("client", "is_active", "networks", "mini_programs")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # S37: an app does not change hands; a new one is registered.
        return ["client"] if obj is not None else []

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        # A superuser's new app may be of any tenant: which mini programs there are is known once it is chosen.
        is_unknown = obj is None and request.user.is_superuser
        return [name for name in super().get_fields(request, obj) if not (is_unknown and name == "mini_programs")]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # It is disabled, as its client is: the audit names it.
