"""Tenants, their host names, policies and attribute definitions."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _
from unfold.widgets import UnfoldAdminSelectWidget

from identity.admin.base import (
    LockoutFields,
    ReadOnly,
    ServiceForm,
    StackedInline,
    TabularInline,
    TenantScoped,
    Writer,
    WrittenByService,
    WrittenInline,
    writer_of,
)
from identity.directory import attributes, lockouts, tenants
from identity.languages import best_language
from identity.models import (
    AttributeDefinition,
    MessagePolicy,
    PasswordPolicy,
    SessionPolicy,
    Tenant,
    TenantDomain,
    UserCount,
)
from identity.validators import time_zones


class LanguageField(forms.ChoiceField):
    """One of our languages; another spelling of one, such as zh-CN, is shown as that one."""

    def prepare_value(self, value: Any) -> Any:
        return best_language([value or ""]) or value


class DomainInline(TabularInline):
    model = TenantDomain
    ordering = ("position", "id")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # A host name claims the traffic of everyone who uses it: for those who answer for the whole installation.
        return bool(request.user.is_superuser)

    has_change_permission = has_add_permission
    has_delete_permission = has_add_permission

    def write(self, formset: Any, *, parent: Any, by: Writer) -> None:
        kept = [form for form in formset.forms if form not in formset.deleted_forms and form.cleaned_data.get("host")]
        kept.sort(key=lambda form: form.cleaned_data["position"])  # as they stand, where positions are alike
        tenants.update(tenant=parent, domains=[form.cleaned_data["host"] for form in kept], **by)


class PolicyInline(StackedInline):
    """A policy of the tenant."""

    can_delete = False

    def write(self, formset: Any, *, parent: Any, by: Writer) -> None:
        for form in formset.initial_forms:
            policy = self.model.objects.select_related("tenant").get(pk=form.instance.pk)
            values = {name: form.cleaned_data[name] for name in form.changed_data}
            tenants.update_policy(policy=policy, **values, **by)


class PasswordPolicyInline(PolicyInline):
    model = PasswordPolicy

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        # Whoever may not set operators' passwords does not open another way to them (S46).
        return [] if request.user.is_superuser else ["operators_may_reset"]


class SessionPolicyForm(LockoutFields):
    """How long sessions last and when a second factor is asked for."""

    class Meta:
        model = SessionPolicy
        exclude = ("tenant",)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        before = {name: self.initial[name] for name in lockouts.POLICY_COLUMNS}
        after = {name: data.get(name, value) for name, value in before.items()}
        is_accepted = data.get("accept_lockout", False)
        lockouts.check_policy(after, before=before, tenant=self.instance.tenant, is_accepted=is_accepted)
        return data


class SessionPolicyInline(PolicyInline):
    model = SessionPolicy
    form = SessionPolicyForm


class MessagePolicyInline(PolicyInline):
    model = MessagePolicy


class TenantForm(ServiceForm):
    """A tenant; its policies and host names stand below it."""

    class Meta:
        model = Tenant
        fields = (
            "code",
            "name",
            "logo_url",
            "is_active",
            "is_default",
            "time_zone",
            "language",
            "localize_errors",
            "allow_registration",
            "registration_organization",
            "encrypt_captcha",
            "id_token_signed_response_alg",
        )

    def apply(self) -> Tenant:
        """Write what the form holds. Raises ValidationError by field."""
        values = {name: self.cleaned_data[name] for name in self.Meta.fields if name in self.cleaned_data}
        if self.instance.pk:
            tenant = Tenant.objects.get(pk=self.instance.pk)
            tenants.update(tenant=tenant, **values, **writer_of(self.request))
            return tenant
        return tenants.create(**values, **writer_of(self.request))


@admin.register(Tenant)
class TenantAdmin(WrittenByService, TenantScoped):
    form = TenantForm
    tenant_lookup = "pk"
    is_sensitive = True
    list_display = ("name", "code", "is_active", "is_default", "language", "time_zone")
    search_fields = ("name", "code")
    autocomplete_fields = ("registration_organization",)
    readonly_fields = ("public_id", "created_at", "updated_at")
    fields = (*TenantForm.Meta.fields, "public_id", "created_at", "updated_at")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "time_zone":
            names = [(name, name) for name in time_zones()]
            return forms.ChoiceField(label=db_field.verbose_name, choices=names, widget=UnfoldAdminSelectWidget)
        if db_field.name == "language":
            languages = settings.LANGUAGES
            return LanguageField(label=db_field.verbose_name, choices=languages, widget=UnfoldAdminSelectWidget)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        readonly = list(super().get_readonly_fields(request, obj))
        if obj is None:
            readonly.append("registration_organization")  # there is none yet
        if not request.user.is_superuser:
            readonly += ["code", "is_active", "is_default"]
        return readonly

    def get_inlines(self, request: HttpRequest, obj: Model | None) -> list[type[WrittenInline]]:
        # A new tenant is made with the policies of every new tenant.
        policies = (PasswordPolicyInline, SessionPolicyInline, MessagePolicyInline)
        return [DomainInline, *(policies if obj else ())]

    def has_add_permission(self, request: HttpRequest, *args: object) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # A tenant is disabled; its audit trail outlives it.


class AttributeDefinitionForm(ServiceForm):
    """The rule for one attribute."""

    class Meta:
        model = AttributeDefinition
        fields = ("target", "application", "name", *attributes.EDITABLE)

    def apply(self) -> AttributeDefinition:
        """Write what the form holds. Raises ValidationError by field."""
        data, row = self.cleaned_data, self.instance
        found = row if row.pk else None
        tenant = found.tenant if found else data.get("tenant") or self.operator.tenant
        definition, is_new, _changes = attributes.define(
            tenant=tenant,
            target=found.target if found else data["target"],
            application=found.application if found else data.get("application"),
            name=found.name if found else data["name"],
            **{name: data[name] for name in attributes.EDITABLE},
            **writer_of(self.request),
        )
        if not found and not is_new:
            raise forms.ValidationError({"name": _("There is one of this name.")})
        return definition


@admin.register(AttributeDefinition)
class AttributeDefinitionAdmin(WrittenByService, TenantScoped):
    form = AttributeDefinitionForm
    list_display = ("name", "label", "target", "application", "type", "is_required", "is_unique", "editable_by")
    list_filter = ("target", "type")
    search_fields = ("name", "label")
    autocomplete_fields = ("tenant", "application")
    list_select_related = ("application",)
    fixed_fields = ("target", "application", "name")
    fields = ("tenant", *AttributeDefinitionForm.Meta.fields)

    def delete_model(self, request: HttpRequest, obj: AttributeDefinition) -> None:
        attributes.forget(definition=obj, **writer_of(request))


@admin.register(UserCount)
class UserCountAdmin(ReadOnly):
    list_display = ("tenant", "users")
    list_select_related = ("tenant",)
    ordering = ("tenant",)
    fields = ("tenant", "users")
    readonly_fields = fields
