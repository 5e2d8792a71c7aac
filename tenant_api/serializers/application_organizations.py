"""Section 3.1.5: the organization tree of one application. `org_code` both ways, and no category."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from identity.directory.lists import Page
from identity.models import AppOrganization
from tenant_api.fields import Id, Request, Text
from tenant_api.serializers.common import Answer


class AppOrganizationCreateRequest(Request):
    """OneAccess-3.1.5.1."""

    org_code = Text(source="code", max_length=64, invalid="APP_ORG.0011", help_text="Unique in the application.")
    name = Text(max_length=100, invalid="APP_ORG.0012", help_text="Unique among siblings.")
    parent_id = Id(required=False, allow_null=True, help_text="Empty for a root.")


class AppOrganizationUpdateRequest(Request):
    """OneAccess-3.1.5.2. The code cannot be changed."""

    name = Text(required=False, max_length=100, invalid="APP_ORG.0012")
    parent_id = Id(required=False, allow_null=True)


class AppOrganizationDetail(Answer):
    """An application organization."""

    org_id = serializers.CharField()
    org_code = serializers.CharField()
    name = serializers.CharField()
    parent_id = serializers.CharField(allow_null=True, help_text="null for a root.")

    def to_representation(self, organization: AppOrganization) -> dict[str, Any]:
        return {
            "org_id": organization.public_id,
            "org_code": organization.code,
            "name": organization.name,
            "parent_id": organization.parent.public_id if organization.parent else None,
        }


class AppOrganizationList(Answer):
    """One page of application organizations."""

    total = serializers.IntegerField(help_text="Of all pages.")
    organizations = AppOrganizationDetail(many=True)

    def to_representation(self, page: Page[AppOrganization]) -> dict[str, Any]:
        row = AppOrganizationDetail()
        return {"total": page.total, "organizations": [row.to_representation(entry) for entry in page.rows]}
