"""Bodies that every chapter has, and those of the access credential (section 3.1.2)."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from rest_framework import serializers

from identity.models import Tenant


class Answer(serializers.Serializer):
    """A body that is answered. The fields are its schema; `to_representation` builds it."""

    def __init__(self, *args: Any, zone: ZoneInfo | None = None, country: str = "", **kwargs: Any) -> None:
        """zone: in which times are written. country: where telephones are written without their calling code."""
        super().__init__(*args, **kwargs)
        self.zone, self.country = zone or ZoneInfo("UTC"), country


class Error(serializers.Serializer):
    """A rule's refusal."""

    error_code = serializers.CharField(help_text="Code from the catalogue, for example ORG.0001.")
    error_msg = serializers.CharField(help_text="Error detail.")


class OAuthError(serializers.Serializer):
    """Error body of the token operation and of access-token failures."""

    error = serializers.CharField(help_text="Error type.")
    error_description = serializers.CharField(help_text="Explanation.")


def zone_of(tenant: Tenant) -> ZoneInfo:
    """In which times of the tenant are written."""
    return ZoneInfo(tenant.time_zone)


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
