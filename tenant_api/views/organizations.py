"""Section 3.1.4: organizations."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from identity.directory import lists, organizations
from identity.events import EventType
from identity.models import Organization
from tenant_api import examples
from tenant_api.fields import read_flag, wire_id
from tenant_api.pagination import read_page
from tenant_api.permissions import Right
from tenant_api.serializers import organizations as wire
from tenant_api.views.base import LIMIT, OFFSET, TenantAPIView, operation

TAG = "organizations"
_ALL_CHILD = OpenApiParameter("all_child", bool, default=False, description="All lower levels, not only the next one.")
_ORG_ID = OpenApiParameter("org_id", str, allow_blank=True, description="Empty or absent: the tenant itself.")


class OrganizationsView(TenantAPIView):
    """/organizations"""

    @operation(
        "createOrganization", "Create an organization", tag=TAG, right=Right.WRITE_ORGANIZATIONS, source="3.1.4.1",
        event=EventType.ORGANIZATION_CREATE, request=wire.OrganizationCreateRequest, answer=wire.OrgIdResponse,
        status=201, example=examples.ORGANIZATION,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Create an organization, below its parent or at the top."""
        values = self.read(wire.OrganizationCreateRequest)
        created = organizations.create(tenant=self.tenant, **self.by, **values)
        return self.answer(wire.OrgIdResponse, created, status=201)

    @operation(
        "listOrganizations", "List organizations", tag=TAG, right=Right.READ_ORGANIZATIONS, source="3.1.4.5",
        answer=wire.OrganizationList, query=[_ALL_CHILD, LIMIT, OFFSET, _ORG_ID],
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Page through the organization and its children, or everything below it."""
        page = read_page(request.GET)
        found = lists.list_organizations(
            tenant=self.tenant,
            organization_id=wire_id(request.GET.get("org_id")),
            all_children=read_flag(request.GET.get("all_child") or False, "all_child"),
            index=page.index,
            size=page.size,
        )
        return self.answer(wire.OrganizationList, found)


class OrganizationView(TenantAPIView):
    """/organizations/{org_id}"""

    def organization(self, org_id: str) -> Organization:
        """Return the organization of the path. Raises NotFound (ORG.0001)."""
        return lists.get_organization(tenant=self.tenant, public_id=wire_id(org_id))

    @operation(
        "updateOrganization", "Update an organization", tag=TAG, right=Right.WRITE_ORGANIZATIONS, source="3.1.4.2",
        event=EventType.ORGANIZATION_UPDATE, request=wire.OrganizationUpdateRequest, answer=wire.OrgIdResponse,
        example=examples.ORGANIZATION_CHANGES,
    )  # fmt: skip
    def put(self, request: Request, org_id: str) -> Response:
        """Change or move an organization. An empty code or name stays as it is; an empty parent_id means the top."""
        organization = self.organization(org_id)
        values = self.read(wire.OrganizationUpdateRequest)
        unchanged = [name for name in ("code", "name", "category") if values.get(name) == ""]
        organizations.update(
            organization=organization,
            **self.by,
            **{name: value for name, value in values.items() if name not in unchanged},
        )
        return self.answer(wire.OrgIdResponse, organization)

    @operation(
        "deleteOrganization", "Delete an organization", tag=TAG, right=Right.WRITE_ORGANIZATIONS, source="3.1.4.3",
        event=EventType.ORGANIZATION_DELETE, status=204,
    )  # fmt: skip
    def delete(self, request: Request, org_id: str) -> Response:
        """Delete an organization that has neither organizations nor users."""
        organizations.delete(organization=self.organization(org_id), **self.by)
        return self.answer(status=204)

    @operation(
        "getOrganization", "Get an organization", tag=TAG, right=Right.READ_ORGANIZATIONS, source="3.1.4.4",
        answer=wire.OrganizationDetail,
    )  # fmt: skip
    def get(self, request: Request, org_id: str) -> Response:
        """One organization."""
        return self.answer(wire.OrganizationDetail, self.organization(org_id))
