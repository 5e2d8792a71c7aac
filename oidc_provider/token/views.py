"""The token endpoint (RFC6749-3.2)."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from identity.browser.answers import protect
from identity.events import EventType
from identity.http import Request
from oidc_provider.clients.authentication import read_credentials
from oidc_provider.dialects.base import Dialect
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.token.exchange import exchange
from oidc_provider.wire.reading import facts_of, token_parameters
from oidc_provider.wire.refusals import refuse_json


@csrf_exempt  # machines call it; nothing here looks at a cookie
def token(request: Request, *, dialect: Dialect, app_code: str = "") -> HttpResponse:
    """Exchange a code, a refresh token or the client's own credentials. The route fixes the dialect."""
    try:
        if request.method != "POST":
            raise OAuthError(Fault.METHOD)  # RFC6749-3.2
        params = token_parameters(request, dialect)
        params = params.respelled(dialect.to_rfc(params))
        header = request.headers.get("Authorization", "")
        facts = facts_of(request, dialect, app_code=app_code)
        if finding := dialect.look_at_token(params, header):
            raise OAuthError(finding.fault, names=finding.names)
        credentials = read_credentials(header, params, facts=facts)
        answer = exchange(params, credentials, facts=facts)
    except OAuthError as error:
        return refuse_json(error, request=request, dialect=dialect, event=EventType.TOKEN_GRANT)
    return protect(JsonResponse(dialect.answer_tokens(answer)))
