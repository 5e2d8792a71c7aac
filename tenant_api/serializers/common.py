"""Bodies that every chapter has, and those of the access credential (section 3.1.2)."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from rest_framework import serializers

from identity.messaging import phone
from identity.models import Tenant


class Answer(serializers.Serializer):
    """A body that is answered. The fields are its schema; `to_representation` builds it."""

    def __init__(self, *args: Any, tenant: Tenant | None = None, **kwargs: Any) -> None:
        """tenant: whose times and telephones are written; None in the schema."""
        super().__init__(*args, **kwargs)
        self.tenant = tenant

    @property
    def zone(self) -> ZoneInfo:
        """In which times are written."""
        return ZoneInfo(self.tenant.time_zone if self.tenant else "UTC")

    @cached_property
    def country(self) -> str:
        """Where telephones are written without their calling code."""
        return phone.country_of(self.tenant) if self.tenant else ""


class Error(serializers.Serializer):
    """A rule's refusal."""

    error_code = serializers.CharField(help_text="Code from the catalogue, for example ORG.0001.")
    error_msg = serializers.CharField(help_text="Error detail.")


class OAuthError(serializers.Serializer):
    """Error body of the token operation and of access-token failures."""

    error = serializers.CharField(help_text="Error type.")
    error_description = serializers.CharField(help_text="Explanation.")


class TokenRequest(serializers.Serializer):
    """The client credentials grant, as a form. The two client members may stand in an HTTP Basic header instead."""

    grant_type = serializers.CharField(help_text="client_credentials")
    client_id = serializers.CharField()
    client_secret = serializers.CharField()


class TokenResponse(Answer):
    """The token and what it is good for."""

    access_token = serializers.CharField()
    token_type = serializers.CharField(help_text="Bearer")
    expires_in = serializers.IntegerField(help_text="Seconds until the token expires.")
    scope = serializers.CharField(help_text="The rights of the client.")
    id_token = serializers.CharField(help_text="A JWT about the client.")
