"""Grant an authorization request to the user of a session: a code, or the tokens of the implicit flow."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone

from identity import audit, crypto
from identity.database import is_unavailable
from identity.errors import IdentityError
from identity.events import EventType
from identity.models import SSOSession
from identity.retries import retried
from identity.sso import access
from oidc_provider.authorization import checks, interaction, participation
from oidc_provider.authorization.request import AuthorizationRequest
from oidc_provider.errors import Fault, OAuthError, from_domain
from oidc_provider.grants import id_tokens, rows, tokens
from oidc_provider.grants.basis import Basis
from oidc_provider.wire.facts import Facts

log = logging.getLogger(__name__)


def approve(
    request: AuthorizationRequest, *, session: SSOSession, scopes: tuple[str, ...], facts: Facts
) -> dict[str, str]:
    """Grant a request to the user of a session; return the parameters of the answer, state and iss included.

    scopes: what the user agreed to, of the request's. The whole request is checked again (S43), so are user, session
    and access. Raises OAuthError with an address, for client and redirect_uri are good.
    """
    try:
        return _approve(request, session=session, scopes=scopes, facts=facts)
    except IdentityError as error:
        refusal = from_domain(error)
    except OAuthError as error:
        refusal = error
    refusal.redirect = request.target(issuer=facts.issuer)
    raise refusal


@retried
def _approve(
    request: AuthorizationRequest, *, session: SSOSession, scopes: tuple[str, ...], facts: Facts
) -> dict[str, str]:
    client, user = request.client, session.user
    _check_user(request, session=session, facts=facts)
    if not set(scopes) <= set(request.scopes):
        raise OAuthError(Fault.SCOPE_NOT_ALLOWED, log_detail="more than was asked for")
    basis = Basis.of_session(
        session,
        acr=interaction.stated_acr(request, session) if request.essential_acr or request.acr_values else "",
        scopes=checks.check_grantable(
            scopes,
            response_type=request.response_type,
            challenge=request.code_challenge,
            method=request.code_challenge_method,
            nonce=request.nonce,
            client=client,
            dialect=facts.dialect,
        ),
        facts=facts,
        client=client,
        started_at=timezone.now(),
        nonce=request.nonce,
        claims=request.claims,
    )
    event = audit.describe(
        EventType.AUTHORIZATION_GRANT,
        tenant=facts.tenant,
        actor=user,
        target=client,
        application=client.catalogue_entry,
        client_id=client.client_id,
        dialect=facts.dialect.name,
        sid=session.sid,
        context=facts.request,
        details={"scopes": list(scopes), "response_type": sorted(request.response_type)},
    )
    try:
        keep = partial(participation.write, event, session=session, client=client, issuer=facts.issuer)
        give = _code if request.response_type == {"code"} else _tokens
        parameters = give(request, basis, keep)
    except DatabaseError as error:
        if is_unavailable(error):
            raise  # The database is away, busy or behind: 503, by the middleware.
        log.exception("authorization.not_stored", extra={"client_id": client.client_id})
        raise OAuthError(Fault.SERVER_ERROR, log_detail=type(error).__name__) from None
    answer = {name: str(value) for name, value in facts.dialect.answer_authorization(parameters).items()}
    if request.state:
        answer["state"] = request.state
    return {**answer, "iss": facts.issuer}  # RFC9207-2


def _check_user(request: AuthorizationRequest, *, session: SSOSession, facts: Facts) -> None:
    """Check that the user of the session may be told to this client, and is who it asked for (OIDCC-3.1.2.2)."""
    user = session.user
    if session.tenant_id != facts.tenant.pk or user.tenant_id != facts.tenant.pk:
        raise OAuthError(Fault.LOGIN_REQUIRED, log_detail="session of another tenant")
    access.check(user=user, session=session, application=request.client.catalogue_entry)
    if request.subject and request.subject != user.public_id:
        raise OAuthError(Fault.SUBJECT_MISMATCH, log_detail=f"user={user.pk}")


def _code(request: AuthorizationRequest, basis: Basis, keep: Callable[..., None]) -> dict[str, Any]:
    """Give a code of 256 random bits (RFC6749-4.1.2, S10)."""
    value = crypto.new_handle()
    code = rows.make_code(
        value,
        basis=basis,
        redirect_uri=request.redirect_uri,
        redirect_uri_given=request.redirect_uri_given,
        code_challenge=request.code_challenge,
        code_challenge_method=request.code_challenge_method,
    )
    keep(code)
    return {"code": value}


def _tokens(request: AuthorizationRequest, basis: Basis, keep: Callable[..., None]) -> dict[str, Any]:
    """Give an id_token, and with it an access token if it is asked for (OIDCC-3.2.2.5, RFC6749-4.2.2); never more."""
    answer = tokens.bearer(basis) if "token" in request.response_type else {}
    if request.state:
        answer["state"] = request.state
    answer["id_token"] = id_tokens.sign(answer, basis=basis)
    with transaction.atomic():
        if "token" in request.response_type:
            tokens.keep(answer, basis=basis, grant_type=tokens.IMPLICIT)
        keep()
    return answer
