"""Section 3.1.5: the organization tree of one application."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from identity.directory import lists, organizations
from identity.events import EventType
from identity.models import AppOrganization
from tenant_api import examples
from tenant_api.fields import wire_id
from tenant_api.pagination import read_page
from tenant_api.permissions import Right
from tenant_api.serializers import application_organizations as wire
from tenant_api.serializers.organizations import OrgIdResponse
from tenant_api.views.base import LIMIT, OFFSET, TenantAPIView, operation

TAG = "application-organizations"


class AppOrganizationsView(TenantAPIView):
    """/applications/{application_id}/organizations"""

    @operation(
        "createApplicationOrganization", "Add an application organization", tag=TAG, right=Right.WRITE_APPLICATIONS,
        source="3.1.5.1", event=EventType.ORGANIZATION_CREATE, request=wire.AppOrganizationCreateRequest,
        answer=OrgIdResponse, status=201, example=examples.APP_ORGANIZATION,
    )  # fmt: skip
    def post(self, request: Request, application_id: str) -> Response:
        """Add an organization to the application's tree."""
        application = self.application(application_id)
        values = self.read(wire.AppOrganizationCreateRequest)
        created = organizations.create_app_organization(application=application, **self.by, **values)
        return self.answer(OrgIdResponse, created, status=201)

    @operation(
        "listApplicationOrganizations", "List application organizations", tag=TAG, right=Right.READ_APPLICATIONS,
        source="3.1.5.5", answer=wire.AppOrganizationList, query=[OFFSET, LIMIT],
    )  # fmt: skip
    def get(self, request: Request, application_id: str) -> Response:
        """Page through the application's tree, roots and children in one flat list."""
        application, page = self.application(application_id), read_page(request.GET)
        found = lists.list_app_organizations(application=application, index=page.index, size=page.size)
        return self.answer(wire.AppOrganizationList, found)


class AppOrganizationView(TenantAPIView):
    """/applications/{application_id}/organizations/{org_id}"""

    def organization(self, application_id: str, org_id: str) -> AppOrganization:
        """Return the organization of the path. Raises NotFound and NotAllowed (APP_ORG.0002)."""
        application = self.application(application_id)
        return lists.get_app_organization(application=application, public_id=wire_id(org_id))

    @operation(
        "updateApplicationOrganization", "Update an application organization", tag=TAG,
        right=Right.WRITE_APPLICATIONS, source="3.1.5.2", event=EventType.ORGANIZATION_UPDATE,
        request=wire.AppOrganizationUpdateRequest, answer=OrgIdResponse, example=examples.APP_ORGANIZATION_CHANGES,
    )  # fmt: skip
    def put(self, request: Request, application_id: str, org_id: str) -> Response:
        """Rename or move. An empty name stays as it is; an empty parent_id means the top."""
        organization = self.organization(application_id, org_id)
        values = self.read(wire.AppOrganizationUpdateRequest)
        if values.get("name") == "":
            del values["name"]
        organizations.update_app_organization(organization=organization, **self.by, **values)
        return self.answer(OrgIdResponse, organization)

    @operation(
        "deleteApplicationOrganization", "Delete an application organization", tag=TAG,
        right=Right.WRITE_APPLICATIONS, source="3.1.5.3", event=EventType.ORGANIZATION_DELETE, status=204,
    )  # fmt: skip
    def delete(self, request: Request, application_id: str, org_id: str) -> Response:
        """Delete an organization that has neither organizations nor accounts."""
        organizations.delete_app_organization(organization=self.organization(application_id, org_id), **self.by)
        return self.answer(status=204)

    @operation(
        "getApplicationOrganization", "Get an application organization", tag=TAG, right=Right.READ_APPLICATIONS,
        source="3.1.5.4", answer=wire.AppOrganizationDetail,
    )  # fmt: skip
    def get(self, request: Request, application_id: str, org_id: str) -> Response:
        """One application organization."""
        return self.answer(wire.AppOrganizationDetail, self.organization(application_id, org_id))
