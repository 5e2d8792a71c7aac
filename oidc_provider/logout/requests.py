"""RP-initiated logout (OIDCRIL-2, OIDCRIL-3): who may be signed out without being asked, and where to go afterwards.

Ending the session tells the applications that joined it through `identity.signals.session_ended`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from identity.models import SSOSession, Tenant
from oidc_provider.clients import cached
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import hints
from oidc_provider.grants.hints import HintRefused, IdTokenHint
from oidc_provider.models import Client
from oidc_provider.wire.parameters import Parameters, check_single

log = logging.getLogger(__name__)

KNOWN = frozenset({"id_token_hint", "logout_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"})


@dataclass(frozen=True)
class LogoutRequest:
    """A logout request that was found sound. What it says of the user is a hint, not a proof."""

    client: Client | None
    hint: IdTokenHint | None
    redirect_uri: str  # registered for the client; "" is our own page
    state: str
    ui_locales: tuple[str, ...]

    @property
    def application_name(self) -> str:
        """What the user calls the client; "" when none is known."""
        return self.client.catalogue_entry.name if self.client else ""

    @property
    def parameters(self) -> dict[str, str]:
        """What goes back to the client (OIDCRIL-3): state if it was sent, and nothing else."""
        return {"state": self.state} if self.state else {}

    def concerns(self, session: SSOSession) -> bool:
        """Whether the hint proves that the client speaks of this very session.

        Without that anybody's link could sign a user out, so the user is asked (OIDCRIL-2, OIDCRIL-6).
        """
        if self.hint is None or self.hint.subject != session.user.public_id:
            return False
        return self.hint.sid in ("", session.sid)


def check(params: Parameters, *, tenant: Tenant, issuer: str) -> LogoutRequest:
    """Check a logout request. Raises OAuthError, which is shown on our page and never redirected (OIDCRIL-3)."""
    check_single(params)
    hint = _read_hint(params, tenant=tenant, issuer=issuer)
    client = _client(params, hint=hint, tenant=tenant)
    return LogoutRequest(
        client=client,
        hint=hint,
        redirect_uri=_redirect_uri(params, client=client, hint=hint, tenant=tenant),
        state=params.get("state", ""),
        ui_locales=tuple(params.get("ui_locales", "").split()),
    )


def known(params: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters that mean something here."""
    return {name: value for name, value in params.items() if name in KNOWN}


def _read_hint(params: Parameters, *, tenant: Tenant, issuer: str) -> IdTokenHint | None:
    """Read the hint. One that proves nothing leaves a request that must be confirmed, and goes nowhere afterwards.

    It may be false, or so old that its key is gone: signing out must still be possible.
    """
    if "id_token_hint" not in params:
        return None
    try:
        return hints.read(params["id_token_hint"], tenant=tenant, issuer=issuer)
    except HintRefused as error:
        log.info("logout.hint_refused", extra={"reason": str(error)})
        return None


def _client(params: Parameters, *, hint: IdTokenHint | None, tenant: Tenant) -> Client | None:
    client_id = params.get("client_id", "")
    if hint is not None:
        # OIDCRIL-2: both name the same client, or something is wrong with the request.
        if client_id and client_id not in hint.client_ids:
            raise OAuthError(Fault.ID_TOKEN_HINT, log_detail="client_id is not in its audience")
        client_id = client_id or hint.client_ids[0]
    if not client_id:
        return None
    wanted = params.get("post_logout_redirect_uri", "")
    client = cached.find(
        client_id=client_id,
        tenant=tenant,
        suffices=lambda copy: copy.is_enabled and (not wanted or wanted in copy.post_logout_redirect_uris),
    )
    if client is None or not client.is_enabled:
        raise OAuthError(Fault.UNKNOWN_CLIENT, client_id=client_id)
    return client


def _redirect_uri(params: Parameters, *, client: Client | None, hint: IdTokenHint | None, tenant: Tenant) -> str:
    wanted = params.get("post_logout_redirect_uri", "")
    if not wanted:
        return ""
    if "id_token_hint" in params and hint is None:
        return ""  # A false hint is no ground to send anybody anywhere.
    # S1, S22: an exact string of the client's registration, or nowhere. Where no client is named the user is asked
    # first, and it is a string of some registration (OIDCRIL-2: another means of confirming that it is legitimate).
    registered = client.post_logout_redirect_uris if client else cached.post_logout_redirect_uris(tenant=tenant)
    if wanted not in registered:
        raise OAuthError(
            Fault.POST_LOGOUT_REDIRECT_URI, client_id=client.client_id if client else "", log_detail="not registered"
        )
    return wanted
