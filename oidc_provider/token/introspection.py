"""The introspection endpoint (RFC7662-2)."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from identity.browser.answers import protect
from identity.events import EventType
from identity.http import Request
from oidc_provider.clients import cached
from oidc_provider.clients.authentication import ClientCredentials, authenticate_client, read_credentials
from oidc_provider.dialects.base import Dialect
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import rows
from oidc_provider.models import AccessToken, AuthMethod, RefreshToken
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.parameters import Parameters, check_single
from oidc_provider.wire.reading import facts_of, form_parameters, query_parameters
from oidc_provider.wire.refusals import refuse_json


@csrf_exempt  # machines call it; nothing here looks at a cookie
def introspect(request: Request, *, dialect: Dialect, app_code: str = "") -> HttpResponse:
    """Tell a resource server whether a token counts and what it grants."""
    try:
        if request.method != "POST":
            raise OAuthError(Fault.METHOD)  # RFC7662-2.1
        if query_parameters(request):
            raise OAuthError(Fault.QUERY_PARAMETERS)
        params = form_parameters(request)
        facts = facts_of(request, dialect, app_code=app_code)
        credentials = read_credentials(request.headers.get("Authorization", ""), params, facts=facts)
        body = answer(params, credentials, facts=facts)
    except OAuthError as error:
        return refuse_json(error, request=request, dialect=dialect, event=EventType.TOKEN_USE)
    return protect(JsonResponse(body))


def answer(params: Parameters, credentials: ClientCredentials, *, facts: Facts) -> dict[str, Any]:
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
