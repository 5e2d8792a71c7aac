"""The operators' pages over SAML service providers: metadata in, mapping with a preview, what runs out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from cas_saml import attributes
from cas_saml.saml import entity, guide, registration, xml
from cas_saml.saml.entity import Entity
from cas_saml.saml.models import PersistentName, SAMLSession, ServiceProvider
from cas_saml.saml.registration import Expiry
from identity.admin.base import (
    ReadOnly,
    ServiceForm,
    TenantScoped,
    WrittenByService,
    context_of,
    operator_of,
)
from identity.conf import conf as identity_conf
from identity.directory import lists

MAX_FILE_BYTES = xml.MAX_METADATA_BYTES


class CertificatesField(forms.CharField):
    """PEM texts, one after the other."""

    widget = UnfoldAdminTextareaWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, strip=True, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(text.strip() for text in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        end = "-----END CERTIFICATE-----"
        parts = [part.strip() for part in (value or "").replace("\r\n", "\n").split(end)]
        return [f"{part}\n{end}\n" if part.startswith("-----BEGIN") else part for part in parts if part]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != (initial or []))


class MetadataFields(forms.Form):
    """A provider's metadata, pasted or as a file."""

    metadata_text = forms.CharField(
        label=gettext_lazy("Metadata"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8}),
        help_text=gettext_lazy("Paste the provider's metadata, or choose its file below."),
    )
    metadata_file = forms.FileField(
        label=gettext_lazy("Metadata file"), required=False, widget=UnfoldAdminFileFieldWidget
    )

    def metadata(self) -> bytes | str:
        """Return what was given, a file's bytes or a text; "" where nothing was. Raises ValidationError."""
        text, file = self.cleaned_data.get("metadata_text", ""), self.cleaned_data.get("metadata_file")
        if text and file:
            raise ValidationError(_("Either pasted or as a file, not both."))
        if file is not None and file.size > MAX_FILE_BYTES:
            raise ValidationError(_("The file is too large."))
        return text or (bytes(file.read()) if file is not None else "")


class ImportForm(MetadataFields):
    """Metadata for a provider that is registered already."""

    provider: ServiceProvider

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        given = self.metadata()
        if not given:
            raise ValidationError(_("Nothing was given."))
        self.described = registration.parse(given, entity_id=self.provider.entity_id)
        return data


class PreviewForm(forms.Form):
    """Whose assertion is shown."""

    user_name = forms.CharField(label=gettext_lazy("User name"), max_length=254, widget=UnfoldAdminTextInputWidget)


class ServiceProviderForm(ServiceForm):
    """Everything that may be changed of a registration; the row judges it."""

    signing_certificates = CertificatesField(
        label=gettext_lazy("Signing certificates"),
        help_text=gettext_lazy("PEM, one after the other. Any of them may sign."),
    )

    class Meta:
        model = ServiceProvider
        fields = tuple(name for name in registration.FIELDS if name != "metadata_valid_until")

    def apply(self) -> ServiceProvider:
        """Write what the form holds. Raises ValidationError by field."""
        values = {name: self.cleaned_data[name] for name in self.Meta.fields if name in self.cleaned_data}
        provider = ServiceProvider.objects.select_related("application__tenant").get(pk=self.instance.pk)
        registration.update(provider, context=context_of(self.request), actor=self.operator, **values)
        return provider


class NewServiceProviderForm(MetadataFields, ServiceForm):
    """What it takes to connect an application: its metadata, or its entity ID and one address."""

    entity_id = forms.CharField(
        label=gettext_lazy("Entity ID"),
        required=False,
        max_length=1024,
        widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("Without metadata, or to choose one of several providers in it."),
    )
    consumer_url = forms.CharField(
        label=gettext_lazy("Assertion consumer service"),
        required=False,
        max_length=2000,
        widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("Without metadata: where assertions are posted to."),
    )

    class Meta:
        model = ServiceProvider
        fields = ("application",)

    def apply(self) -> ServiceProvider:
        """Register the provider. Raises ValidationError."""
        try:
            return registration.register(
                application=self.cleaned_data["application"],
                entity_id=self.entity,
                context=context_of(self.request),
                actor=self.operator,
                **self.values,
            )
        except ValidationError as error:
            # Of columns, which this form does not have one by one.
            raise ValidationError(error.messages) from error

    def clean(self) -> dict[str, Any]:
        if not self.errors:
            self._read()
        return super().clean()

    def _read(self) -> None:
        """Turn what was given into columns. Raises ValidationError."""
        data = self.cleaned_data
        given, entity_id, url = self.metadata(), data.get("entity_id", ""), data.get("consumer_url", "")
        if given and url:
            raise ValidationError(_("Either metadata or an address, not both."))
        if given:
            described = registration.parse(given, entity_id=entity_id)
            self.entity, self.values = described.entity_id, {**described.preferences, **described.trust}
        elif entity_id and url:
            self.entity, self.values = entity_id, {"assertion_consumer_services": [{"location": url}]}
        else:
            raise ValidationError(_("Give the metadata, or the entity ID and an address."))


@admin.register(ServiceProvider)
class ServiceProviderAdmin(WrittenByService, TenantScoped):
    form = ServiceProviderForm
    is_sensitive = True
    list_display = ("entity_id", "application", "is_active", "requests_must_be_signed", "running_out")
    list_filter = ("is_active", "requests_must_be_signed")
    list_select_related = ("application",)
    search_fields = ("entity_id", "application__name", "application__code")
    autocomplete_fields = ("application",)
    readonly_fields = (
        "application",
        "entity_id",
        "how_to_connect",
        "sources",
        "running_out",
        "public_id",
        "created_at",
        "updated_at",
        "metadata_valid_until",
    )
    actions_detail = ("preview", "import_metadata")
    add_fieldsets = (
        (None, {"fields": ("application",)}),
        (gettext_lazy("Metadata of the application"), {"fields": ("metadata_text", "metadata_file")}),
        (gettext_lazy("Or by hand"), {"fields": ("entity_id", "consumer_url")}),
    )
    fieldsets = (
        (None, {"fields": ("application", "entity_id", "is_active", "running_out")}),
        (gettext_lazy("How to connect"), {"fields": ("how_to_connect",)}),
        (
            gettext_lazy("What it is told"),
            {"fields": ("name_id_formats", "name_id_source", "attributes", "sources")},
        ),
        (
            gettext_lazy("Addresses"),
            {
                "fields": (
                    "assertion_consumer_services",
                    "single_logout_services",
                    "allow_unsolicited",
                    "default_relay_state",
                    "single_logout",
                )
            },
        ),
        (
            gettext_lazy("Signatures"),
            {
                "fields": (
                    "signing_certificates",
                    "requests_must_be_signed",
                    "sign_response",
                    "sign_assertion",
                    "signature_algorithm",
                    "allow_rsa_sha1",
                )
            },
        ),
        (
            gettext_lazy("Encryption"),
            {
                "classes": ["collapse"],
                "fields": ("encrypt_assertions", "encryption_certificate", "encryption_algorithm", "key_transport"),
            },
        ),
        (gettext_lazy("Record"), {"fields": ("public_id", "metadata_valid_until", "created_at", "updated_at")}),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # A provider is disabled: people's lasting names belong to it.

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewServiceProviderForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.add_fieldsets if obj is None else super().get_fieldsets(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return super().get_readonly_fields(request, obj) if obj is not None else []

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> ServiceProvider | None:
        provider: ServiceProvider | None = super().get_object(request, object_id, from_field)
        if provider is not None:
            provider.us = _us(request, provider)  # type: ignore[attr-defined]
        return provider

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        provider = kwargs.get("obj")
        if provider is not None and request.method == "GET":
            for expiry in registration.expiries(provider):
                messages.warning(request, _sentence(expiry))
        answer: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return answer

    # Columns

    @admin.display(description=gettext_lazy("runs out"))
    def running_out(self, provider: ServiceProvider) -> str:
        found = registration.expiries(provider)
        return _sentence(found[0]) if found else "-"

    @admin.display(description=gettext_lazy("addresses and settings"))
    def how_to_connect(self, provider: ServiceProvider) -> SafeString:
        us: Entity | None = getattr(provider, "us", None)
        if us is None:
            return format_html("{}", "-")
        return format_html(
            "<p class='mb-4'>{}</p><dl>{}</dl>",
            _("Give the application the metadata address, or what it asks for of these."),
            format_html_join(
                "",
                "<dt class='font-semibold'>{}</dt><dd class='mb-2'><pre>{}</pre></dd>",
                guide.connection(us, provider),
            ),
        )

    @admin.display(description=gettext_lazy("sources"))
    def sources(self, provider: ServiceProvider) -> str:
        return ", ".join([*attributes.SOURCES, *attributes.OF_SESSION, f"{attributes.ATTRIBUTE}…"])

    # Actions

    @action(description=gettext_lazy("Preview"), url_path="preview")
    def preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what the application would be told of one person. Nothing is sent, nothing is made up for later."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("Preview"),
            text=_("See what the application would be told of a person. Nothing is sent."),
            form_class=PreviewForm,
            perform=lambda provider, form: self._show_preview(request, provider, form),
            permission=self.has_view_permission,
        )

    def _show_preview(self, request: HttpRequest, provider: ServiceProvider, form: Any) -> HttpResponse | None:
        user = lists.find_user(tenant=provider.tenant, user_name=form.cleaned_data["user_name"])
        if user is None:
            messages.error(request, _("There is no user of this name."))
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": _("Preview"),
            "opts": self.opts,
            "original": provider,
            "back": reverse("admin:cas_saml_serviceprovider_change", args=[provider.pk]),
            **guide.preview(provider, user),
        }
        return TemplateResponse(request, "admin/monban/saml_preview.html", context)

    @action(description=gettext_lazy("Import metadata"), url_path="import-metadata", permissions=["import_metadata"])
    def import_metadata(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take addresses and certificates from the provider's new metadata."""
        row = self.get_object(request, object_id)
        form_class = type("ImportFormOfProvider", (ImportForm,), {"provider": row})
        return self.confirmed_action(
            request,
            object_id,
            title=_("Import metadata"),
            text=_("Addresses and certificates become those of the file. What you chose here stays."),
            form_class=form_class,
            perform=lambda provider, form: self._import(request, provider, form),
        )

    def has_import_metadata_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return bool(request.user.has_perm("cas_saml.change_serviceprovider"))

    def _import(self, request: HttpRequest, provider: ServiceProvider, form: Any) -> None:
        try:
            registration.update(
                provider, context=context_of(request), actor=operator_of(request), **form.described.trust
            )
        except ValidationError as error:
            for text in error.messages:
                messages.error(request, text)


def _sentence(expiry: Expiry) -> str:
    day = date_format(localtime(expiry.at), "DATE_FORMAT")
    texts = {
        ("signing", False): _("The signing certificate runs out on %(day)s."),
        ("signing", True): _("The signing certificate ran out on %(day)s."),
        ("encryption", False): _("The encryption certificate runs out on %(day)s."),
        ("encryption", True): _("The encryption certificate ran out on %(day)s."),
        ("metadata", False): _("The metadata is valid until %(day)s. Import it again."),
        ("metadata", True): _("The metadata was valid until %(day)s. Import it again."),
    }
    return texts[expiry.what, expiry.is_over] % {"day": day}


def _us(request: HttpRequest, provider: ServiceProvider) -> Entity:
    """Decision 10: from configuration; on a developer's loopback, where the operator is."""
    context = context_of(request)
    if identity_conf.debug and context.tenant == provider.tenant:
        return entity.of(context)
    return entity.of_tenant(provider.tenant)


@admin.register(SAMLSession)
class SAMLSessionAdmin(ReadOnly):
    hidden_fields = ("session_index",)  # by which the session is named in commands
    list_display = ("service_provider", "session", "name_id_format", "created_at", "ended_at")
    list_select_related = ("service_provider", "session")
    fields = (
        "tenant",
        "service_provider",
        "session",
        "name_id_format",
        "name_id",
        "created_at",
        "ended_at",
    )
    readonly_fields = fields


@admin.register(PersistentName)
class PersistentNameAdmin(ReadOnly):
    tenant_lookup = "service_provider__tenant"
    list_display = ("service_provider", "user", "created_at")
    list_select_related = ("service_provider", "user")
    search_fields = ("=value", "=user__user_key")
    fields = ("service_provider", "user", "value", "created_at")
    readonly_fields = fields
