"""The revocation endpoint (RFC7009-2)."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from identity.browser.answers import protect
from identity.events import EventType
from identity.http import Request
from oidc_provider.clients.authentication import ClientCredentials, authenticate_client, read_credentials
from oidc_provider.dialects.base import Dialect
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import rows
from oidc_provider.models import AccessToken, RefreshToken
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.parameters import Parameters, check_single
from oidc_provider.wire.reading import facts_of, form_parameters, query_parameters
from oidc_provider.wire.refusals import refuse_json


@csrf_exempt  # machines call it; nothing here looks at a cookie
def revoke(request: Request, *, dialect: Dialect, app_code: str = "") -> HttpResponse:
    """Revoke one of the client's own tokens."""
    try:
        if request.method != "POST":
            raise OAuthError(Fault.METHOD)  # RFC7009-2.1
        if query_parameters(request):
            raise OAuthError(Fault.QUERY_PARAMETERS)
        params = form_parameters(request)
        facts = facts_of(request, dialect, app_code=app_code)
        credentials = read_credentials(request.headers.get("Authorization", ""), params, facts=facts)
        end(params, credentials, facts=facts)
    except OAuthError as error:
        return refuse_json(error, request=request, dialect=dialect, event=EventType.TOKEN_REVOKE)
    return protect(HttpResponse(status=200))


def end(params: Parameters, credentials: ClientCredentials, *, facts: Facts) -> None:
    """Revoke a token of the calling client (RFC7009-2.1). An unknown token is no error (RFC7009-2.2).

    A refresh token ends everything that came of the same authorization; an access token ends alone.
    """
    check_single(params)
    client = authenticate_client(credentials, facts=facts)
    if "token" not in params:
        raise OAuthError(Fault.MISSING_TOKEN, client_id=client.client_id)
    checksums = rows.token_hashes(params["token"])
    models: list[type[AccessToken] | type[RefreshToken]] = [RefreshToken, AccessToken]
    if params.get("token_type_hint") == "access_token":
        models.reverse()
    for model in models:
        row = model.objects.filter(token_checksum__in=checksums).first()
        if row is None:
            continue
        if row.application_id != client.pk:
            # S14: another client's token stays as it is.
            raise OAuthError(Fault.REVOCATION_CLIENT, log_detail=f"token={row.pk}", client_id=client.client_id)
        rows.revoke_token(row, client=client, facts=facts, now=timezone.now())
        return
