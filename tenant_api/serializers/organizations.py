"""Section 3.1.4: organizations. `code` is sent, `org_code` is answered."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from identity.directory.lists import Page
from identity.models import Organization, OrganizationCategory
from tenant_api.fields import Choice, Id, Request, Text
from tenant_api.serializers.common import Answer


class OrganizationCreateRequest(Request):
    """OneAccess-3.1.4.1."""

    code = Text(max_length=64, invalid="ORG.0014", help_text="Unique in the tenant.")
    name = Text(max_length=100, invalid="ORG.0015", help_text="Unique among siblings.")
    parent_id = Id(required=False, allow_null=True, help_text="Empty for a root organization.")
    category = Choice(required=False, choices=OrganizationCategory.values)


class OrganizationUpdateRequest(Request):
    """OneAccess-3.1.4.2. What is absent, and an empty code or name, stays; an empty parent_id moves to the top."""

    code = Text(required=False, max_length=64, invalid="ORG.0014")
    name = Text(required=False, max_length=100, invalid="ORG.0015")
    parent_id = Id(required=False, allow_null=True)
    category = Choice(required=False, choices=OrganizationCategory.values)


class OrgIdResponse(Answer):
    """Which organization the operation was about; also of an application's own tree."""

    org_id = serializers.CharField()

    def to_representation(self, organization: Any) -> dict[str, Any]:
        return {"org_id": organization.public_id}


class OrganizationDetail(Answer):
    """An organization."""

    org_id = serializers.CharField()
    org_code = serializers.CharField()
    name = serializers.CharField()
    parent_id = serializers.CharField(allow_null=True, help_text="null for a root organization.")
    category = serializers.ChoiceField(choices=OrganizationCategory.values)

    def to_representation(self, organization: Organization) -> dict[str, Any]:
        return {
            "org_id": organization.public_id,
            "org_code": organization.code,
            "name": organization.name,
            "parent_id": organization.parent.public_id if organization.parent else None,
            "category": organization.category,
        }


class OrganizationList(Answer):
    """One page of organizations."""

    total = serializers.IntegerField(help_text="Of all pages.")
    organizations = OrganizationDetail(many=True)

    def to_representation(self, page: Page[Organization]) -> dict[str, Any]:
        row = OrganizationDetail()
        return {"total": page.total, "organizations": [row.to_representation(entry) for entry in page.rows]}
