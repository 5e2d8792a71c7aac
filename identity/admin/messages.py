"""How codes leave the house: gateways with a test message, texts with a preview, and what was sent."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from identity.admin.base import (
    ReadOnly,
    ServiceForm,
    TenantScoped,
    WrittenByService,
    context_of,
    operator_of,
)
from identity.messaging import gateways
from identity.messaging.senders import KINDS
from identity.messaging.senders.base import Setting
from identity.models import MessageGateway, MessageTemplate, SentMessage, SentState

_COLUMNS = ("name", "position", "is_active", "base_url", "is_internal")
_SETTING = "setting_"  # before the name of a kind's setting, in the form


class NewGatewayForm(ServiceForm):
    """What kind of gateway; the next page asks what that kind needs to know."""

    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=lambda: [(kind.name, kind.label) for kind in KINDS.values()],
        widget=UnfoldAdminSelectWidget,
    )

    class Meta:
        model = MessageGateway
        fields = ("channel", "name", "position")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The kind that is shown first, and a channel that it has.
        self.initial.setdefault("channel", next(iter(KINDS.values())).channels[0])

    def apply(self) -> MessageGateway:
        """Make the gateway, switched off."""
        data = self.cleaned_data
        return gateways.create(
            tenant=data.get("tenant") or self.operator.tenant,
            channel=data["channel"],
            kind=data["kind"],
            name=data["name"],
            position=data["position"],
            context=context_of(self.request),
            actor=self.operator,
        )


class GatewayForm(ServiceForm):
    """A gateway's own columns; the fields of its kind join them in `form_for`."""

    class Meta:
        model = MessageGateway
        fields = _COLUMNS

    def apply(self) -> MessageGateway:
        """Change the gateway."""
        row: MessageGateway = MessageGateway.objects.get(pk=self.instance.pk)
        data = self.cleaned_data
        given = {name.removeprefix(_SETTING): value for name, value in data.items() if name.startswith(_SETTING)}
        gateways.update(
            gateway=row,
            context=context_of(self.request),
            actor=self.operator,
            settings=given,
            secret=data.get("secret"),
            may_be_internal=self.operator.is_superuser,
            **{name: data[name] for name in _COLUMNS if name in data},
        )
        return row

    def _at_fields(self, error: ValidationError) -> ValidationError:
        """Put errors at the fields of settings and columns, and those without a field above the form."""
        if not hasattr(error, "error_dict"):
            return error
        placed: dict[str, list[str]] = {}
        for name, texts in error.message_dict.items():
            field = next((known for known in (name, f"{_SETTING}{name}") if known in self.fields), "__all__")
            placed.setdefault(field, []).extend(texts)
        return ValidationError(placed)


def form_for(gateway: MessageGateway) -> type[GatewayForm]:
    """Return the form of a gateway, with a field for each thing that its kind asks for."""
    kind = KINDS.get(gateway.kind)
    if kind is None:
        return GatewayForm
    fields: dict[str, Any] = {
        f"{_SETTING}{setting.name}": _field(setting, gateway.settings.get(setting.name, setting.default))
        for setting in kind.settings
    }
    if kind.secret_label:
        fields["secret"] = forms.CharField(
            label=kind.secret_label,
            required=False,
            max_length=500,
            widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
            help_text=gettext_lazy("Kept sealed and never shown. Empty: the present one stays.")
            if gateway.secret_sealed
            else "",
        )
    return type("GatewayForm", (GatewayForm,), fields)


def _field(setting: Setting, value: Any) -> forms.Field:
    common: dict[str, Any] = {
        "label": setting.label,
        "help_text": setting.help_text,
        "required": False,  # a gateway is filled in step by step; the service asks for the rest
        "initial": setting.show(value),
    }
    if setting.choices:
        return forms.ChoiceField(choices=setting.choices, widget=UnfoldAdminSelectWidget, **common)
    widget = UnfoldAdminTextareaWidget if setting.is_long else UnfoldAdminTextInputWidget
    return forms.CharField(max_length=10_000, widget=widget, **common)


class TestMessageForm(forms.Form):
    """Where a test message goes."""

    target = forms.CharField(label=gettext_lazy("Number or mailbox"), max_length=254, widget=UnfoldAdminTextInputWidget)


@admin.register(MessageGateway)
class MessageGatewayAdmin(WrittenByService, TenantScoped):
    is_sensitive = True
    list_display = ("name", "channel", "kind_label", "position", "is_active", "is_internal", "tenant")
    list_filter = ("channel", "is_active")
    list_select_related = ("tenant",)
    autocomplete_fields = ("tenant",)
    fixed_fields = ("channel",)
    hidden_fields = ("secret_sealed",)
    readonly_fields = ("kind_label", "created_at", "updated_at")
    actions_detail = ("send_test",)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("tenant", "channel", "position", "id")  # as they are asked

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = form_for(obj) if obj else NewGatewayForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: MessageGateway | None = None) -> list[Any]:
        if obj is None:
            owner = ("tenant",) if request.user.is_superuser else ()
            return [(None, {"fields": (*owner, "channel", "kind", "name", "position")})]
        kind = KINDS.get(obj.kind)
        own = [f"{_SETTING}{setting.name}" for setting in kind.settings] if kind else []
        address = ["base_url"] if kind and kind.has_address else []
        secret = ["secret"] if kind and kind.secret_label else []
        if not self.has_change_permission(request, obj):
            own, secret = [], []  # fields of the form only: a page to look at has none
        return [
            (None, {"fields": ("kind_label", "channel", "name", "position", "is_active")}),
            (_("Settings"), {"fields": (*address, *own, *secret, "is_internal")}),
            (_("Record"), {"fields": ("created_at", "updated_at")}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        readonly = super().get_readonly_fields(request, obj)
        # S34: whose private network would be called is the installation's, and not one tenant's.
        return readonly if request.user.is_superuser else [*readonly, "is_internal"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if isinstance(obj, MessageGateway) and obj.is_internal and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        messages.info(request, _("The gateway is switched off. Say what it needs to know, and switch it on."))
        return HttpResponseRedirect(reverse("admin:identity_messagegateway_change", args=[obj.pk]))

    def delete_model(self, request: HttpRequest, obj: MessageGateway) -> None:
        gateways.delete(gateway=obj, context=context_of(request), actor=operator_of(request))

    @admin.display(description=gettext_lazy("kind"))
    def kind_label(self, gateway: MessageGateway) -> str:
        kind = KINDS.get(gateway.kind)
        return str(kind.label) if kind else gateway.kind

    def has_send_test_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return bool(request.user.has_perm("identity.change_messagegateway"))

    @action(description=gettext_lazy("Send a test message"), url_path="send-test", permissions=["send_test"])
    def send_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send a code that opens nothing, and tell what the gateway said."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("Send a test message"),
            text=_("A message with a code that opens nothing goes through this gateway, switched on or not."),
            perform=lambda row, form: self._send_test(request, row, form),
            form_class=TestMessageForm,
            permission=self.has_send_test_permission,
        )

    def _send_test(self, request: HttpRequest, row: MessageGateway, form: Any) -> HttpResponse:
        try:
            sent = gateways.send_test(
                gateway=row,
                target=form.cleaned_data["target"],
                language=context_of(request).language,
                context=context_of(request),
                actor=operator_of(request),
            )
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return HttpResponseRedirect(request.path)
        facts = {
            "state": sent.get_state_display(),
            "code": sent.error_code or "-",
            "id": sent.reference or "-",
            "time": sent.duration_ms,
        }
        tell = messages.success if sent.state == SentState.SENT else messages.error
        tell(request, _("%(state)s. Error code: %(code)s, gateway's id: %(id)s, %(time)s ms.") % facts)
        return HttpResponseRedirect(reverse("admin:identity_sentmessage_change", args=[sent.pk]))


class TemplateForm(ServiceForm):
    """A text for one purpose in one language."""

    language = forms.ChoiceField(
        label=gettext_lazy("Language"), choices=lambda: settings.LANGUAGES, widget=UnfoldAdminSelectWidget
    )

    class Meta:
        model = MessageTemplate
        fields = ("channel", "purpose", "language", "subject", "text")

    def apply(self) -> MessageTemplate:
        """Set the text."""
        data, row = self.cleaned_data, self.instance
        key = {name: data.get(name) or getattr(row, name) for name in ("channel", "purpose", "language")}
        saved, _changes = gateways.set_template(
            tenant=row.tenant if row.pk else data.get("tenant") or self.operator.tenant,
            subject=data.get("subject", ""),
            text=data["text"],
            context=context_of(self.request),
            actor=self.operator,
            **key,
        )
        return saved


@admin.register(MessageTemplate)
class MessageTemplateAdmin(WrittenByService, TenantScoped):
    is_sensitive = True
    list_display = ("purpose", "channel", "language", "subject", "updated_at", "tenant")
    list_filter = ("channel", "purpose", "language")
    list_select_related = ("tenant",)
    autocomplete_fields = ("tenant",)
    fixed_fields = ("channel", "purpose", "language")
    readonly_fields = ("preview", "without", "updated_at")
    form = TemplateForm

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form_class = super().get_form(request, obj, change, **kwargs)
        if obj is not None:
            form_class.base_fields.pop("language", None)  # it is declared, so Django would ask for it all the same
        return form_class

    def get_fieldsets(self, request: HttpRequest, obj: MessageTemplate | None = None) -> list[Any]:
        owner = ("tenant",) if request.user.is_superuser else ()
        sets: list[Any] = [(None, {"fields": (*owner, "channel", "purpose", "language", "subject", "text")})]
        return [*sets, (_("Preview"), {"fields": ("preview", "without", "updated_at")})] if obj else sets

    def delete_model(self, request: HttpRequest, obj: MessageTemplate) -> None:
        gateways.delete_template(template=obj, context=context_of(request), actor=operator_of(request))

    @admin.display(description=gettext_lazy("as it is sent"))
    def preview(self, template: MessageTemplate) -> SafeString:
        return _as_sent(*_parts(gateways.preview(template)))

    @admin.display(description=gettext_lazy("without this text"))
    def without(self, template: MessageTemplate) -> SafeString:
        return _as_sent(*_parts(gateways.default_of(template)))


def _parts(text: Any) -> tuple[str, str]:
    return text.subject, text.body


def _as_sent(subject: str, body: str) -> SafeString:
    heading = format_html("<strong>{}</strong>\n\n", subject) if subject else ""
    return format_html("<pre>{}{}</pre>", heading, body)


@admin.register(SentMessage)
class SentMessageAdmin(ReadOnly):
    list_display = (
        "created_at",
        "channel",
        "purpose",
        "target_masked",
        "gateway_name",
        "attempt",
        "state",
        "error_code",
        "duration_ms",
    )
    list_filter = ("state", "channel", "purpose")
    search_fields = ("=reference", "=request_id", "=user__public_id")
    search_help_text = gettext_lazy("Whole id of the gateway's, of a request, or of a user")
    fields = (
        "tenant",
        "created_at",
        "user",
        "channel",
        "purpose",
        "target_masked",
        "gateway",
        "gateway_name",
        "attempt",
        "is_test",
        "state",
        "error_code",
        "reference",
        "duration_ms",
        "request_id",
    )
    readonly_fields = fields

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # A link while the gateway is there; its name stays behind.
        other = "gateway" if obj is None or obj.gateway_id is None else "gateway_name"
        return [name for name in self.fields if name != other]
