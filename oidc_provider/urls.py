"""Routes of oidc_provider: for each dialect its endpoints, where the dialect is bound.

A route is named after its endpoint; routes of a vendor's dialect carry its name before a hyphen.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http.response import HttpResponseBase
from django.urls import URLPattern, path

from identity.decorators import machine_endpoint
from oidc_provider import dialects
from oidc_provider.authorization import consent_page
from oidc_provider.authorization import views as authorization
from oidc_provider.dialects.base import Dialect, EndpointName
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.discovery import keys
from oidc_provider.discovery import views as discovery
from oidc_provider.logout import global_logout
from oidc_provider.logout import views as logout
from oidc_provider.token import introspection, revocation, userinfo
from oidc_provider.token import views as token
from oidc_provider.wire import error_address

app_name = "oidc_provider"

VIEWS: dict[EndpointName, Callable[..., HttpResponseBase]] = {
    EndpointName.AUTHORIZE: authorization.authorize,
    EndpointName.TOKEN: machine_endpoint(token.token),
    EndpointName.USERINFO: machine_endpoint(userinfo.userinfo),
    EndpointName.INTROSPECT: machine_endpoint(introspection.introspect),
    EndpointName.REVOKE: machine_endpoint(revocation.revoke),
    EndpointName.LOGOUT: logout.logout,
    EndpointName.JWKS: machine_endpoint(keys.jwks),
    EndpointName.DISCOVERY: machine_endpoint(discovery.metadata_document),
    EndpointName.OAUTH_METADATA: machine_endpoint(discovery.metadata_document),
    EndpointName.PUBLIC_KEY: machine_endpoint(keys.public_key),
    EndpointName.ERROR_PAGE: error_address.error_address,
    EndpointName.GLOBAL_LOGOUT: global_logout.global_logout,
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
    path("oauth2/consent", consent_page.consent, name="consent"),
    path("oauth2/logout/continue", logout.resume, name="logout_continue"),
    path("oauth2/logout/confirm", logout.confirm, name="logout_confirm"),
]
