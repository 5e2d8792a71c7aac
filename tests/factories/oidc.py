"""Rows of the OpenID provider: clients, API scopes, sessions with a sign-in behind them."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

from django.utils import timezone

from identity import crypto
from identity.assurance import acr_of
from identity.models import Application, SSOSession, User
from oidc_provider.clients.authentication import hash_secret
from oidc_provider.models import SECRET_METHODS, ApiScope, AuthMethod, Client
from tests.factories import make_application

CLIENT_SECRET = "a-client-secret-of-the-tests-with-enough-characters"
CALLBACK = "https://client.example/callback"

_numbers = count(1)


def make_client(
    application: Application | None = None, *, api_scopes: dict[str, str] | None = None, **values: Any
) -> Client:
    """A confidential client of the code flow with PKCE. api_scopes: name to audience."""
    entry = application or make_application()
    values = {
        "client_id": f"client-{next(_numbers)}",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": AuthMethod.BASIC,
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "scopes": ["openid", "profile", "email", "address", "phone", "roles", "organizations", "offline_access"],
        **values,
    }
    client = Client(tenant=entry.tenant, catalogue_entry=entry, **values)
    if client.token_endpoint_auth_method in SECRET_METHODS and not client.secret_hash:
        client.secret_hash = hash_secret(CLIENT_SECRET)
    client.save()
    for name, audience in (api_scopes or {}).items():
        client.api_scopes.add(make_api_scope(entry, name=name, audience=audience))
    return client


def make_api_scope(application: Application, **values: Any) -> ApiScope:
    """A scope of an API of the application's tenant."""
    values = {"name": f"api-{next(_numbers)}", "audience": "https://api.example", **values}
    return ApiScope.objects.create(tenant=application.tenant, **values)


def make_session(user: User, **values: Any) -> SSOSession:
    """A browser session that began a moment ago with a password."""
    now = timezone.now()
    values = {
        "sid": crypto.new_handle(),
        "handle_hash": crypto.hash_handle(crypto.new_handle()),
        "tenant": user.tenant,
        "amr": ["pwd"],
        "authenticated_at": now,
        "last_seen_at": now,
        "idle_expires_at": now + timedelta(hours=8),
        "expires_at": now + timedelta(hours=24),
        "epoch": user.epoch,
        **values,
    }
    return SSOSession.objects.create(user=user, acr=acr_of(values["amr"]), **values)
