"""What every token request passes (RFC6749-3.2), whatever its grant: the client, and the grant's rule.

A grant is one file and one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from identity.errors import IdentityError
from identity.events import EventType
from identity.retries import retried
from oidc_provider.clients.authentication import authenticate_client, read_credentials
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import rows
from oidc_provider.grants.tokens import Answer
from oidc_provider.models import Client
from oidc_provider.token import authorization_code, client_credentials, refresh_token
from oidc_provider.token.request import TokenRequest, token_parameters
from oidc_provider.wire import machine
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.machine import Request
from oidc_provider.wire.parameters import Parameters, check_single

GRANTS: Mapping[str, Callable[[TokenRequest], Answer]] = MappingProxyType(
    {
        "authorization_code": authorization_code.redeem,
        "refresh_token": refresh_token.renew,
        "client_credentials": client_credentials.give,
    }
)


@machine.refusing(EventType.TOKEN_GRANT)
def answer(asked: Request) -> machine.Answer:
    """Exchange a code, a refresh token or the client's own credentials (RFC6749-3.2)."""
    asked.check_method("POST")
    params, dialect = token_parameters(asked), asked.dialect
    authorization, facts = asked.authorization, asked.facts
    if finding := dialect.look_at_token(params, authorization):
        raise OAuthError(finding.fault, names=finding.names)
    credentials = read_credentials(authorization, params, facts=facts)
    check_single(params)
    client = authenticate_client(credentials, facts=facts)
    return machine.json_answer(dialect.answer_tokens(exchange_for(client, params, facts=facts)))


def exchange_for(client: Client, params: Parameters, *, facts: Facts) -> Answer:
    """Answer the request of a client that has proved itself. Raises OAuthError."""
    grant_type = params.get("grant_type", "")
    try:
        _check_grant_type(grant_type, client=client, facts=facts)
        return _exchange(grant_type, params, client=client, facts=facts)
    except OAuthError as error:
        error.client_id, error.grant_type = client.client_id, grant_type
        error.is_openid = "openid" in client.allowed_scopes
        raise


def _check_grant_type(grant_type: str, *, client: Client, facts: Facts) -> None:
    """Check that there is such a grant, here, for this client (RFC6749-4.1.3, 5.2)."""
    if not grant_type:
        raise OAuthError(Fault.MISSING_GRANT_TYPE)
    if grant_type not in GRANTS or grant_type not in facts.dialect.grant_types:
        raise OAuthError(Fault.GRANT_TYPE)
    if not client.allows_grant_type(grant_type):
        raise OAuthError(Fault.GRANT_TYPE_NOT_ALLOWED, log_detail=f"client={client.pk} {grant_type}")


@retried
def _exchange(grant_type: str, params: Parameters, *, client: Client, facts: Facts) -> Answer:
    """Let the grant answer; what it writes is one statement or one transaction.

    What came back although it had been used ends what it once gave, after the rollback and only for a client that
    proved itself (RFC6749-4.1.2, RFC9700-4.14.2).
    """
    asked = TokenRequest(params=params, client=client, facts=facts)
    try:
        return GRANTS[grant_type](asked)
    except IdentityError as error:
        raise rows.not_usable(error) from None
    except rows.Replayed as replayed:
        rows.revoke_replayed(replayed.family, client=client, facts=facts)
        raise
