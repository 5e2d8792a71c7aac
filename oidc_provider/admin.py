"""The operators' pages over clients and what they were granted.

Clients are written through `registration`, scopes through `api_scopes`, host applications through `hosts`. Codes and
tokens are only hashes here; their rows are looked at, not edited.
"""

from dataclasses import replace
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db import transaction
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
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from identity.admin.base import (
    ReadOnly,
    ServiceForm,
    TenantScoped,
    WrittenByService,
    ask_for_password,
    context_of,
    is_password_confirmed,
    operator_of,
    writer_of,
)
from identity.directory import applications
from identity.models import Application
from oidc_provider import dialects
from oidc_provider.authorization import consent
from oidc_provider.clients import api_scopes, registration, tenant_rights
from oidc_provider.dialects.base import EndpointName
from oidc_provider.discovery import metadata
from oidc_provider.mini_programs import hosts
from oidc_provider.models import (
    CLIENT_FLAGS,
    COMMON_FLAGS,
    FLAG_TEXTS,
    STANDARD_SCOPES,
    ApiScope,
    AuthMethod,
    Client,
    ClientAssertion,
    Consent,
    DeviceGrant,
    GrantType,
    HostApplication,
)
from oidc_provider.validator import RESPONSE_TYPES
from oidc_provider.wire import issuers


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = UnfoldAdminTextareaWidget

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", gettext_lazy("One a line."))
        super().__init__(required=False, **kwargs)
        self.widget.attrs["rows"] = 3

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != (initial or []))


def _choices(values: Any, label: Any) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=label,
        choices=[(value, value) for value in values],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )


class FlagsField(forms.MultipleChoiceField):
    """The flags of a client as switches, each with what it does and what it costs."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=list(FLAG_TEXTS.items()), required=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return [name for name, is_set in value.items() if is_set] if isinstance(value, dict) else value

    def clean(self, value: Any) -> Any:
        return dict.fromkeys(super().clean(value), True)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return {name for name, is_set in (initial or {}).items() if is_set} != set(data or ())


class ClientForm(ServiceForm):
    """Everything that may be changed of a client; `registration.check` judges it."""

    grant_types = _choices(GrantType.values, gettext_lazy("Grant types"))
    response_types = _choices(sorted(RESPONSE_TYPES), gettext_lazy("Response types"))
    scopes = _choices(STANDARD_SCOPES, gettext_lazy("Scopes"))
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


class ClientKind(forms.ChoiceField):
    """What is being connected, in an operator's words."""

    WEB, BROWSER, NATIVE, SERVICE = "web", "browser", "native", "service"
    CHOICES = (
        (WEB, gettext_lazy("Web application with a server of its own")),
        (BROWSER, gettext_lazy("Application that runs in the browser")),
        (NATIVE, gettext_lazy("Application on a phone or a desktop")),
        (SERVICE, gettext_lazy("Service that acts for itself")),
    )

    @classmethod
    def presets(cls, kind: str) -> dict[str, Any]:
        """The registration values that follow from the kind."""
        if kind == cls.SERVICE:
            return {"grant_types": [GrantType.CLIENT_CREDENTIALS], "response_types": [], "scopes": []}
        values: dict[str, Any] = {
            "grant_types": [GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN],
            "response_types": ["code"],
        }
        if kind != cls.WEB:
            values["token_endpoint_auth_method"] = AuthMethod.NONE
        if kind == cls.NATIVE:
            values["is_native"] = True
        return values


class NewClientForm(Form):
    """What it takes to connect an application. Everything else has a good default and a page of its own."""

    application = forms.ModelChoiceField(
        label=gettext_lazy("Application"),
        queryset=Application.objects.none(),
        required=False,
        help_text=gettext_lazy("An application of the catalogue; or leave it empty and name a new one below."),
    )
    new_name = forms.CharField(
        label=gettext_lazy("Name of a new application"),
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
    )
    new_code = forms.SlugField(
        label=gettext_lazy("Code of the new application"),
        required=False,
        max_length=64,
        widget=UnfoldAdminTextInputWidget,
    )
    kind = ClientKind(label=gettext_lazy("Kind"), choices=ClientKind.CHOICES, widget=UnfoldAdminSelectWidget)
    dialect = forms.ChoiceField(
        label=gettext_lazy("Dialect"),
        choices=[(dialect.name, dialect.name) for dialect in dialects.ALL],
        widget=UnfoldAdminSelectWidget,
    )
    redirect_uris = LinesField(label=gettext_lazy("Redirect addresses"))
    post_logout_redirect_uris = LinesField(label=gettext_lazy("Addresses after sign-out"))
    skip_consent = forms.BooleanField(
        label=gettext_lazy("Do not ask users for consent"), required=False, widget=UnfoldBooleanSwitchWidget
    )

    def __init__(self, data: Any, *, request: HttpRequest, catalogue: Any) -> None:
        super().__init__(data)
        self.request = request
        field: Any = self.fields["application"]
        field.queryset = catalogue
        field.widget = AutocompleteSelect(Client._meta.get_field("catalogue_entry"), admin.site)
        field.widget.choices = field.choices

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not data.get("application") and not (data.get("new_name") and data.get("new_code")):
            raise ValidationError(_("Choose an application, or give a name and a code for a new one."))
        if data.get("application") and (data.get("new_name") or data.get("new_code")):
            raise ValidationError(_("Either an application of the catalogue or a new one, not both."))
        return data

    def register(self) -> tuple[Client, str]:
        """Write the application, where it is new, and its client. Raises ValidationError."""
        data = self.cleaned_data
        context, actor = context_of(self.request), operator_of(self.request)
        with transaction.atomic():
            application = data["application"] or applications.create(
                tenant=actor.tenant,
                context=context,
                actor=actor,
                code=data["new_code"],
                name=data["new_name"],
                skip_consent=data["skip_consent"],
            )
            return registration.register_client(
                catalogue_entry=application,
                context=context,
                actor=actor,
                dialect=data["dialect"],
                redirect_uris=data["redirect_uris"],
                post_logout_redirect_uris=data["post_logout_redirect_uris"],
                **ClientKind.presets(data["kind"]),
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


class NewSecretForm(Form):
    keep_previous = forms.BooleanField(
        label=gettext_lazy("Go on taking the old secret for a while"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
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
            rows = Client.objects.filter(tenant=tenant, dialect=hosts.OF_MINI_PROGRAMS.name)
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


@admin.register(Consent)
class ConsentAdmin(ReadOnly):
    tenant_lookup = "user__tenant"
    list_display = ("user", "client", "granted_at", "withdrawn_at")
    list_select_related = ("user", "client")
    search_fields = ("=user__user_key", "=client__client_id")
    fields = ("user", "client", "scopes", "claims", "granted_at", "withdrawn_at")
    readonly_fields = fields
    actions_detail = ("withdraw",)

    def has_withdraw_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return bool(request.user.has_perm("oidc_provider.change_consent"))

    @action(description=gettext_lazy("Withdraw"), url_path="withdraw", permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take the consent back for the user, and end what it gave."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("Withdraw"),
            text=_("The client's tokens for this user end at once, and the user is asked again next time."),
            perform=lambda row, form: self._withdraw(request, row),
            permission=self.has_withdraw_permission,
        )

    def _withdraw(self, request: HttpRequest, row: Consent) -> None:
        consent.withdraw(row, actor=operator_of(request), context=context_of(request))


class GrantedAdmin(ReadOnly):
    """A code or token: who got it, for whom, until when. The value itself is nowhere."""

    tenant_lookup = "application__tenant"
    list_display: ClassVar[tuple[str, ...]] = ("id", "user", "application", "dialect", "scope", "created", "expires")
    list_filter = ("dialect",)
    list_select_related = ("user", "application")
    search_fields = ("=user__user_key", "=application__client_id")
    common: ClassVar[tuple[str, ...]] = (
        "user",
        "application",
        "session",
        "dialect",
        "scope",
        "family",
        "is_offline",
        "created",
        "expires",
    )


class AuthorizationCodeAdmin(GrantedAdmin):
    hidden_fields = ("code_hash", "nonce", "code_challenge")
    fields = (*GrantedAdmin.common, "redirect_uri", "auth_time", "acr", "consumed_at")
    readonly_fields = fields


class AccessTokenAdmin(GrantedAdmin):
    hidden_fields = ("token_checksum",)
    fields = (*GrantedAdmin.common, "audience")
    readonly_fields = fields


class RefreshTokenAdmin(GrantedAdmin):
    hidden_fields = ("token_checksum",)
    fields = (*GrantedAdmin.common, "auth_time", "acr", "superseded_at", "revoked")
    readonly_fields = fields


class IDTokenAdmin(ReadOnly):
    """Always empty: ID tokens are signed, not stored."""

    tenant_lookup = "application__tenant"
    list_display = ("jti", "application", "expires")
    fields = ("jti", "user", "application", "expires")
    readonly_fields = fields


@admin.register(DeviceGrant)
class DeviceGrantAdmin(ReadOnly):
    """Always empty: the device flow is not offered yet."""

    tenant_lookup = "user__tenant"
    hidden_fields = ("device_code", "user_code")
    list_display = ("client_id", "user", "status", "expires")
    fields = ("client_id", "user", "scope", "status", "expires")
    readonly_fields = fields


@admin.register(ClientAssertion)
class ClientAssertionAdmin(ReadOnly):
    tenant_lookup = "client__tenant"
    hidden_fields = ("jti_hash",)
    list_display = ("client", "expires_at")
    list_select_related = ("client",)
    fields = ("client", "expires_at")
    readonly_fields = fields


def _addresses(request: HttpRequest, client: Client) -> list[tuple[str, str]]:
    """What an integrator pastes: the issuer and its endpoints, from configuration."""
    dialect = dialects.get(client.dialect)
    origin = issuers.base(replace(context_of(request), tenant=client.tenant))
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
