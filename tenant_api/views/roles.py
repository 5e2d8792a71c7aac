"""Section 3.1.7: application roles and their members."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from identity.directory import lists, roles
from identity.events import EventType
from identity.models import AppRole
from tenant_api import examples
from tenant_api.fields import wire_id
from tenant_api.pagination import read_page
from tenant_api.permissions import Right
from tenant_api.serializers import roles as wire
from tenant_api.views.base import LIMIT, TenantAPIView, operation

TAG = "application-roles"
_OFFSET = OpenApiParameter("offset", {"type": "integer", "minimum": 0}, default=0, description="Page index, from 0.")
_BODY_OFFSET = OpenApiParameter(
    "offset", {"type": "integer", "minimum": 0}, description="Mandatory here or in the body."
)
_BODY_LIMIT = OpenApiParameter(
    "limit", {"type": "integer", "minimum": 10, "maximum": 100}, description="Mandatory here or in the body."
)


class RoleOperationView(TenantAPIView):
    """What the operations on one role share."""

    def role(self, application_id: str, role_id: str) -> AppRole:
        """Return the role of the path. Raises NotFound (APP.0001, APP_ROLE.0001) and NotAllowed (APP_ROLE.0002)."""
        return lists.get_role(application=self.application(application_id), public_id=wire_id(role_id))


class RolesView(TenantAPIView):
    """/applications/{application_id}/role"""

    @operation(
        "createApplicationRole", "Add an application role", tag=TAG, right=Right.WRITE_APPLICATIONS,
        source="3.1.7.1", event=EventType.ROLE_CREATE, request=wire.RoleCreateRequest, answer=wire.RoleIdResponse,
        example=examples.ROLE,
    )  # fmt: skip
    def post(self, request: Request, application_id: str) -> Response:
        """Add a role. The document answers 200 here, not 201."""
        application = self.application(application_id)
        created = roles.create(application=application, **self.by, **self.read(wire.RoleCreateRequest))
        return self.answer(wire.RoleIdResponse, created)


class RoleView(RoleOperationView):
    """/applications/{application_id}/role/{role_id}"""

    @operation(
        "updateApplicationRole", "Update an application role", tag=TAG, right=Right.WRITE_APPLICATIONS,
        source="3.1.7.2", event=EventType.ROLE_UPDATE, request=wire.RoleUpdateRequest, answer=wire.RoleIdResponse,
        example=examples.ROLE_CHANGES,
    )  # fmt: skip
    def put(self, request: Request, application_id: str, role_id: str) -> Response:
        """Rename a role."""
        role = self.role(application_id, role_id)
        roles.update(role=role, **self.by, **self.read(wire.RoleUpdateRequest))
        return self.answer(wire.RoleIdResponse, role)

    @operation(
        "deleteApplicationRole", "Delete an application role", tag=TAG, right=Right.WRITE_APPLICATIONS,
        source="3.1.7.3", event=EventType.ROLE_DELETE,
    )  # fmt: skip
    def delete(self, request: Request, application_id: str, role_id: str) -> Response:
        """Delete a role that no account holds. The document answers 200 without a body here, not 204."""
        roles.delete(role=self.role(application_id, role_id), **self.by)
        return self.answer()

    @operation(
        "getApplicationRole", "Get an application role", tag=TAG, right=Right.READ_APPLICATIONS, source="3.1.7.4",
        answer=wire.Role,
    )  # fmt: skip
    def get(self, request: Request, application_id: str, role_id: str) -> Response:
        """One role."""
        return self.answer(wire.Role, self.role(application_id, role_id))


class RoleListView(TenantAPIView):
    """/applications/{application_id}/role-list"""

    @operation(
        "listApplicationRoles", "List application roles", tag=TAG, right=Right.READ_APPLICATIONS, source="3.1.7.5",
        answer=wire.RoleList, query=[_OFFSET, LIMIT],
    )  # fmt: skip
    def get(self, request: Request, application_id: str) -> Response:
        """Page through the roles. offset may be absent here; offset and limit are answered as they were asked for."""
        application = self.application(application_id)
        page = read_page(request.GET, needs_offset=False)
        found = lists.list_roles(application=application, index=page.index, size=page.size)
        return self.answer(wire.RoleList, (page, found))


class RoleMembersView(RoleOperationView):
    """/applications/{application_id}/role-member"""

    @operation(
        "addApplicationRoleMembers", "Add members to an application role", tag=TAG, right=Right.WRITE_APPLICATIONS,
        source="3.1.7.6", event=EventType.ROLE_MEMBERS, request=wire.RoleMemberChangeRequest,
        answer=wire.RoleMemberChangeResponse, example=examples.ROLE_MEMBERS,
    )  # fmt: skip
    def post(self, request: Request, application_id: str) -> Response:
        """Bind up to 50 accounts to the role; what cannot be bound is named in fail_list."""
        values = self.read(wire.RoleMemberChangeRequest)
        role = self.role(application_id, values["role_id"])
        done = roles.add_members(role=role, account_ids=values["account_ids"], **self.by)
        return self.answer(wire.RoleMemberChangeResponse, done)

    @operation(
        "removeApplicationRoleMembers", "Remove members from an application role", tag=TAG,
        right=Right.WRITE_APPLICATIONS, source="3.1.7.7", event=EventType.ROLE_MEMBERS,
        request=wire.RoleMemberChangeRequest, answer=wire.RoleMemberChangeResponse, example=examples.ROLE_MEMBERS,
    )  # fmt: skip
    def delete(self, request: Request, application_id: str) -> Response:
        """Unbind up to 50 accounts from the role. This DELETE has a body, and is answered with one."""
        values = self.read(wire.RoleMemberChangeRequest)
        role = self.role(application_id, values["role_id"])
        done = roles.remove_members(role=role, account_ids=values["account_ids"], **self.by)
        return self.answer(wire.RoleMemberChangeResponse, done)


class RoleMemberListView(RoleOperationView):
    """/applications/{application_id}/role-member-list/{role_id}"""

    @operation(
        "listApplicationRoleMembers", "List members of an application role", tag=TAG, right=Right.READ_APPLICATIONS,
        source="3.1.7.8", request=wire.RoleMemberListBody, answer=wire.RoleMemberList,
        query=[_BODY_OFFSET, _BODY_LIMIT], example=examples.PAGE,
    )  # fmt: skip
    def get(self, request: Request, application_id: str, role_id: str) -> Response:
        """Page through the accounts that hold the role. offset and limit stand in the query, or in a JSON body."""
        role = self.role(application_id, role_id)
        page = read_page(request.GET, self.document())
        found = lists.list_role_members(role=role, index=page.index, size=page.size)
        return self.answer(wire.RoleMemberList, (page, found))
