"""The page of a client, which is written through `registration`."""

from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldBooleanSwitchWidget,
)

from identity import origins
from identity.admin.base import (
    ServiceForm,
    TenantScoped,
    WrittenByService,
    ask_for_password,
    context_of,
    is_password_confirmed,
    operator_of,
)
from identity.models import Application
from oidc_provider import dialects
from oidc_provider.admin.fields import FlagsField, LinesField, choices_of
from oidc_provider.admin.new_client import NewClientForm
from oidc_provider.clients import registration, tenant_rights
from oidc_provider.dialects.base import COMMON_FLAGS, EndpointName
from oidc_provider.discovery import metadata
from oidc_provider.models import (
    CLIENT_FLAGS,
    FLAG_TEXTS,
    RESPONSE_TYPES,
    STANDARD_SCOPES,
    ApiScope,
    Client,
    GrantType,
)


class ClientForm(ServiceForm):
    """Everything that may be changed of a client; `registration.check` judges it."""

    grant_types = choices_of(GrantType.values, gettext_lazy("Grant types"))
    response_types = choices_of(sorted(RESPONSE_TYPES), gettext_lazy("Response types"))
    scopes = choices_of(STANDARD_SCOPES, gettext_lazy("Scopes"))
    redirect_uris = LinesField(label=gettext_lazy("Redirect addresses"))
    post_logout_redirect_uris = LinesField(label=gettext_lazy("Addresses after sign-out"))
    web_origins = LinesField(label=gettext_lazy("Web origins"))
    dialect = forms.ChoiceField(
        label=gettext_lazy("Dialect"),
        choices=[(dialect.name, dialect.name) for dialect in dialects.ALL],
        widget=UnfoldAdminSelectWidget,
    )

    flags = FlagsField(label=gettext_lazy("Exceptions"))

    class Meta:
        model = Client
        fields = (*registration.FIELDS, "api_scopes")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "flags" in self.fields:
            known = CLIENT_FLAGS.get(self.instance.dialect, COMMON_FLAGS)
            shown = [(name, text) for name, text in FLAG_TEXTS.items() if name in known]
            self.fields["flags"].choices = shown  # type: ignore[attr-defined]
        if "api_scopes" in self.fields:  # of its own tenant, whoever looks
            scopes: Any = self.fields["api_scopes"]
            scopes.queryset = scopes.queryset.filter(tenant=self.instance.tenant_id)

    def apply(self) -> Client:
        """Write what the form holds. Raises ValidationError by field."""
        values = {name: self.cleaned_data[name] for name in registration.FIELDS if name in self.cleaned_data}
        client = Client.objects.select_related("catalogue_entry__tenant").get(pk=self.instance.pk)
        registration.update_client(
            client,
            context=context_of(self.request),
            actor=self.operator,
            api_scopes=self.cleaned_data.get("api_scopes"),
            **values,
        )
        return client


class NewSecretForm(Form):
    keep_previous = forms.BooleanField(
        label=gettext_lazy("Go on taking the old secret for a while"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
    )


class ClientAdmin(WrittenByService, TenantScoped):
    form = ClientForm
    is_sensitive = True
    hidden_fields = ("secret_hash", "previous_secret_hash")
    list_display = ("client_id", "catalogue_entry", "dialect", "token_endpoint_auth_method", "is_active", "tenant")
    list_filter = ("dialect", "is_active", "may_use_sdk", "token_endpoint_auth_method")
    list_select_related = ("catalogue_entry", "tenant")
    search_fields = ("=client_id", "catalogue_entry__name", "catalogue_entry__code")
    filter_horizontal = ("api_scopes",)
    readonly_fields = ("client_id", "catalogue_entry", "secret_state", "endpoints", "created", "updated")
    actions_detail = ("new_secret",)
    fieldsets = (
        (None, {"fields": ("catalogue_entry", "client_id", "name", "is_active", "dialect", "endpoints")}),
        (
            gettext_lazy("Addresses"),
            {
                "fields": (
                    "redirect_uris",
                    "post_logout_redirect_uris",
                    "web_origins",
                    "is_native",
                    "initiate_login_uri",
                )
            },
        ),
        (
            gettext_lazy("Authentication"),
            {"fields": ("token_endpoint_auth_method", "secret_state", "jwks", "jwks_uri", "require_pkce", "flags")},
        ),
        (
            gettext_lazy("What it may do"),
            {
                "fields": (
                    "grant_types",
                    "response_types",
                    "scopes",
                    "api_scopes",
                    "allow_implicit",
                    "may_introspect",
                    "may_use_sdk",
                    "api_requests_per_minute",
                )
            },
        ),
        (
            gettext_lazy("Tokens and claims"),
            {
                "classes": ["collapse"],
                "fields": (
                    "id_token_signed_response_alg",
                    "claims_mapping",
                    "default_max_age",
                    "authorization_code_lifetime_seconds",
                    "access_token_lifetime_seconds",
                    "id_token_lifetime_seconds",
                    "refresh_token_lifetime_seconds",
                    "refresh_token_grace_seconds",
                ),
            },
        ),
        (
            gettext_lazy("Sign-out"),
            {
                "classes": ["collapse"],
                "fields": (
                    "backchannel_logout_uri",
                    "backchannel_logout_session_required",
                    "frontchannel_logout_uri",
                    "frontchannel_logout_session_required",
                ),
            },
        ),
        (gettext_lazy("Record"), {"fields": ("created", "updated")}),
    )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            tenant_rights.provide(obj.catalogue_entry.tenant)  # so that they can be chosen among the API scopes
        return super().get_form(request, obj, change, **kwargs)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "api_scopes" and not request.user.is_superuser:
            kwargs["queryset"] = ApiScope.objects.filter(tenant=operator_of(request).tenant_id)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # A client is disabled: tokens and the audit trail name it.

    # A new client

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            return HttpResponse(status=403)
        if not is_password_confirmed(request, with_grace=request.method == "POST"):
            return ask_for_password(request)
        catalogue = admin.site._registry[Application].get_queryset(request)
        form = NewClientForm(request.POST or None, request=request, catalogue=catalogue)
        if request.method == "POST" and form.is_valid():
            try:
                client, secret = form.register()
            except ValidationError as error:
                _show(form, error)
            else:
                return self._shown_once(request, client, secret, _("The client is registered."))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Connect an application"),
            "text": _("The client's secret is shown once, on the next page, with the addresses to paste."),
            "form": form,
            "media": self.media + form.media,
            "opts": self.opts,
            "back": reverse("admin:oidc_provider_client_changelist"),
        }
        return TemplateResponse(request, "admin/monban/confirm_action.html", context)

    def _shown_once(self, request: HttpRequest, client: Client, secret: str, text: str) -> HttpResponse:
        rows = [("client_id", client.client_id, False)]
        if secret:
            rows.append(("client_secret", secret, True))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Connect an application"),
            "text": text + (" " + _("Store the secret now: it is not shown again.") if secret else ""),
            "rows": [*rows, *((name, value, False) for name, value in _addresses(request, client))],
            "back": reverse("admin:oidc_provider_client_change", args=[client.pk]),
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/monban/shown_once.html", context)

    # What the form shows

    @admin.display(description=gettext_lazy("secret"))
    def secret_state(self, client: Client) -> str:
        if not client.secret_hash:
            return _("none")
        return (
            _("set on %(date)s") % {"date": client.secret_changed_at.date()} if client.secret_changed_at else _("set")
        )

    @admin.display(description=gettext_lazy("endpoints"))
    def endpoints(self, client: Client) -> SafeString:
        return format_html(
            "<dl>{}</dl>",
            format_html_join(
                "",
                "<dt class='font-semibold'>{}</dt><dd class='mb-2'><code class='break-all'>{}</code></dd>",
                getattr(client, "addresses", ()),
            ),
        )

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Client | None:
        client: Client | None = super().get_object(request, object_id, from_field)
        if client is not None:
            client.addresses = _addresses(request, client)
        return client

    # Actions

    @action(description=gettext_lazy("New secret"), url_path="new-secret", permissions=["change"])
    def new_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Make a new secret and show it once; the old one is taken for a while longer, if wished."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("New secret"),
            text=_("A new secret is made and shown once."),
            form_class=NewSecretForm,
            perform=lambda client, form: self._new_secret(request, client, form),
        )

    def _new_secret(self, request: HttpRequest, client: Client, form: Any) -> HttpResponse:
        try:
            secret = registration.rotate_secret(
                client,
                context=context_of(request),
                actor=operator_of(request),
                keep_previous=form.cleaned_data["keep_previous"],
            )
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return HttpResponseRedirect(reverse("admin:oidc_provider_client_change", args=[client.pk]))
        return self._shown_once(request, client, secret, _("The new secret is set."))


def _addresses(request: HttpRequest, client: Client) -> list[tuple[str, str]]:
    """Show what an integrator pastes: the issuer and its endpoints, from configuration."""
    dialect = dialects.get(client.dialect)
    origin = origins.base(replace(context_of(request), tenant=client.tenant))
    app_code = client.catalogue_entry.code
    described = metadata.describe(
        dialect, issuer=dialect.issuer(origin, app_code=app_code), origin=origin, app_code=app_code
    )
    shown = [("issuer", str(described["issuer"]))]
    if EndpointName.DISCOVERY in dialect.endpoints:
        shown.append(("discovery", dialect.address(EndpointName.DISCOVERY, origin, app_code=app_code)))
    shown += [(name, value) for name, value in described.items() if name.endswith(("_endpoint", "jwks_uri"))]
    return shown


def _show(form: Form, error: ValidationError) -> None:
    """Put a refusal of registration at the form's fields, and what has no field there at its head."""
    for field, texts in (error.message_dict if hasattr(error, "error_dict") else {"": error.messages}).items():
        for text in texts:
            form.add_error(field if field in form.fields else None, text)
