"""The organisation tree: written through identity.directory.organizations."""

from django.contrib import admin
from django.http import HttpRequest

from identity.admin.base import LargeTable, ReadOnly, ServiceForm, WrittenByService, writer_of
from identity.directory import organizations
from identity.models import Membership, Organization


class OrganizationForm(ServiceForm):
    class Meta:
        model = Organization
        fields = ("code", "name", "category", "parent")

    def apply(self) -> Organization:
        """Write what the form holds through the service."""
        parent = self.cleaned_data.get("parent")
        values = {
            "code": self.cleaned_data["code"],
            "name": self.cleaned_data["name"],
            "category": self.cleaned_data["category"],
            "parent_id": parent.public_id if parent else "",
            **writer_of(self.request),
        }
        if self.instance.pk:
            row = Organization.objects.select_related("tenant").get(pk=self.instance.pk)
            organizations.update(organization=row, **values)
            return row
        return organizations.create(tenant=self.cleaned_data.get("tenant") or self.operator.tenant, **values)


@admin.register(Organization)
class OrganizationAdmin(WrittenByService, LargeTable):
    form = OrganizationForm
    list_display = ("name", "code", "category", "parent", "tenant")
    list_filter = ("category",)
    list_select_related = ("parent", "tenant")
    search_fields = ("code__startswith", "name__startswith")
    autocomplete_fields = ("tenant", "parent")
    fields = ("tenant", "code", "name", "category", "parent", "public_id", "created_at", "updated_at")
    readonly_fields = ("public_id", "created_at", "updated_at")

    def delete_model(self, request: HttpRequest, obj: Organization) -> None:
        organizations.delete(organization=obj, **writer_of(request))


@admin.register(Membership)
class MembershipAdmin(ReadOnly):
    """Who belongs where; changed at the user, who has exactly one primary organisation."""

    tenant_lookup = "organization__tenant"
    list_display = ("user", "organization", "is_primary")
    list_select_related = ("user", "organization")
    fields = ("user", "organization", "is_primary")
    readonly_fields = fields
