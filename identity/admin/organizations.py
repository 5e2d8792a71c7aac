"""The organisation tree: written through identity.services.organizations."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest

from identity.admin.base import LargeTable, ReadOnly, context_of
from identity.errors import IdentityError
from identity.models import Membership, Organization
from identity.services import organizations


class OrganizationForm(forms.ModelForm):
    operator: ClassVar[Any]
    request: ClassVar[HttpRequest]

    class Meta:
        model = Organization
        fields = ("code", "name", "category", "parent")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        # Tried and taken back, as in UserForm.
        try:
            with transaction.atomic():
                self.apply()
                transaction.set_rollback(True)
        except IdentityError as error:
            raise forms.ValidationError(f"{error.message} ({error.error_code})") from error
        return data

    def apply(self) -> Organization:
        """Write what the form holds through the service."""
        parent = self.cleaned_data.get("parent")
        values = {
            "code": self.cleaned_data["code"],
            "name": self.cleaned_data["name"],
            "category": self.cleaned_data["category"],
            "parent_id": parent.public_id if parent else "",
            "context": context_of(self.request),
        }
        if self.instance.pk:
            row = Organization.objects.select_related("tenant").get(pk=self.instance.pk)
            organizations.update(organization=row, **values)
            return row
        return organizations.create(tenant=self.cleaned_data.get("tenant") or self.operator.tenant, **values)

    def _post_clean(self) -> None:
        """Leave the row alone: the service checks and writes it."""


@admin.register(Organization)
class OrganizationAdmin(LargeTable):
    form = OrganizationForm
    list_display = ("name", "code", "category", "parent", "tenant")
    list_filter = ("category",)
    list_select_related = ("parent", "tenant")
    search_fields = ("code__startswith", "name__startswith")
    autocomplete_fields = ("tenant", "parent")
    fields = ("tenant", "code", "name", "category", "parent", "public_id", "created_at", "updated_at")
    readonly_fields = ("public_id", "created_at", "updated_at")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form_class = super().get_form(request, obj, change, **kwargs)
        return type(form_class.__name__, (form_class,), {"request": request})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        names = list(super().get_fields(request, obj))
        return names if request.user.is_superuser else [name for name in names if name != "tenant"]

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Organization:
        row: Organization = form.apply()
        form.save_m2m = lambda: None
        return row

    def save_model(self, request: HttpRequest, obj: Organization, form: Any, change: bool) -> None:
        """Nothing is left to do: the service has written and audited the row."""

    def delete_model(self, request: HttpRequest, obj: Organization) -> None:
        organizations.delete(organization=obj, context=context_of(request))


@admin.register(Membership)
class MembershipAdmin(ReadOnly):
    """Who belongs where; changed at the user, who has exactly one primary organisation."""

    tenant_lookup = "organization__tenant"
    list_display = ("user", "organization", "is_primary")
    list_select_related = ("user", "organization")
    fields = ("user", "organization", "is_primary")
    readonly_fields = fields
