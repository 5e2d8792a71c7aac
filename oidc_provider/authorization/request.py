"""An authorization request that was found good (OIDCC-3.1.2.2). A value: `checks` makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oidc_provider.errors import RedirectTarget
from oidc_provider.grants.hints import IdTokenHint
from oidc_provider.models import Client, members_of


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

    @property
    def subject(self) -> str:
        """Return the `sub` of the only user who may answer it, "" if anybody may (OIDCC-3.1.2.2, OIDCC-5.5.1)."""
        asked = members_of(self.claims, "id_token").get("sub") or {}
        return str(asked.get("value") or (self.id_token_hint.subject if self.id_token_hint else ""))

    @property
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
