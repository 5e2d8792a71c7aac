"""Routes of oidc_provider: for each dialect its endpoints, where the dialect is bound.

A route is named after its endpoint; routes of a vendor's dialect carry its name before a hyphen.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http.response import HttpResponseBase
from django.urls import URLPattern, path

from oidc_provider import dialects
from oidc_provider.dialects.base import Dialect, EndpointName
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.views import authorization, consent, discovery, introspection, keys, logout, revocation, userinfo
from oidc_provider.views import token as token_view

app_name = "oidc_provider"

VIEWS: dict[EndpointName, Callable[..., HttpResponseBase]] = {
    EndpointName.AUTHORIZE: authorization.authorize,
    EndpointName.TOKEN: token_view.token,
    EndpointName.USERINFO: userinfo.userinfo,
    EndpointName.INTROSPECT: introspection.introspect,
    EndpointName.REVOKE: revocation.revoke,
    EndpointName.LOGOUT: logout.logout,
    EndpointName.JWKS: keys.jwks,
    EndpointName.DISCOVERY: discovery.metadata_document,
    EndpointName.OAUTH_METADATA: discovery.metadata_document,
}


def routes(dialect: Dialect) -> list[URLPattern]:
    """The endpoints of one dialect."""
    prefix = "" if dialect is STANDARD else f"{dialect.name}-"
    return [
        path(endpoint.path, VIEWS[name], {"dialect": dialect}, name=f"{prefix}{name}")
        for name, endpoint in dialect.endpoints.items()
    ]


urlpatterns = [
    *(route for dialect in dialects.ALL for route in routes(dialect)),
    # Pages of our own that an authorization or logout request passes through, whatever its dialect.
    path("oauth2/authorize/continue", authorization.resume, name="authorize_continue"),
    path("oauth2/consent", consent.consent, name="consent"),
    path("oauth2/logout/continue", logout.resume, name="logout_continue"),
    path("oauth2/logout/confirm", logout.confirm, name="logout_confirm"),
]
