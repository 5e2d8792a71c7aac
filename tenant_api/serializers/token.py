"""Section 3.1.2: the access credential."""

from __future__ import annotations

from rest_framework import serializers

from tenant_api.serializers.common import Answer


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
