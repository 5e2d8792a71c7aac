"""The application catalogue with its organisations, accounts and roles."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action

from identity.admin.base import LargeTable, TabularInline, TenantScoped
from identity.models import AppAccount, Application, AppOrganization, AppRole, AppRoleMember


@admin.register(Application)
class ApplicationAdmin(TenantScoped):
    is_sensitive = True
    list_display = ("name", "code", "access", "is_active", "is_internal", "skip_consent", "tenant")
    list_filter = ("is_active", "access")
    list_select_related = ("tenant",)
    search_fields = ("name", "code")
    autocomplete_fields = ("tenant",)
    fields = (
        "tenant",
        "code",
        "name",
        "description",
        "logo_url",
        "home_url",
        "is_active",
        "access",
        "mfa_mode",
        "skip_consent",
        "is_internal",
        "has_organizations",
        "has_roles",
        "public_id",
        "created_at",
        "updated_at",
    )
    readonly_fields = ("public_id", "created_at", "updated_at")
    actions_detail = ("deliveries",)

    @action(description=gettext_lazy("Sign-out notices"), url_path="deliveries", permissions=["deliveries"])
    def deliveries(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """List what the application was told of sign-outs, and what it answered."""
        row = get_object_or_404(self.get_queryset(request), pk=object_id)
        return HttpResponseRedirect(f"{reverse('admin:identity_delivery_changelist')}?{urlencode({'q': row.code})}")

    def has_deliveries_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return bool(request.user.has_perm("identity.view_delivery"))

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        readonly = super().get_readonly_fields(request, obj)
        # Whose private network would be called is the installation's, and not one tenant's (S34, decision 12).
        return readonly if request.user.is_superuser else [*readonly, "is_internal"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # An application is disabled: clients, accounts and audit rows point to it.


@admin.register(AppOrganization)
class AppOrganizationAdmin(LargeTable):
    tenant_lookup = "application__tenant"
    list_display = ("name", "code", "application", "parent")
    list_select_related = ("application", "parent")
    search_fields = ("code", "name")
    autocomplete_fields = ("application", "parent")
    fixed_fields = ("application",)
    fields = ("application", "code", "name", "parent", "public_id")
    readonly_fields = ("public_id",)


@admin.register(AppAccount)
class AppAccountAdmin(LargeTable):
    tenant_lookup = "application__tenant"
    is_sensitive = True
    list_display = ("account_name", "application", "user", "account_type", "is_active")
    list_filter = ("account_type", "is_active")
    list_select_related = ("application", "user")
    search_fields = ("=account_name", "=user__user_key", "=public_id")
    autocomplete_fields = ("application", "user", "organization")
    fixed_fields = ("application", "user", "account_type")
    hidden_fields = ("password_sealed",)
    fields = (
        "application",
        "user",
        "account_type",
        "account_name",
        "name",
        "organization",
        "is_active",
        "extension",
        "public_id",
    )
    readonly_fields = ("public_id",)


class RoleMemberForm(forms.ModelForm):
    """A member; only accounts of the role's own application hold it."""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        account = data.get("account")
        if account and account.application_id != self.instance.role.application_id:
            raise forms.ValidationError(_("These rows belong to different applications."))
        return data


class RoleMemberInline(TabularInline):
    model = AppRoleMember
    form = RoleMemberForm
    ordering = ("id",)
    per_page = 50  # pages, as a role may have very many members
    autocomplete_fields = ("account",)


@admin.register(AppRole)
class AppRoleAdmin(TenantScoped):
    tenant_lookup = "application__tenant"
    list_display = ("code", "name", "application")
    list_select_related = ("application",)
    search_fields = ("code", "name")
    autocomplete_fields = ("application",)
    fixed_fields = ("application",)
    fields = ("application", "code", "name", "public_id")
    readonly_fields = ("public_id",)

    def get_inlines(self, request: HttpRequest, obj: Model | None) -> list[type[TabularInline]]:
        return [RoleMemberInline] if obj else []  # a new role has no application yet to compare with


@admin.register(AppRoleMember)
class AppRoleMemberAdmin(LargeTable):
    tenant_lookup = "role__application__tenant"
    list_display = ("role", "account")
    list_select_related = ("role", "account")
    autocomplete_fields = ("role", "account")
