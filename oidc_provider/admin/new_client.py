"""Connecting an application: what an operator is asked, and what follows from the kind of client."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms import Form
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from identity.admin.base import (
    context_of,
    operator_of,
)
from identity.directory import applications
from identity.models import Application
from oidc_provider import dialects
from oidc_provider.admin.fields import LinesField
from oidc_provider.clients import registration
from oidc_provider.models import (
    AuthMethod,
    Client,
    GrantType,
)


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
        """Return the registration values that follow from the kind."""
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
