"""Codes and tokens as rows: store, spend exactly once, judge, revoke.

One conditional UPDATE decides every single use. Whoever changes no row was second, whatever it read before; so a
hundred requests at once give one success on any database, and none of them fails in another way.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from identity import audit, crypto
from identity.errors import AccountDisabled, ApplicationDisabled, IdentityError, StateInvalid
from identity.events import EventType
from identity.models import SSOSession, Tenant, User
from identity.purging import Purger
from identity.retries import retried
from identity.sso import access
from oidc_provider.clients import cached
from oidc_provider.conf import conf
from oidc_provider.dialects.base import Dialect
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.models import AccessToken, AuthorizationCode, Client, ClientAssertion, RefreshToken

if TYPE_CHECKING:
    from oidc_provider.engine import AuthorizationRequest, EngineContext

CODE_PURPOSE = "oidc_provider.authorization_code"
TOKEN_PURPOSE = "oidc_provider.token"
_HEADER = "Exchange"


@dataclass
class Exchange:
    """What belongs to one request while oauthlib works on it. Travels as a header, so that oauthlib hands it on."""

    context: EngineContext
    client: Client
    session: SSOSession | None = None
    user: User | None = None
    request: AuthorizationRequest | None = None  # at the authorization endpoint
    code: AuthorizationCode | None = None  # when a code is exchanged
    refresh_token: RefreshToken | None = None  # when a refresh token is exchanged
    replayed: uuid.UUID | None = None  # the family of something that was used before
    is_within_grace: bool = False  # the refresh token was used before, a moment ago
    started_at: datetime = field(default_factory=timezone.now)  # before anything was read


def headers(state: Exchange) -> dict[str, Any]:
    """The headers that carry the state through oauthlib."""
    return {_HEADER: state}


def state_of(request: Any) -> Exchange:
    """The state of an oauthlib request."""
    state: Exchange = request.headers[_HEADER]
    return state


def new_secret(request: object = None) -> str:
    """A code or token: 256 bits of chance, 43 characters."""
    return secrets.token_urlsafe(32)


def token_hashes(token: str) -> list[str]:
    """What a token may be stored as, one for each live pepper. S40: the whole token is hashed."""
    return crypto.keyed_hashes(token, purpose=TOKEN_PURPOSE)


# Lifetimes -------------------------------------------------------------------------------------------------


def code_lifetime(client: Client, dialect: Dialect) -> timedelta:
    """How long a code lives: the client's value, else the dialect's, else the default, under the ceiling."""
    return _lifetime(
        client.authorization_code_lifetime_seconds,
        dialect.authorization_code_lifetime or conf.authorization_code_lifetime,
        conf.max_authorization_code_lifetime,
    )


def access_token_lifetime(client: Client, dialect: Dialect) -> timedelta:
    """How long an access token lives."""
    return _lifetime(
        client.access_token_lifetime_seconds,
        dialect.access_token_lifetime or conf.access_token_lifetime,
        conf.max_access_token_lifetime,
    )


def id_token_lifetime(client: Client, dialect: Dialect) -> timedelta:
    """How long an id_token lives: as long as the access token unless the client says otherwise (decision 41)."""
    return _lifetime(
        client.id_token_lifetime_seconds, access_token_lifetime(client, dialect), conf.max_id_token_lifetime
    )


def sdk_id_token_lifetime(client: Client) -> timedelta:
    """How long the id_token of a native app's sign-in lives."""
    return _lifetime(client.id_token_lifetime_seconds, conf.sdk_id_token_lifetime, conf.max_id_token_lifetime)


def refresh_token_lifetime(client: Client, dialect: Dialect) -> timedelta:
    """How long a family of refresh tokens lives."""
    return _lifetime(
        client.refresh_token_lifetime_seconds,
        dialect.refresh_token_lifetime or conf.refresh_token_lifetime,
        conf.max_refresh_token_lifetime,
    )


def refresh_token_grace(client: Client) -> timedelta:
    """How long a refresh token that was used may be used again (decision 51); zero where it never may."""
    return _lifetime(client.refresh_token_grace_seconds, conf.refresh_token_grace, conf.max_refresh_token_grace)


def _lifetime(seconds: int | None, default: timedelta, ceiling: timedelta) -> timedelta:
    return min(default if seconds is None else timedelta(seconds=seconds), ceiling)


# Storing ---------------------------------------------------------------------------------------------------


def store_code(value: str, *, scopes: Sequence[str], state: Exchange) -> AuthorizationCode:
    """Keep a code with everything that its redemption must find unchanged (S10)."""
    request, session, user = state.request, state.session, state.user
    if request is None or session is None or user is None:
        raise LookupError("A code is given to a user of a session for a request.")
    now = timezone.now()
    row = AuthorizationCode(
        code_hash=crypto.keyed_hash(value, purpose=CODE_PURPOSE),
        user=user,
        application=state.client,
        session=session,
        dialect=state.context.dialect.name,
        created=state.started_at,
        expires=now + code_lifetime(state.client, state.context.dialect),
        redirect_uri=request.redirect_uri,
        redirect_uri_given=request.redirect_uri_given,
        scope=" ".join(scopes),
        code_challenge=request.code_challenge,
        code_challenge_method=request.code_challenge_method,
        nonce=request.nonce,
        claims=request.claims,
        auth_time=session.authenticated_at,
        acr=session.acr,
        amr=session.amr,
        is_offline=is_offline(scopes, state),
        epoch=session.epoch,
    )
    row.save(force_insert=True)
    return row


def is_offline(scopes: Sequence[str], state: Exchange) -> bool:
    """Whether the grant outlives its session (decision 14)."""
    return "offline_access" in scopes or state.context.dialect.refresh_outlives_session


def load_code(value: str) -> AuthorizationCode | None:
    """The row of a code with user and session: one query."""
    hashes = crypto.keyed_hashes(value, purpose=CODE_PURPOSE)
    rows = AuthorizationCode.objects.select_related("user", "session")
    return rows.filter(code_hash__in=hashes).first()


def load_refresh_token(value: str) -> RefreshToken | None:
    """The row of a refresh token with user and session: one query."""
    rows = RefreshToken.objects.select_related("user", "session")
    return rows.filter(token_checksum__in=token_hashes(value)).first()


def store_tokens(token: dict[str, Any], *, scopes: Sequence[str], state: Exchange) -> None:
    """Spend what was exchanged, and keep what it gives. In the caller's transaction."""
    now = timezone.now()
    source = state.code or state.refresh_token
    if state.code is not None:
        _spend_code(state.code, now=now, state=state)
    if state.refresh_token is not None:
        _supersede(state.refresh_token, now=now, state=state)
    family = source.family if source is not None else uuid.uuid4()
    common: dict[str, Any] = {
        "application": state.client,
        "dialect": state.context.dialect.name,
        "created": state.started_at,
        "family": family,
        "session_id": source.session_id if source is not None else state.session.pk if state.session else None,
        "claims": source.claims if source is not None else state.request.claims if state.request else {},
        "is_offline": source.is_offline if source is not None else False,
        "epoch": source.epoch if source is not None else state.session.epoch if state.session else 0,
    }
    AccessToken(
        **common,
        token_checksum=crypto.keyed_hash(token["access_token"], purpose=TOKEN_PURPOSE),
        user=state.user,
        scope=" ".join(scopes),
        audience=audience(scopes, state.client),
        expires=now + timedelta(seconds=token["expires_in"]),
    ).save(force_insert=True)
    if "refresh_token" in token and source is not None:
        _store_refresh_token(token["refresh_token"], source=source, common=common, now=now, state=state)


def _store_refresh_token(
    value: str,
    *,
    source: AuthorizationCode | RefreshToken,
    common: dict[str, Any],
    now: datetime,
    state: Exchange,
) -> None:
    is_first = isinstance(source, AuthorizationCode)
    lifetime = refresh_token_lifetime(state.client, state.context.dialect)
    RefreshToken(
        **common,
        token_checksum=crypto.keyed_hash(value, purpose=TOKEN_PURPOSE),
        user_id=source.user_id,
        # RFC6749-6: the next one has the scope of the one before, whatever this request narrowed.
        scope=source.scope,
        # Rotation does not lengthen the life of a family.
        expires=now + lifetime if is_first else source.expires,
        auth_time=source.auth_time,
        acr=source.acr,
        amr=source.amr,
    ).save(force_insert=True)


def audience(scopes: Sequence[str], client: Client) -> list[str]:
    """The audiences of the API scopes among these, each once (decision 20)."""
    return list(dict.fromkeys(client.audiences[name] for name in scopes if name in client.audiences))


def _spend_code(row: AuthorizationCode, *, now: datetime, state: Exchange) -> None:
    if not AuthorizationCode.objects.filter(pk=row.pk, consumed_at=None).update(consumed_at=now):
        state.replayed = row.family
        raise OAuthError(Fault.AUTHORIZATION_CODE_REPLAYED, log_detail=f"code={row.pk}")


def _supersede(row: RefreshToken, *, now: datetime, state: Exchange) -> None:
    """Note that the token was used, the first time; within its grace it gives a sibling of what it gave then.

    Two tabs, or a retry after an answer that was lost, must not end the grant (decision 51). What counts is when the
    request came in, however long it waited for its turn. Each way is an UPDATE of the row, so whoever revokes the
    family waits for the sibling and takes it along (S14).
    """
    live = RefreshToken.objects.filter(pk=row.pk, revoked=None)
    if row.superseded_at is None and live.filter(superseded_at=None).update(superseded_at=now):
        return
    grace = refresh_token_grace(state.client)
    if grace and live.filter(superseded_at__gt=state.started_at - grace).update(superseded_at=F("superseded_at")):
        state.is_within_grace = True
        return
    if not live.exists():
        raise OAuthError(Fault.REFRESH_TOKEN_REVOKED, log_detail=f"token={row.pk} a moment ago")
    state.replayed = row.family
    raise OAuthError(Fault.REFRESH_TOKEN_REPLAYED, log_detail=f"token={row.pk}")


def is_replayed(row: RefreshToken, *, state: Exchange) -> bool:
    """Whether a refresh token was used, and its grace was over when the request came in."""
    grace = refresh_token_grace(state.client)
    return row.superseded_at is not None and (not grace or row.superseded_at <= state.started_at - grace)


# Judging ---------------------------------------------------------------------------------------------------


def check_grant(row: AuthorizationCode | RefreshToken | AccessToken, *, tenant: Tenant) -> None:
    """The gate of S26 and S49 for what a row grants; its user and session were loaded with it.

    Raises IdentityError.
    """
    client = cached.get(row.application_id)
    if client.tenant_id != tenant.pk or not cached.is_usable(client):
        raise ApplicationDisabled(log_detail=f"client={client.pk}")
    if row.user is None:
        return
    user, session = row.user, row.session
    if user.tenant_id != tenant.pk:
        raise AccountDisabled(log_detail=f"user={user.pk} of another tenant")
    # One object for one row, so that nothing here asks the database again.
    user.tenant = tenant
    if session is not None:
        session.user, session.tenant = user, tenant
    elif not row.is_offline:
        raise StateInvalid(log_detail="the session is gone")
    access.check(
        user=user,
        session=session,
        application=client.catalogue_entry,
        epoch=row.epoch,
        is_offline=row.is_offline,
    )


def is_live(row: AccessToken | RefreshToken, *, tenant: Tenant, dialect: Dialect | None = None) -> bool:
    """Whether a token still counts, here and now."""
    if row.is_over(timezone.now()) or (dialect is not None and row.dialect != dialect.name):
        return False
    try:
        check_grant(row, tenant=tenant)
    except IdentityError:
        return False
    return True


def not_usable(error: IdentityError) -> OAuthError:
    """At the token endpoint every reason why a person or session counts no more is invalid_grant (RFC6749-5.2)."""
    fault = Fault.SESSION_ENDED if isinstance(error, StateInvalid) else Fault.USER_NOT_USABLE
    return OAuthError(fault, log_detail=error.log_detail or error.error_code)


# Revoking --------------------------------------------------------------------------------------------------


@retried
def revoke_replayed(state: Exchange) -> None:
    """Something was used twice: end everything that came of it (RFC6749-4.1.2, RFC9700-4.14.2)."""
    with transaction.atomic():
        count = _revoke(Q(family=state.replayed))
        audit.record(
            EventType.TOKEN_REUSE,
            tenant=state.context.tenant,
            actor=state.client,
            target=state.client,
            client_id=state.client.client_id,
            dialect=state.context.dialect.name,
            application=state.client.catalogue_entry,
            context=state.context.request,
            details={"family": str(state.replayed), "revoked": count},
        )


@retried
def revoke_token(row: AccessToken | RefreshToken, *, client: Client, context: EngineContext, now: datetime) -> None:
    """Revoke one access token, or a refresh token with everything of its family (RFC7009-2.1)."""
    with transaction.atomic():
        if isinstance(row, RefreshToken):
            count = _revoke(Q(family=row.family))
        else:
            count = _delete(AccessToken.objects.filter(pk=row.pk))
        audit.record(
            EventType.TOKEN_REVOKE,
            tenant=context.tenant,
            actor=client,
            target=row,
            client_id=client.client_id,
            dialect=context.dialect.name,
            application=client.catalogue_entry,
            context=context.request,
            details={"family": str(row.family), "revoked": count, "at": now},
        )


def revoke_for_session(session: SSOSession, *, with_offline: bool) -> int:
    """End what was granted in a session; what outlives it only where `with_offline`."""
    bound = Q(session=session)
    return _revoke(bound if with_offline else bound & Q(is_offline=False))


@retried
def revoke_for_user(user: User, *, client: Client | None = None) -> int:
    """End everything that a user's grants gave, to all clients or to one."""
    return _revoke(Q(user=user) if client is None else Q(user=user, application=client))


def _revoke(which: Q) -> int:
    """Revoke refresh tokens, delete access tokens and codes that were not used; how many tokens there were."""
    now = timezone.now()
    with transaction.atomic():
        # In the order in which an exchange takes its locks, so that the two cannot wait for each other.
        _delete(AuthorizationCode.objects.filter(which, consumed_at=None))
        refresh_tokens = 0
        # Until none is left: a refresh under way held the row that we waited for, and its new row came after our look.
        while found := RefreshToken.objects.filter(which, revoked=None).update(revoked=now):
            refresh_tokens += found
        return refresh_tokens + _delete(AccessToken.objects.filter(which))


def _delete(rows: Any) -> int:
    """Delete in one statement: nothing refers to these rows, so there is nothing to collect first."""
    deleted: int = rows._raw_delete(using=rows.db)
    return deleted


# Rows that nothing needs any more. A consumed code and a superseded refresh token stay for a while after their end, to
# recognise a replay. Nothing refers to these rows.
PURGERS: Mapping[str, Purger] = {
    "access_tokens": Purger(lambda now: AccessToken.objects.filter(expires__lt=now), by="expires", remove=_delete),
    "authorization_codes": Purger(
        lambda now: AuthorizationCode.objects.filter(expires__lt=now - conf.spent_code_retention),
        by="expires",
        remove=_delete,
    ),
    "client_assertions": Purger(
        lambda now: ClientAssertion.objects.filter(expires_at__lt=now), by="expires_at", remove=_delete
    ),
    "refresh_tokens": Purger(
        lambda now: RefreshToken.objects.filter(expires__lt=now - conf.expired_token_retention),
        by="expires",
        remove=_delete,
    ),
}
