"""How long codes and tokens live: the client's value, else the dialect's, else the default, under the ceiling."""

from __future__ import annotations

from datetime import timedelta

from oidc_provider.conf import conf
from oidc_provider.dialects.base import Dialect
from oidc_provider.models import Client


def code_lifetime(client: Client, dialect: Dialect) -> timedelta:
    """Return how long a code lives."""
    return _lifetime(
        client.authorization_code_lifetime_seconds,
        dialect.authorization_code_lifetime or conf.authorization_code_lifetime,
        conf.max_authorization_code_lifetime,
    )


def access_token_lifetime(client: Client, dialect: Dialect) -> timedelta:
    """Return how long an access token lives."""
    return _lifetime(
        client.access_token_lifetime_seconds,
        dialect.access_token_lifetime or conf.access_token_lifetime,
        conf.max_access_token_lifetime,
    )


def id_token_lifetime(client: Client, dialect: Dialect) -> timedelta:
    """Return how long an id_token lives: as long as the access token unless the client says otherwise (decision 41)."""
    return _lifetime(
        client.id_token_lifetime_seconds, access_token_lifetime(client, dialect), conf.max_id_token_lifetime
    )


def sdk_id_token_lifetime(client: Client) -> timedelta:
    """Return how long the id_token of a native app's sign-in lives."""
    return _lifetime(client.id_token_lifetime_seconds, conf.sdk_id_token_lifetime, conf.max_id_token_lifetime)


def refresh_token_lifetime(client: Client, dialect: Dialect) -> timedelta:
    """Return how long a family of refresh tokens lives."""
    return _lifetime(
        client.refresh_token_lifetime_seconds,
        dialect.refresh_token_lifetime or conf.refresh_token_lifetime,
        conf.max_refresh_token_lifetime,
    )


def refresh_token_grace(client: Client) -> timedelta:
    """Return how long a refresh token that was used may be used again (decision 51); zero where it never may."""
    return _lifetime(client.refresh_token_grace_seconds, conf.refresh_token_grace, conf.max_refresh_token_grace)


def _lifetime(seconds: int | None, default: timedelta, ceiling: timedelta) -> timedelta:
    return min(default if seconds is None else timedelta(seconds=seconds), ceiling)
