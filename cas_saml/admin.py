"""The operators' pages over CAS services and their tickets."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cas_saml import attributes
from cas_saml.cas import registration
from cas_saml.cas.models import CASService, ServiceTicket
from cas_saml.saml import admin as saml_admin  # noqa: F401 - registers its pages
from identity.admin.base import ReadOnly, ServiceForm, TenantScoped, WrittenByService, context_of, writer_of
from identity.conf import conf as identity_conf
from identity.models import Tenant


class CASServiceForm(ServiceForm):
    """A registration; its model judges it."""

    class Meta:
        model = CASService
        fields = ("application", *registration.FIELDS)

    def apply(self) -> CASService:
        """Write what the form holds. Raises ValidationError by field."""
        values, by = {name: self.cleaned_data[name] for name in registration.FIELDS}, writer_of(self.request)
        if self.instance.pk:
            row = CASService.objects.get(pk=self.instance.pk)
            registration.update(row, **values, **by)
            return row
        return registration.register(application=self.cleaned_data["application"], **values, **by)


@admin.register(CASService)
class CASServiceAdmin(WrittenByService, TenantScoped):
    form = CASServiceForm
    is_sensitive = True
    fixed_fields = ("application",)
    list_display = ("url", "application", "match", "single_logout", "is_active")
    list_filter = ("match", "is_active")
    list_select_related = ("application",)
    search_fields = ("url", "application__name", "application__code")
    autocomplete_fields = ("application",)
    readonly_fields = ("public_id", "how_to_connect", "sources", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("application", "url", "match", "allows_plain_http", "is_active")}),
        (gettext_lazy("How to connect"), {"fields": ("how_to_connect",)}),
        (gettext_lazy("What it is told"), {"fields": ("attributes", "sources")}),
        (gettext_lazy("Sign-out"), {"fields": ("single_logout", "logout_url")}),
        (gettext_lazy("Tickets"), {"classes": ["collapse"], "fields": ("ticket_lifetime_seconds",)}),
        (gettext_lazy("Record"), {"fields": ("public_id", "created_at", "updated_at")}),
    )

    def delete_model(self, request: HttpRequest, obj: CASService) -> None:
        registration.remove(obj, **writer_of(request))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        return (
            fieldsets if obj is not None else [part for part in fieldsets if "how_to_connect" not in part[1]["fields"]]
        )

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> CASService | None:
        service: CASService | None = super().get_object(request, object_id, from_field)
        if service is not None:
            service.origin_of_ours = _origin(request, service.tenant)  # type: ignore[attr-defined]
        return service

    @admin.display(description=gettext_lazy("addresses and settings"))
    def how_to_connect(self, service: CASService) -> SafeString:
        origin = getattr(service, "origin_of_ours", "")
        if not origin:
            return format_html("{}", "-")
        return format_html(
            "<p class='mb-4'>{}</p><dl>{}</dl>",
            _("Give the application these addresses. Most clients want only the first one, with its slash."),
            format_html_join(
                "",
                "<dt class='font-semibold'>{}</dt><dd class='mb-2'><pre>{}</pre></dd>",
                connection(origin),
            ),
        )

    @admin.display(description=gettext_lazy("sources"))
    def sources(self, service: CASService) -> str:
        return ", ".join([*attributes.SOURCES, *attributes.OF_SESSION, f"{attributes.ATTRIBUTE}…"])


def connection(origin: str) -> list[tuple[str, str]]:
    """Return what an integrator pastes, by the name of the thing."""

    def address(name: str) -> str:
        return f"{origin}{reverse(f'cas_saml:{name}')}"

    login, validation, logout = address("cas_login"), address("cas_service_validate_3"), address("cas_logout")
    server = login.removesuffix("login")
    return [
        (_("Server"), server),
        (_("Sign-in"), login),
        (_("Validation, CAS 3.0"), validation),
        (_("Validation, CAS 2.0"), address("cas_service_validate")),
        (_("Validation, CAS 1.0"), address("cas_validate")),
        (_("Sign-out"), logout),
        ("django-cas-ng", f'CAS_SERVER_URL = "{server}"\nCAS_VERSION = "3"'),
        ("mod_auth_cas", f"CASLoginURL {login}\nCASValidateURL {address('cas_service_validate')}\nCASSSOEnabled On"),
        ("Java (Apereo)", f"casServerUrlPrefix={server.removesuffix('/')}\ncasServerLoginUrl={login}"),
    ]


def _origin(request: HttpRequest, tenant: Tenant) -> str:
    """Decision 10: from configuration; on a developer's loopback, where the operator is."""
    context = context_of(request)
    if identity_conf.debug and context.tenant == tenant:
        return context.origin
    domain = tenant.domains.order_by("position").values_list("host", flat=True).first()
    return f"https://{domain}" if domain else ""


@admin.register(ServiceTicket)
class ServiceTicketAdmin(ReadOnly):
    hidden_fields = ("ticket_hash", "session_index_sealed")
    list_display = ("service", "service_url", "session", "created_at", "consumed_at")
    list_select_related = ("service", "session")
    fields = (
        "tenant",
        "service",
        "service_url",
        "session",
        "is_from_new_login",
        "created_at",
        "expires_at",
        "consumed_at",
    )
    readonly_fields = fields
