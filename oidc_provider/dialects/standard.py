"""The standard dialect: the RFCs and OpenID Connect to the letter, at the tenant's root (decision 11).

It has no quirks. The vendor dialects adapt it, never the other way round.
"""

from __future__ import annotations

from types import MappingProxyType

from oidc_provider.dialects.base import Dialect, Endpoint, EndpointName

STANDARD = Dialect(
    name="standard",
    issuer_path="",
    endpoints=MappingProxyType(
        {
            EndpointName.AUTHORIZE: Endpoint("oauth2/authorize", ("GET", "POST"), "OIDCC-3.1.2.1"),
            EndpointName.TOKEN: Endpoint("oauth2/token", ("POST",), "RFC6749-3.2"),
            EndpointName.USERINFO: Endpoint("oauth2/userinfo", ("GET", "POST"), "OIDCC-5.3.1"),
            EndpointName.INTROSPECT: Endpoint("oauth2/introspect", ("POST",), "RFC7662-2.1"),
            EndpointName.REVOKE: Endpoint("oauth2/revoke", ("POST",), "RFC7009-2.1"),
            EndpointName.LOGOUT: Endpoint("oauth2/logout", ("GET", "POST"), "OIDCRIL-2"),
            EndpointName.JWKS: Endpoint("oauth2/jwks", ("GET",), "OIDCD-3"),
            EndpointName.DISCOVERY: Endpoint(".well-known/openid-configuration", ("GET",), "OIDCD-4"),
            EndpointName.OAUTH_METADATA: Endpoint(".well-known/oauth-authorization-server", ("GET",), "RFC8414-3"),
        }
    ),
)
