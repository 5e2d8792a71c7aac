"""Tenants, their host names, policies and attribute definitions."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelectWidget

from identity.admin.base import ReadOnly, StackedInline, TabularInline, TenantScoped
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
from identity.services import attributes, authority
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


class PasswordPolicyInline(StackedInline):
    model = PasswordPolicy
    can_delete = False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        # Whoever may not set operators' passwords does not open another way to them (S46).
        return [] if request.user.is_superuser else ["operators_may_reset"]


class SessionPolicyInline(StackedInline):
    model = SessionPolicy
    can_delete = False


class MessagePolicyInline(StackedInline):
    model = MessagePolicy
    can_delete = False


@admin.register(Tenant)
class TenantAdmin(TenantScoped):
    tenant_lookup = "pk"
    is_sensitive = True
    list_display = ("name", "code", "is_active", "is_default", "language", "time_zone")
    search_fields = ("name", "code")
    autocomplete_fields = ("registration_organization",)
    readonly_fields = ("public_id", "created_at", "updated_at")
    inlines = (DomainInline, PasswordPolicyInline, SessionPolicyInline, MessagePolicyInline)
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
        "public_id",
        "created_at",
        "updated_at",
    )

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

    def save_model(self, request: HttpRequest, obj: Tenant, form: ModelForm, change: bool) -> None:
        if change and "is_active" in form.changed_data and not obj.is_active:
            authority.check_superuser_elsewhere(obj)
        super().save_model(request, obj, form, change)

    def has_add_permission(self, request: HttpRequest, *args: object) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # A tenant is disabled; its audit trail outlives it.


@admin.register(AttributeDefinition)
class AttributeDefinitionAdmin(TenantScoped):
    list_display = ("name", "label", "target", "application", "type", "is_required", "is_unique", "editable_by")
    list_filter = ("target", "type")
    search_fields = ("name", "label")
    autocomplete_fields = ("tenant", "application")
    list_select_related = ("application",)

    def save_model(self, request: HttpRequest, obj: AttributeDefinition, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "is_unique" in form.changed_data:
            attributes.index_existing_values(obj)


@admin.register(UserCount)
class UserCountAdmin(ReadOnly):
    list_display = ("tenant", "users")
    list_select_related = ("tenant",)
    ordering = ("tenant",)
    fields = ("tenant", "users")
    readonly_fields = fields
