"""Routes of oidc_provider: for each dialect its endpoints, where the dialect is bound.

A route is named after its endpoint; routes of a vendor's dialect carry its name before a hyphen.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http.response import HttpResponseBase
from django.urls import URLPattern, path

from identity.views.machines import view
from oidc_provider import dialects
from oidc_provider.authorization import consent_page
from oidc_provider.authorization import views as authorization
from oidc_provider.cors import SHARING
from oidc_provider.dialects.base import Dialect, EndpointName
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.discovery import published
from oidc_provider.logout import global_logout
from oidc_provider.logout import views as logout
from oidc_provider.token import exchange, introspection, revocation, userinfo
from oidc_provider.wire import error_address, machine

app_name = "oidc_provider"

# What programs ask: one function each, from `wire.machine.Request` to its `Answer`.
MACHINES: dict[EndpointName, machine.Endpoint] = {
    EndpointName.TOKEN: exchange.answer,
    EndpointName.USERINFO: userinfo.answer,
    EndpointName.INTROSPECT: introspection.answer,
    EndpointName.REVOKE: revocation.answer,
    EndpointName.JWKS: published.jwks,
    EndpointName.DISCOVERY: published.discovery,
    EndpointName.OAUTH_METADATA: published.discovery,
    EndpointName.PUBLIC_KEY: published.public_key,
}
VIEWS: dict[EndpointName, Callable[..., HttpResponseBase]] = {
    EndpointName.AUTHORIZE: authorization.authorize,
    EndpointName.LOGOUT: logout.logout,
    EndpointName.ERROR_PAGE: error_address.error_address,
    EndpointName.GLOBAL_LOGOUT: global_logout.global_logout,
    **{name: view(machine.endpoint(answer, name, sharing=SHARING.get(name))) for name, answer in MACHINES.items()},
}


def routes(dialect: Dialect) -> list[URLPattern]:
    """Return the endpoints of one dialect."""
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
