"""From a profile and what was granted to the claims of an id_token and of userinfo (OIDCC-2, 5.1, 5.3 to 5.5).

A client's own claims are its `claims_mapping`, claim name to rule:

    {"cost_centre": {"source": "attribute:cost_center", "scope": "profile", "id_token": true, "userinfo": true}}

`source` is a name of SOURCES or `attribute:` and the name of an extended attribute. `scope` is the scope that releases
the claim, `openid` if it is left out. `id_token` (false if left out) and `userinfo` (true) say where it goes.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from identity.assurance import with_summary
from identity.directory import profiles
from identity.directory.profiles import Profile
from identity.keyring import keys
from oidc_provider.dialects.base import AtHashRule
from oidc_provider.grants import rows
from oidc_provider.grants.rows import Exchange
from oidc_provider.models import STANDARD_SCOPES, Client, members_of

if TYPE_CHECKING:
    from oidc_provider.engine import EngineContext

SCOPES = STANDARD_SCOPES
Value = Callable[[Profile], Any]


def _address(profile: Profile) -> dict[str, str]:
    """OIDCC-5.1.1."""
    return dict(profile.address)


def _organizations(profile: Profile) -> list[dict[str, Any]]:
    """Ours (decision 20): the primary one first."""
    return [
        {"id": entry.public_id, "code": entry.code, "name": entry.name, "primary": entry.is_primary}
        for entry in profile.organizations
    ]


# Scope to claims (OIDCC-5.4; roles and organizations are ours). An empty value is left out (OIDCC-5.3.2).
CLAIMS: Mapping[str, Mapping[str, Value]] = MappingProxyType(
    {
        "profile": {
            "name": lambda profile: profile.name,
            "family_name": lambda profile: profile.last_name,
            "given_name": lambda profile: profile.first_name,
            "middle_name": lambda profile: profile.middle_name,
            "nickname": lambda profile: profile.nick_name,
            "preferred_username": lambda profile: profile.account_name,
            "picture": lambda profile: profile.picture_url,
            "gender": lambda profile: "" if profile.gender == "unknown" else profile.gender,
            "birthdate": lambda profile: profile.birth_date.isoformat() if profile.birth_date else "",
            "zoneinfo": lambda profile: profile.time_zone,
            "locale": lambda profile: profile.language,
            "updated_at": lambda profile: int(profile.updated_at.timestamp()),
        },
        "email": {
            "email": lambda profile: profile.email,
            "email_verified": lambda profile: profile.email_verified if profile.email else None,
        },
        "address": {"address": _address},
        "phone": {
            "phone_number": lambda profile: profile.phone_number,
            "phone_number_verified": lambda profile: profile.phone_number_verified if profile.phone_number else None,
        },
        "roles": {"roles": lambda profile: list(profile.roles)},
        "organizations": {"organizations": _organizations},
    }
)
_SCOPE_OF = {name: scope for scope, members in CLAIMS.items() for name in members}
_VALUES: dict[str, Value] = {name: value for members in CLAIMS.values() for name, value in members.items()}

# What only the server itself may say. A mapping may not write it.
PROTOCOL_CLAIMS = frozenset(
    {
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "auth_time",
        "nonce",
        "acr",
        "amr",
        "azp",
        "at_hash",
        "c_hash",
        "sid",
        "jti",
    }
)
CLAIMS_SUPPORTED = ("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", *_VALUES)

# Where a client's own claims may come from; one word for each thing of a profile.
SOURCES: Mapping[str, Value] = MappingProxyType(
    {
        **_VALUES,
        "user_name": lambda profile: profile.user_name,
        "account_name": lambda profile: profile.account_name,
        "employee_id": lambda profile: profile.employee_id,
        "organization_names": lambda profile: [entry.name for entry in profile.organizations],
        "organization_codes": lambda profile: [entry.code for entry in profile.organizations],
    }
)
ATTRIBUTE = "attribute:"

# The hash of the signing algorithm (OIDCC-3.1.3.6).
_HASHES = {"RS256": hashlib.sha256, "ES256": hashlib.sha256, "RS512": hashlib.sha512}


# ID tokens -------------------------------------------------------------------------------------------------


def sign_id_token(token: Mapping[str, Any], *, scopes: Sequence[str], state: Exchange) -> str:
    """Build the id_token for what is about to be answered, and sign it with the tenant's key (OIDCC-2).

    token: the members of the answer so far; an access token or code among them is bound by its hash.
    """
    claims = _id_token_claims(token, scopes=scopes, state=state)
    return keys.sign(tenant=state.context.tenant, alg=state.client.id_token_signed_response_alg, claims=claims)


def sign_session_id_token(*, state: Exchange) -> str:
    """An id_token for a session that a native app opened in its own pages (OneAccess-3.2.11.1).

    There is no access token to ask userinfo with, so the claims of all the client's scopes are in it (OIDCC-5.4).
    """
    scopes = [scope for scope in state.client.scopes if scope != "offline_access"]
    claims = _id_token_claims({}, scopes=scopes, state=state)
    claims["exp"] = claims["iat"] + int(rows.sdk_id_token_lifetime(state.client).total_seconds())
    return keys.sign(tenant=state.context.tenant, alg=state.client.id_token_signed_response_alg, claims=claims)


def sign_client_id_token(token: Mapping[str, Any], *, client: Client, context: EngineContext) -> str:
    """An id_token about the client itself, for the one API whose document promises it (OneAccess-3.1.2.1).

    token: the members of the answer so far. It lives as long as the access token, and no user's `sub` is in it.
    """
    now = int(time.time())
    claims = {
        "iss": context.issuer,
        "sub": client.client_id,
        "aud": client.client_id,
        "exp": now + int(token["expires_in"]),
        "iat": now,
        "jti": secrets.token_urlsafe(16),
        "at_hash": half_hash(token["access_token"], client.id_token_signed_response_alg),
    }
    return keys.sign(tenant=context.tenant, alg=client.id_token_signed_response_alg, claims=claims)


def _id_token_claims(token: Mapping[str, Any], *, scopes: Sequence[str], state: Exchange) -> dict[str, Any]:
    client, user, alg = state.client, state.user, state.client.id_token_signed_response_alg
    if user is None:
        raise LookupError("An id_token is about a user.")
    auth_time, acr, amr = _sign_in(state)
    now = int(state.started_at.timestamp())
    session = _session(state)
    claims: dict[str, Any] = {
        "iss": state.context.issuer,
        "sub": user.public_id,
        "aud": client.client_id,
        "exp": now + int(rows.id_token_lifetime(client, state.context.dialect).total_seconds()),
        "iat": now,
        "jti": secrets.token_urlsafe(16),
    }
    if amr:
        # Of a sign-in that an application vouched for, we know neither when nor how it was.
        claims |= {"auth_time": int(auth_time.timestamp()), "acr": acr, "amr": with_summary(amr)}
    if nonce := _nonce(state):
        claims["nonce"] = nonce
    if session is not None:
        claims["sid"] = session.sid
    if "access_token" in token:
        rule = state.context.dialect.at_hash_rule
        if client.has_flag("standard_at_hash"):
            rule = AtHashRule.STANDARD
        claims["at_hash"] = _AT_HASHES[rule](token["access_token"], alg)
    if "code" in token:
        claims["c_hash"] = half_hash(token["code"], alg)
    requested = _requested(state)
    profile = profiles.profile_of(
        user=user,
        application=client.catalogue_entry,
        has_bare_phone_number=client.has_flag("bare_phone_number"),
    )
    released = _mapped(profile, client=client, scopes=scopes, target="id_token")
    released |= _asked(profile, members_of(requested, "id_token"), client=client)
    if "access_token" not in token:
        # OIDCC-5.4: with no access token to ask userinfo with, the scopes' claims are here.
        released |= _of_scopes(profile, scopes) | _mapped(profile, client=client, scopes=scopes, target="userinfo")
    return {**released, **state.context.dialect.id_token_claims(claims)}


def half_hash(value: str, alg: str) -> str:
    """The left half of a hash, base64url (OIDCC-3.1.3.6, OIDCC-3.3.2.11)."""
    digest = _HASHES[alg](value.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def binary_digits_hash(value: str, alg: str) -> str:
    """The first 128 binary digits of SHA-256 as text, leading zeros dropped, base64url (Pactera-4.4): 171 characters.

    Read as a number, so the first digit is always 1. The algorithm of the signature plays no part.
    """
    digits = f"{int.from_bytes(hashlib.sha256(value.encode()).digest(), 'big'):b}"
    return base64.urlsafe_b64encode(digits[:128].encode()).rstrip(b"=").decode()


_AT_HASHES: Mapping[AtHashRule, Callable[[str, str], str]] = {
    AtHashRule.STANDARD: half_hash,
    AtHashRule.PACTERA: binary_digits_hash,
}


def _sign_in(state: Exchange) -> tuple[datetime, str, Sequence[str]]:
    """When and how the user signed in, as it was when the grant was made (S28)."""
    source = state.code or state.refresh_token
    if source is not None:
        return source.auth_time, source.acr, source.amr
    if state.session is None:
        raise LookupError("An id_token is given for a session.")
    return state.session.authenticated_at, state.session.acr, state.session.amr


def _session(state: Exchange) -> Any:
    source = state.code or state.refresh_token
    return source.session if source is not None else state.session


def _nonce(state: Exchange) -> str:
    """OIDCC-12.2: the id_token of a refresh needs none."""
    if state.code is not None:
        return state.code.nonce
    return state.request.nonce if state.request is not None else ""


def _requested(state: Exchange) -> dict[str, Any]:
    source = state.code or state.refresh_token
    if source is not None:
        claims: dict[str, Any] = source.claims
        return claims
    return state.request.claims if state.request is not None else {}


# Userinfo --------------------------------------------------------------------------------------------------


def userinfo(
    profile: Profile,
    *,
    client: Client,
    scopes: Sequence[str],
    requested: Mapping[str, Any],
    scope_claims: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, Any]:
    """The claims of the userinfo answer (OIDCC-5.3.2). No query unless roles, organisations or an account are asked.

    scope_claims: the claims of scopes that give fewer than the standard ones.
    """
    released = _mapped(profile, client=client, scopes=scopes, target="userinfo")
    released |= _of_scopes(profile, scopes, scope_claims)
    released |= _asked(profile, members_of(dict(requested), "userinfo"), client=client)
    return {**released, "sub": profile.sub}


def _of_scopes(
    profile: Profile, scopes: Iterable[str], scope_claims: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> dict[str, Any]:
    values = {
        name: value
        for scope in scopes
        for name, value in CLAIMS.get(scope, {}).items()
        if name in scope_claims.get(scope, CLAIMS[scope])
    }
    return _filled(profile, values)


def _asked(profile: Profile, requested: Mapping[str, Any], *, client: Client) -> dict[str, Any]:
    """Single claims of the claims parameter (OIDCC-5.5), of those that the client may have by a scope.

    Whether one is essential changes nothing: it is given when there is a value (OIDCC-5.5.1).
    """
    names = [name for name in requested if _SCOPE_OF.get(name, "") in client.allowed_scopes]
    return _filled(profile, {name: _VALUES[name] for name in names})


def _mapped(profile: Profile, *, client: Client, scopes: Sequence[str], target: str) -> dict[str, Any]:
    values: dict[str, Value] = {}
    for name, rule in client.claims_mapping.items():
        is_wanted = rule.get(target, target == "userinfo") and rule.get("scope", "openid") in scopes
        if is_wanted and name not in PROTOCOL_CLAIMS:
            values[name] = _source(rule["source"])
    return _filled(profile, values)


def _source(name: str) -> Value:
    if name.startswith(ATTRIBUTE):
        attribute = name.removeprefix(ATTRIBUTE)
        return lambda profile: profile.extension.get(attribute)
    return SOURCES.get(name, _unknown)


def _unknown(profile: Profile) -> None:
    """A source that the mapping should not name gives nothing; the registration refuses it."""


def _filled(profile: Profile, values: Mapping[str, Value]) -> dict[str, Any]:
    """OIDCC-5.3.2: a claim without a value is left out, not sent empty."""
    found = {name: value(profile) for name, value in values.items()}
    return {name: value for name, value in found.items() if value not in (None, "", {})}


def check_mapping(mapping: object) -> None:
    """Judge a claims_mapping that is to be kept. Raises ValueError, which names the claim."""
    if not isinstance(mapping, dict):
        raise ValueError("it is not an object")
    for name, rule in mapping.items():
        if name in PROTOCOL_CLAIMS:
            raise ValueError(f"{name}: only the server says it")
        if not isinstance(rule, dict) or not isinstance(rule.get("source"), str):
            raise ValueError(f"{name}: it needs a source")
        if unknown := rule.keys() - {"source", "scope", "id_token", "userinfo"}:
            raise ValueError(f"{name}: unknown member {min(unknown)}")
        source = rule["source"]
        if source not in SOURCES and not (source.startswith(ATTRIBUTE) and len(source) > len(ATTRIBUTE)):
            raise ValueError(f"{name}: unknown source")
        if not all(isinstance(rule.get(target, True), bool) for target in ("id_token", "userinfo")):
            raise ValueError(f"{name}: id_token and userinfo are true or false")
        if not isinstance(rule.get("scope", "openid"), str):
            raise ValueError(f"{name}: scope is a name")
