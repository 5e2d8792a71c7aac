"""The claims that there are, which scope releases each, and where a client's own come from (OIDCC-5.1, 5.4).

A client's own claims are its `claims_mapping`, claim name to rule:

    {"cost_centre": {"source": "attribute:cost_center", "scope": "profile", "id_token": true, "userinfo": true}}

`source` is a name of SOURCES or `attribute:` and the name of an extended attribute. `scope` is the scope that releases
the claim, `openid` if it is left out. `id_token` (false if left out) and `userinfo` (true) say where it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from identity.directory.profiles import OrganizationEntry, Profile
from oidc_provider.models import STANDARD_SCOPES

SCOPES = STANDARD_SCOPES
Value = Callable[[Profile], Any]


# Scope to claims (OIDCC-5.4; roles and organizations are ours). An empty value is left out (OIDCC-5.3.2).
CLAIMS: Mapping[str, Mapping[str, Value]] = MappingProxyType(
    {
        "profile": {
            "name": attrgetter("name"),
            "family_name": attrgetter("last_name"),
            "given_name": attrgetter("first_name"),
            "middle_name": attrgetter("middle_name"),
            "nickname": attrgetter("nick_name"),
            "preferred_username": attrgetter("account_name"),
            "picture": attrgetter("picture_url"),
            "gender": attrgetter("gender"),
            "birthdate": attrgetter("birth_date"),
            "zoneinfo": attrgetter("time_zone"),
            "locale": attrgetter("language"),
            "updated_at": attrgetter("updated_at"),
        },
        "email": {
            "email": attrgetter("email"),
            "email_verified": attrgetter("email_verified"),
        },
        "address": {"address": attrgetter("address")},
        "phone": {
            "phone_number": attrgetter("phone_number"),
            "phone_number_verified": attrgetter("phone_number_verified"),
        },
        "roles": {"roles": attrgetter("roles")},
        "organizations": {"organizations": attrgetter("organizations")},
    }
)
SCOPE_OF = {name: scope for scope, members in CLAIMS.items() for name in members}
VALUES: dict[str, Value] = {name: value for members in CLAIMS.values() for name, value in members.items()}

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
CLAIMS_SUPPORTED = ("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", *VALUES)

# Where a client's own claims may come from; one word for each thing of a profile.
SOURCES: Mapping[str, Value] = MappingProxyType(
    {
        **VALUES,
        "user_name": attrgetter("user_name"),
        "account_name": attrgetter("account_name"),
        "employee_id": attrgetter("employee_id"),
        "organization_names": lambda profile: [entry.name for entry in profile.organizations],
        "organization_codes": lambda profile: [entry.code for entry in profile.organizations],
    }
)
ATTRIBUTE = "attribute:"


def source_of(name: str) -> Value:
    """Return how to read what a mapping names."""
    if name.startswith(ATTRIBUTE):
        attribute = name.removeprefix(ATTRIBUTE)
        return lambda profile: profile.extension.get(attribute)
    return SOURCES.get(name, _unknown)


def _unknown(profile: Profile) -> None:
    """Give nothing for a source that no mapping may name; the registration refuses it."""


def read(profile: Profile, *sources: Mapping[str, Value]) -> dict[str, Any]:
    """Read claims, each by its own way; what a later source has a value for counts.

    One without a value is left out: it is not sent empty (OIDCC-5.3.2).
    """
    found = [(name, value(profile)) for values in sources for name, value in values.items()]
    return {name: _spelled(value) for name, value in found if value not in (None, "", {})}


def _spelled(value: Any) -> Any:
    """Spell what a profile has as JSON does: moments as seconds, days as text (OIDCC-5.1)."""
    match value:
        case datetime():
            return int(value.timestamp())
        case date():
            return value.isoformat()
        case OrganizationEntry():  # the claim is ours (decision 20)
            return {"id": value.public_id, "code": value.code, "name": value.name, "primary": value.is_primary}
        case tuple():
            return [_spelled(item) for item in value]
        case MappingProxyType():
            return dict(value)
    return value


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
