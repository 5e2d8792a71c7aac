"""What tokens are given for: a code, a refresh token, a session at the authorization endpoint, or the client itself.

A value: the rules that make tokens read it and need not know which of these it came from. Here is, too, how long each
thing lives that is given.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from identity.models import SSOSession, User
from oidc_provider.conf import conf
from oidc_provider.dialects.base import Dialect
from oidc_provider.models import AuthorizationCode, Client, RefreshToken, new_family
from oidc_provider.wire.facts import Facts


@dataclass(frozen=True, kw_only=True)
class Lifetimes:
    """How long each thing lives: the client's value, else the dialect's, else the default, under the ceiling."""

    code: timedelta
    access_token: timedelta
    id_token: timedelta
    app_id_token: timedelta  # of a native app's sign-in
    refresh_token: timedelta  # of a family

    @classmethod
    def of(cls, client: Client, dialect: Dialect) -> Lifetimes:
        """Return what holds for a client."""
        access_token = _lifetime(
            client.access_token_lifetime_seconds,
            dialect.access_token_lifetime or conf.access_token_lifetime,
            conf.max_access_token_lifetime,
        )
        return cls(
            code=_lifetime(
                client.authorization_code_lifetime_seconds,
                dialect.authorization_code_lifetime or conf.authorization_code_lifetime,
                conf.max_authorization_code_lifetime,
            ),
            access_token=access_token,
            # As long as the access token unless the client says otherwise (decision 41).
            id_token=_lifetime(client.id_token_lifetime_seconds, access_token, conf.max_id_token_lifetime),
            app_id_token=_lifetime(
                client.id_token_lifetime_seconds, conf.sdk_id_token_lifetime, conf.max_id_token_lifetime
            ),
            refresh_token=_lifetime(
                client.refresh_token_lifetime_seconds,
                dialect.refresh_token_lifetime or conf.refresh_token_lifetime,
                conf.max_refresh_token_lifetime,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What tokens are given for. Without a user it is the client itself (RFC6749-4.4)."""

    facts: Facts
    client: Client
    scopes: tuple[str, ...]  # of what is given now
    started_at: datetime  # before anything was read
    lifetimes: Lifetimes
    user: User | None = None
    session: SSOSession | None = None
    # When and how the user signed in, as it was when the grant was made (S28).
    auth_time: datetime | None = None
    acr: str = ""
    amr: Sequence[str] = ()
    nonce: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)  # OIDCC-5.5
    family: uuid.UUID = field(default_factory=new_family)
    is_offline: bool = False  # the grant outlives its session (decision 14)
    epoch: int = 0

    @classmethod
    def of_client(cls, client: Client, *, scopes: Sequence[str], facts: Facts, started_at: datetime) -> Basis:
        """Give to the client itself."""
        return cls(
            facts=facts,
            client=client,
            scopes=tuple(scopes),
            started_at=started_at,
            lifetimes=Lifetimes.of(client, facts.dialect),
        )

    @classmethod
    def of_row(
        cls,
        row: AuthorizationCode | RefreshToken,
        *,
        scopes: Sequence[str],
        facts: Facts,
        client: Client,
        started_at: datetime,
    ) -> Basis:
        """Take over what a code or a refresh token was given for."""
        return cls(
            facts=facts,
            client=client,
            scopes=tuple(scopes),
            started_at=started_at,
            lifetimes=Lifetimes.of(client, facts.dialect),
            user=row.user,
            session=row.session,
            auth_time=row.auth_time,
            acr=row.acr,
            amr=row.amr,
            # OIDCC-12.2: the id_token of a refresh needs none.
            nonce=row.nonce if isinstance(row, AuthorizationCode) else "",
            claims=row.claims,
            family=row.family,
            is_offline=row.is_offline,
            epoch=row.epoch,
        )

    @classmethod
    def of_session(
        cls,
        session: SSOSession,
        *,
        scopes: Sequence[str],
        facts: Facts,
        client: Client,
        started_at: datetime,
        nonce: str = "",
        claims: Mapping[str, Any] | None = None,
        acr: str = "",
    ) -> Basis:
        """Give to the user of a session. acr: as the client names the level of it; "" is our own name."""
        return cls(
            facts=facts,
            client=client,
            scopes=tuple(scopes),
            started_at=started_at,
            lifetimes=Lifetimes.of(client, facts.dialect),
            user=session.user,
            session=session,
            auth_time=session.authenticated_at,
            acr=acr or session.acr,
            amr=session.amr,
            nonce=nonce,
            claims=claims or {},
            epoch=session.epoch,
        )


def refresh_token_grace(client: Client) -> timedelta:
    """Return how long a refresh token that was used may be used again (decision 51); zero where it never may."""
    return _lifetime(client.refresh_token_grace_seconds, conf.refresh_token_grace, conf.max_refresh_token_grace)


def _lifetime(seconds: int | None, default: timedelta, ceiling: timedelta) -> timedelta:
    return min(default if seconds is None else timedelta(seconds=seconds), ceiling)
