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

from identity.admin.base import (
    LargeTable,
    LockoutFields,
    ReadOnly,
    ServiceForm,
    TabularInline,
    TenantScoped,
    Writer,
    WrittenByService,
    writer_of,
)
from identity.directory import accounts, applications, organizations, roles
from identity.models import AppAccount, Application, AppOrganization, AppRole, AppRoleMember


class ApplicationForm(LockoutFields, ServiceForm):
    """An entry of the catalogue."""

    class Meta:
        model = Application
        fields = (
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
        )

    def apply(self) -> Application:
        """Write what the form holds. Raises ValidationError by field."""
        values = {name: self.cleaned_data[name] for name in self.Meta.fields if name in self.cleaned_data}
        values["accept_lockout"] = self.cleaned_data.get("accept_lockout", False)
        by = writer_of(self.request)
        if self.instance.pk:
            row = Application.objects.get(pk=self.instance.pk)
            applications.update(application=row, **values, **by)
            return row
        return applications.create(tenant=self.cleaned_data.get("tenant") or by["actor"].tenant, **values, **by)


@admin.register(Application)
class ApplicationAdmin(WrittenByService, TenantScoped):
    form = ApplicationForm
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
        "accept_lockout",
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


class AppOrganizationForm(ServiceForm):
    """A node of an application's own tree."""

    class Meta:
        model = AppOrganization
        fields = ("application", "code", "name", "parent")

    def apply(self) -> AppOrganization:
        """Write what the form holds."""
        data, by = self.cleaned_data, writer_of(self.request)
        parent_id = data["parent"].public_id if data.get("parent") else ""
        if self.instance.pk:
            row = AppOrganization.objects.select_related("application__tenant").get(pk=self.instance.pk)
            organizations.update_app_organization(organization=row, name=data["name"], parent_id=parent_id, **by)
            return row
        return organizations.create_app_organization(
            application=data["application"], code=data["code"], name=data["name"], parent_id=parent_id, **by
        )


@admin.register(AppOrganization)
class AppOrganizationAdmin(WrittenByService, LargeTable):
    form = AppOrganizationForm
    tenant_lookup = "application__tenant"
    list_display = ("name", "code", "application", "parent")
    list_select_related = ("application", "parent")
    search_fields = ("code", "name")
    autocomplete_fields = ("application", "parent")
    fixed_fields = ("application", "code")
    fields = ("application", "code", "name", "parent", "public_id")
    readonly_fields = ("public_id",)

    def delete_model(self, request: HttpRequest, obj: AppOrganization) -> None:
        organizations.delete_app_organization(organization=obj, **writer_of(request))


class AccountForm(ServiceForm):
    """A person's account inside an application."""

    class Meta:
        model = AppAccount
        fields = (
            "application",
            "user",
            "account_type",
            "account_name",
            "name",
            "organization",
            "is_active",
            "extension",
        )

    def apply(self) -> AppAccount:
        """Write what the form holds."""
        data, by = self.cleaned_data, writer_of(self.request)
        values = {
            "account_name": data["account_name"],
            "name": data["name"] or None,
            "organization_code": data["organization"].code if data.get("organization") else "",
            "is_active": data["is_active"],
            "extension": data.get("extension") or {},
        }
        if self.instance.pk:
            row = AppAccount.objects.select_related("application__tenant", "user").get(pk=self.instance.pk)
            accounts.update(account=row, **values, **by)
            return row
        return accounts.create(
            application=data["application"],
            user=data["user"],
            account_type=data["account_type"],
            **{name: value for name, value in values.items() if value is not None},
            **by,
        )


@admin.register(AppAccount)
class AppAccountAdmin(WrittenByService, LargeTable):
    form = AccountForm
    tenant_lookup = "application__tenant"
    is_sensitive = True
    list_display = ("account_name", "application", "user", "account_type", "is_active")
    list_filter = ("account_type", "is_active")
    list_select_related = ("application", "user")
    search_fields = ("=account_name", "=user__user_key", "=public_id")
    autocomplete_fields = ("application", "user", "organization")
    fixed_fields = ("application", "user", "account_type")
    hidden_fields = ("password_sealed",)
    fields = (*AccountForm.Meta.fields, "public_id")
    readonly_fields = ("public_id",)

    def delete_model(self, request: HttpRequest, obj: AppAccount) -> None:
        accounts.delete(account=obj, **writer_of(request))


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

    def write(self, formset: Any, *, parent: Any, by: Writer) -> None:
        role = AppRole.objects.select_related("application__tenant").get(pk=parent.pk)
        gone, new = [], []
        for form in formset.forms:
            is_deleted = form in formset.deleted_forms
            if form.instance.pk and (is_deleted or "account" in form.changed_data):
                gone.append(form.initial["account"])
            if "account" in form.changed_data and not is_deleted:
                new.append(form.cleaned_data["account"].public_id)
        public_ids = AppAccount.objects.filter(pk__in=gone).values_list("public_id", flat=True)
        if gone:
            roles.remove_members(role=role, account_ids=list(public_ids), **by)
        if new:
            roles.add_members(role=role, account_ids=new, **by)


class RoleForm(ServiceForm):
    """A role of an application; its members stand below it."""

    class Meta:
        model = AppRole
        fields = ("application", "code", "name")

    def apply(self) -> AppRole:
        """Write what the form holds."""
        data, by = self.cleaned_data, writer_of(self.request)
        if self.instance.pk:
            row = AppRole.objects.select_related("application__tenant").get(pk=self.instance.pk)
            if data["name"] != row.name:
                roles.update(role=row, name=data["name"], **by)
            return row
        return roles.create(application=data["application"], code=data["code"], name=data["name"] or None, **by)


@admin.register(AppRole)
class AppRoleAdmin(WrittenByService, TenantScoped):
    form = RoleForm
    tenant_lookup = "application__tenant"
    list_display = ("code", "name", "application")
    list_select_related = ("application",)
    search_fields = ("code", "name")
    autocomplete_fields = ("application",)
    fixed_fields = ("application", "code")
    fields = ("application", "code", "name", "public_id")
    readonly_fields = ("public_id",)

    def delete_model(self, request: HttpRequest, obj: AppRole) -> None:
        roles.delete(role=obj, **writer_of(request))

    def get_inlines(self, request: HttpRequest, obj: Model | None) -> list[type[TabularInline]]:
        return [RoleMemberInline] if obj else []  # a new role has no application yet to compare with


@admin.register(AppRoleMember)
class AppRoleMemberAdmin(ReadOnly):
    """Who holds which role; changed at the role."""

    tenant_lookup = "role__application__tenant"
    list_display = ("role", "account")
    list_select_related = ("role", "account")
    fields = ("role", "account")
    readonly_fields = fields
