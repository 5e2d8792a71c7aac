"""An authorization request: as `checks` found it good (OIDCC-3.1.2.2), and as it waits while the user is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from identity.browser.interaction import Passed
from oidc_provider import dialects
from oidc_provider.dialects.base import Dialect
from oidc_provider.errors import RedirectTarget
from oidc_provider.grants.hints import IdTokenHint
from oidc_provider.models import Client, members_of
from oidc_provider.wire.parameters import Parameters


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """An authorization request that was found good (OIDCC-3.1.2.2)."""

    client: Client
    redirect_uri: str
    redirect_uri_given: bool
    response_type: frozenset[str]
    response_mode: str  # query, fragment or form_post
    scopes: tuple[str, ...]  # what was asked for and the client may have
    state: str
    nonce: str
    prompt: frozenset[str]
    max_age: int | None  # seconds; the client's default where the request has none
    login_hint: str
    id_token_hint: IdTokenHint | None
    ui_locales: tuple[str, ...]
    claims: dict[str, Any]  # OIDCC-5.5
    acr_values: tuple[str, ...]
    code_challenge: str
    code_challenge_method: str

    @property
    def is_openid(self) -> bool:
        """Whether it is an OpenID authentication request (OIDCC-3.1.2.1)."""
        return "openid" in self.scopes

    @cached_property
    def subject(self) -> str:
        """Return the `sub` of the only user who may answer it, "" if anybody may (OIDCC-3.1.2.2, OIDCC-5.5.1)."""
        asked = members_of(self.claims, "id_token").get("sub") or {}
        return str(asked.get("value") or (self.id_token_hint.subject if self.id_token_hint else ""))

    @cached_property
    def essential_acr(self) -> tuple[str, ...]:
        """Return the levels of which one must be reached, empty if none must (OIDCC-5.5.1.1)."""
        asked = members_of(self.claims, "id_token").get("acr") or {}
        if not asked.get("essential"):
            return ()
        values = asked.get("values") or ([asked["value"]] if asked.get("value") else [])
        return tuple(str(value) for value in values)

    def target(self, *, issuer: str) -> RedirectTarget:
        """Return where answers go."""
        return RedirectTarget(
            self.redirect_uri,
            self.response_mode,
            self.state,
            issuer,
            self.client.client_id,
            is_asked_for=self.client.has_flag("errors_by_redirect"),
        )


@dataclass(frozen=True)
class ParkedRequest:
    """An authorization request and what was done for it so far."""

    dialect: Dialect
    params: Parameters
    passed: Passed
    app_code: str

    def having(self, passed: Passed) -> ParkedRequest:
        """Return the same request after the user has done something."""
        return replace(self, passed=passed)

    def to_json(self) -> dict[str, Any]:
        """As the payload of a PendingRequest."""
        return {
            "dialect": self.dialect.name,
            "params": self.params.known,
            "passed": self.passed.to_json(),
            "app_code": self.app_code,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ParkedRequest:
        """Read back what `to_json` wrote."""
        return cls(
            dialect=dialects.get(document["dialect"]),
            params=Parameters.of(document["params"]),
            passed=Passed.from_json(document["passed"]),
            app_code=document["app_code"],
        )
