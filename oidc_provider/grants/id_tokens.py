"""From a profile and what was granted to the claims of an id_token and of userinfo (OIDCC-2, 5.3 to 5.5)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from identity.assurance import with_summary
from identity.directory.profiles import Profile
from identity.keyring import keys
from oidc_provider.clients.claims import CLAIMS, PROTOCOL_CLAIMS, SCOPE_OF, VALUES, Value, read, source_of
from oidc_provider.dialects.base import half_hash
from oidc_provider.grants.basis import Basis
from oidc_provider.models import Client, members_of
from oidc_provider.wire.facts import Facts

# ID tokens -------------------------------------------------------------------------------------------------


def sign(answer: Mapping[str, Any], *, basis: Basis) -> str:
    """Build the id_token for what is about to be answered, and sign it with the tenant's key (OIDCC-2).

    answer: its members so far; an access token or code among them is bound by its hash.
    """
    alg = basis.client.id_token_signed_response_alg
    return keys.sign(tenant=basis.facts.tenant, alg=alg, claims=_claims(answer, basis=basis))


def sign_for_session(basis: Basis) -> str:
    """Sign an id_token for a session that a native app opened in its own pages (OneAccess-3.2.11.1).

    There is no access token to ask userinfo with, so the claims of all its scopes are in it (OIDCC-5.4).
    """
    alg = basis.client.id_token_signed_response_alg
    return keys.sign(tenant=basis.facts.tenant, alg=alg, claims=_claims({}, basis=basis, is_for_app=True))


def sign_for_client(answer: Mapping[str, Any], *, client: Client, facts: Facts) -> str:
    """Sign an id_token about the client itself, for the one API whose document promises it (OneAccess-3.1.2.1).

    answer: its members so far. It lives as long as the access token, and no user's `sub` is in it.
    """
    now = int(time.time())
    claims = {
        "iss": facts.issuer,
        "sub": client.client_id,
        "aud": client.client_id,
        "exp": now + int(answer["expires_in"]),
        "iat": now,
        "jti": secrets.token_urlsafe(16),
        "at_hash": half_hash(answer["access_token"], client.id_token_signed_response_alg),
    }
    return keys.sign(tenant=facts.tenant, alg=client.id_token_signed_response_alg, claims=claims)


def _claims(answer: Mapping[str, Any], *, basis: Basis, is_for_app: bool = False) -> dict[str, Any]:
    client, dialect, user, scopes = basis.client, basis.facts.dialect, basis.user, basis.scopes
    if user is None or basis.auth_time is None:
        raise LookupError("An id_token is about a user who signed in.")
    alg = client.id_token_signed_response_alg
    now = int(basis.started_at.timestamp())
    lifetime = basis.lifetimes.app_id_token if is_for_app else basis.lifetimes.id_token
    claims: dict[str, Any] = {
        "iss": basis.facts.issuer,
        "sub": user.public_id,
        "aud": client.client_id,
        "exp": now + int(lifetime.total_seconds()),
        "iat": now,
        "jti": secrets.token_urlsafe(16),
    }
    if basis.amr:
        # Of a sign-in that an application vouched for, we know neither when nor how it was.
        claims |= {"auth_time": int(basis.auth_time.timestamp()), "acr": basis.acr, "amr": with_summary(basis.amr)}
    if basis.nonce:
        claims["nonce"] = basis.nonce
    if basis.session is not None:
        claims["sid"] = basis.session.sid
    profile = Profile(
        user=user,
        application=client.catalogue_entry,
        has_bare_phone_number=client.has_flag("bare_phone_number"),
    )
    sources = [
        _mapped(client=client, scopes=scopes, target="id_token"),
        _asked(members_of(dict(basis.claims), "id_token"), client=client),
    ]
    if "access_token" not in answer:
        # OIDCC-5.4: with no access token to ask userinfo with, the scopes' claims are here.
        sources += [_of_scopes(scopes), _mapped(client=client, scopes=scopes, target="userinfo")]
    released = read(profile, *sources)
    if "access_token" in answer:
        at_hash = half_hash if client.has_flag("standard_at_hash") else dialect.at_hash
        claims["at_hash"] = at_hash(answer["access_token"], alg)
    if "code" in answer:
        claims["c_hash"] = half_hash(answer["code"], alg)
    return {**released, **dialect.id_token_claims(claims)}


# Userinfo --------------------------------------------------------------------------------------------------


def userinfo(
    profile: Profile,
    *,
    client: Client,
    scopes: Sequence[str],
    requested: Mapping[str, Any],
    scope_claims: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the claims of the userinfo answer (OIDCC-5.3.2).

    It takes no query unless roles, organisations or an account are asked for.
    scope_claims: the claims of scopes that give fewer than the standard ones.
    """
    released = read(
        profile,
        _mapped(client=client, scopes=scopes, target="userinfo"),
        _of_scopes(scopes, scope_claims),
        _asked(members_of(dict(requested), "userinfo"), client=client),
    )
    return {**released, "sub": profile.sub}


# Which claims, and how each is read ------------------------------------------------------------------------


def _of_scopes(
    scopes: Iterable[str], scope_claims: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> dict[str, Value]:
    return {
        name: value
        for scope in scopes
        for name, value in CLAIMS.get(scope, {}).items()
        if name in scope_claims.get(scope, CLAIMS[scope])
    }


def _asked(requested: Mapping[str, Any], *, client: Client) -> dict[str, Value]:
    """Answer single claims of the claims parameter (OIDCC-5.5), of those that the client may have by a scope.

    Whether one is essential changes nothing: it is given when there is a value (OIDCC-5.5.1).
    """
    return {name: VALUES[name] for name in requested if SCOPE_OF.get(name, "") in client.allowed_scopes}


def _mapped(*, client: Client, scopes: Sequence[str], target: str) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, rule in client.claims_mapping.items():
        is_wanted = rule.get(target, target == "userinfo") and rule.get("scope", "openid") in scopes
        if is_wanted and name not in PROTOCOL_CLAIMS:
            values[name] = source_of(rule["source"])
    return values
