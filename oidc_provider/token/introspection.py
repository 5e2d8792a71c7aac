"""The introspection endpoint (RFC7662-2)."""

from __future__ import annotations

from typing import Any

from identity.events import EventType
from oidc_provider.clients import cached
from oidc_provider.clients.authentication import ClientCredentials, authenticate_client, read_credentials
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import rows
from oidc_provider.models import AccessToken, AuthMethod, RefreshToken
from oidc_provider.wire import machine
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.machine import Request
from oidc_provider.wire.parameters import Parameters, check_single


@machine.refusing(EventType.TOKEN_USE)
def answer(asked: Request) -> machine.Answer:
    """Tell a resource server whether a token counts and what it grants."""
    asked.check_method("POST")  # RFC7662-2.1
    params = asked.form()
    facts = asked.facts
    credentials = read_credentials(asked.authorization, params, facts=facts)
    return machine.json_answer(describe(params, credentials, facts=facts))


def describe(params: Parameters, credentials: ClientCredentials, *, facts: Facts) -> dict[str, Any]:
    """Tell a resource server what a token is (RFC7662-2.2).

    Only a client with the right may ask, and only about tokens of its tenant.
    """
    check_single(params)
    client = authenticate_client(credentials, facts=facts)
    if credentials.method == AuthMethod.NONE or not client.may_introspect:
        # RFC7662-2.1: who asks must be authorized; a public client proves nothing.
        raise OAuthError(Fault.INTROSPECTION_NOT_ALLOWED, client_id=client.client_id)
    if "token" not in params:
        raise OAuthError(Fault.MISSING_TOKEN, client_id=client.client_id)
    finders = [rows.find_access_token, rows.find_refresh_token]
    if params.get("token_type_hint") == "refresh_token":
        finders.reverse()
    for find in finders:
        row = find(params["token"], facts=facts)
        if row is not None:
            return _description(row, facts=facts)
    return {"active": False}


def _description(row: AccessToken | RefreshToken, *, facts: Facts) -> dict[str, Any]:
    client = cached.get(row.application_id)
    body = {
        "active": True,
        "client_id": client.client_id,
        "scope": row.scope,
        "exp": int(row.expires.timestamp()),
        "iat": int(row.created.timestamp()),
        "iss": facts.issuer,
        "token_type": "Bearer" if isinstance(row, AccessToken) else "refresh_token",
        # RFC7662-2.2: for a token without a user, the client is its own subject.
        "sub": row.user.public_id if row.user else client.client_id,
    }
    if row.user:
        body["username"] = row.user.user_name
    if isinstance(row, AccessToken) and row.audience:
        body["aud"] = row.audience if len(row.audience) > 1 else row.audience[0]
    return body
