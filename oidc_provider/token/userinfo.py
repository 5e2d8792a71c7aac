"""The userinfo endpoint (OIDCC-5.3)."""

from __future__ import annotations

from typing import Any

from identity.directory.profiles import Profile
from identity.events import EventType
from oidc_provider.clients import cached
from oidc_provider.dialects.base import UserinfoFacts
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import id_tokens, rows
from oidc_provider.wire import machine
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.machine import Request
from oidc_provider.wire.parameters import FORM, check_single, from_form, from_text


@machine.refusing(EventType.TOKEN_USE)
def answer(asked: Request) -> machine.Answer:
    """Answer with what an access token says of its user."""
    asked.check_method("GET", "HEAD", "POST")  # OIDCC-5.3.1
    token = access_token(asked)
    return machine.json_answer(claims_of(token, facts=asked.facts))


def access_token(asked: Request) -> str:
    """Return the bearer token of a request.

    It is in the header or in the body of a form (RFC6750-2.1, 2.2), never in the address. Raises OAuthError without
    one, and with more than one (RFC6750-2).
    """
    query = from_text(asked.query)
    if "access_token" in query or "access_token" in query.repeated:
        raise OAuthError(Fault.ACCESS_TOKEN_IN_QUERY)
    scheme, _, token = asked.authorization.partition(" ")
    in_body = ""
    if asked.method == "POST" and asked.content_type == FORM:
        params = from_form(asked.content_type, asked.read_body)
        check_single(params)
        in_body = params.get("access_token", "")
    if scheme and in_body:
        raise OAuthError(Fault.ACCESS_TOKEN_TWICE)
    if scheme and scheme.lower() != "bearer":
        raise OAuthError(Fault.ACCESS_TOKEN_MISSING, log_detail="another scheme than Bearer")
    found = token.strip() or in_body
    if not found:
        raise OAuthError(Fault.ACCESS_TOKEN_MISSING)
    return found


def claims_of(token: str, *, facts: Facts) -> dict[str, Any]:
    """Return the claims that an access token gives (OIDCC-5.3.2). Raises OAuthError."""
    row = rows.find_access_token(token, facts=facts)
    if row is None or row.user is None:
        raise OAuthError(Fault.ACCESS_TOKEN, log_detail="unknown, over, or without a user")
    client, dialect = cached.get(row.application_id), facts.dialect
    if not dialect.userinfo_scopes & set(row.scopes):
        raise OAuthError(Fault.INSUFFICIENT_SCOPE, scope=min(dialect.userinfo_scopes), client_id=client.client_id)
    person = Profile(
        user=row.user,
        application=client.catalogue_entry,
        has_bare_phone_number=client.has_flag("bare_phone_number"),
    )
    released = id_tokens.userinfo(
        person, client=client, scopes=row.scopes, requested=row.claims, scope_claims=dialect.scope_claims
    )
    return dialect.answer_userinfo(UserinfoFacts(claims=released, scopes=row.scopes, person=person))
