"""Requests from the pages of clients: across origins (FETCH-3.2, CORS).

Published documents (discovery, keys) may be read from any page. The token, userinfo and revocation endpoints may
be called from the origins that a client of this tenant registered. Cookies never take part there: no such answer
carries Access-Control-Allow-Credentials, and none of these endpoints looks at a cookie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from identity.machine import Answer, Request
from identity.models import Tenant
from oidc_provider.clients import cached
from oidc_provider.dialects.base import Dialect, EndpointName

PREFLIGHT_SECONDS = 600
ALLOWED_HEADERS = "Authorization, Content-Type, Accept, Accept-Language"
EXPOSED_HEADERS = "WWW-Authenticate, Retry-After"


class Origins(Enum):
    """Which origins may call an endpoint."""

    ANY = "any"
    REGISTERED = "registered"


@dataclass(frozen=True)
class Sharing:
    """How one endpoint is shared."""

    endpoint: EndpointName
    origins: Origins

    def preflight(self, asked: Request, **route: Any) -> Answer:
        """Answer a page's browser that asks before the page may (FETCH-3.2.2)."""
        if not self._is_allowed(asked.headers.get("Origin"), asked.context.tenant):
            return Answer(204)
        dialect: Dialect = route["dialect"]
        headers = {
            "Access-Control-Allow-Methods": ", ".join(dialect.endpoints[self.endpoint].methods),
            "Access-Control-Allow-Headers": ALLOWED_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        }
        return Answer(204, headers)

    def marks(self, origin: str | None, tenant: Tenant | None) -> Mapping[str, str]:
        """Return the headers of an answer to a page of this origin."""
        if self.origins is Origins.ANY:
            return {"Access-Control-Allow-Origin": "*"}
        headers = {"Vary": "Origin"}  # Caches must not hand one origin's answer to another.
        if origin is not None and self._is_allowed(origin, tenant):
            headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED_HEADERS}
        return headers

    def _is_allowed(self, origin: str | None, tenant: Tenant | None) -> bool:
        if self.origins is Origins.ANY:
            return True
        # "null" can never be registered.
        return origin is not None and tenant is not None and cached.is_web_origin(origin, tenant=tenant)


SHARING: Mapping[EndpointName, Sharing] = {
    **{
        name: Sharing(name, Origins.REGISTERED)
        for name in (EndpointName.TOKEN, EndpointName.USERINFO, EndpointName.REVOKE)
    },
    **{
        name: Sharing(name, Origins.ANY)
        for name in (
            EndpointName.JWKS,
            EndpointName.PUBLIC_KEY,
            EndpointName.DISCOVERY,
            EndpointName.OAUTH_METADATA,
        )
    },
}
