"""Codes and tokens as rows: store, spend exactly once, judge, revoke.

One conditional UPDATE decides every single use. Whoever changes no row was second, whatever it read before; so a
hundred requests at once give one success on any database, and none of them fails in another way.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet
from django.utils import timezone

from identity import audit, crypto
from identity.errors import AccountDisabled, ApplicationDisabled, IdentityError, StateInvalid
from identity.events import EventType
from identity.models import AuditEvent, SSOSession, Tenant, User
from identity.purging import Purger
from identity.retries import retried
from identity.sso import access
from identity.statements import Delete, Select, Update, new, write
from oidc_provider.clients import cached
from oidc_provider.conf import conf
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants.basis import Basis, refresh_token_grace
from oidc_provider.models import AccessToken, AuthorizationCode, Client, ClientAssertion, RefreshToken
from oidc_provider.wire.facts import Facts

G = TypeVar("G", AuthorizationCode, RefreshToken)

CODE_PURPOSE = "oidc_provider.authorization_code"
TOKEN_PURPOSE = "oidc_provider.token"


def token_hashes(token: str) -> list[str]:
    """Return what a token may be stored as, one for each live pepper. S40: the whole token is hashed."""
    return crypto.keyed_hashes(token, purpose=TOKEN_PURPOSE)


# Making ----------------------------------------------------------------------------------------------------


class Replayed(OAuthError):
    """Something came back that had been used: whoever proved itself ends what it gave, after the rollback."""

    def __init__(self, fault: Fault, *, family: uuid.UUID, log_detail: str) -> None:
        super().__init__(fault, log_detail=log_detail)
        self.family = family


def make_code(
    value: str,
    *,
    basis: Basis,
    redirect_uri: str,
    redirect_uri_given: bool,
    code_challenge: str,
    code_challenge_method: str,
) -> AuthorizationCode:
    """Return the row of a code with everything that its redemption must find unchanged (S10, RFC6749-4.1.2)."""
    dialect = basis.facts.dialect
    if basis.auth_time is None:
        raise LookupError("A code is given to a user who signed in.")
    return new(
        AuthorizationCode,
        code_hash=crypto.keyed_hash(value, purpose=CODE_PURPOSE),
        user_id=_key(basis.user),
        application_id=basis.client.pk,
        session_id=_key(basis.session),
        dialect=dialect.name,
        created=basis.started_at,
        expires=timezone.now() + basis.lifetimes.code,
        redirect_uri=redirect_uri,
        redirect_uri_given=redirect_uri_given,
        scope=" ".join(basis.scopes),
        code_challenge=code_challenge,
        code_challenge_method=code_challenge_method,
        nonce=basis.nonce,
        claims=basis.claims,
        auth_time=basis.auth_time,
        acr=basis.acr,
        amr=basis.amr,
        # Whether the grant outlives its session (decision 14).
        is_offline="offline_access" in basis.scopes or dialect.refresh_outlives_session,
        epoch=basis.epoch,
    )


_CODE = Select(
    lambda hashes: AuthorizationCode.objects.select_related("user", "session").filter(code_hash__in=hashes)[:1]
)
_ACCESS_TOKEN = Select(
    lambda hashes: AccessToken.objects.select_related("user", "session").filter(token_checksum__in=hashes)[:1]
)
_REFRESH_TOKEN = Select(
    lambda hashes: RefreshToken.objects.select_related("user", "session").filter(token_checksum__in=hashes)[:1]
)


def load_code(value: str) -> AuthorizationCode | None:
    """Return the row of a code with user and session: one query."""
    return _CODE.first(crypto.keyed_hashes(value, purpose=CODE_PURPOSE))


def load_access_token(value: str) -> AccessToken | None:
    """Return the row of an access token with user and session: one query."""
    return _ACCESS_TOKEN.first(token_hashes(value))


def load_refresh_token(value: str) -> RefreshToken | None:
    """Return the row of a refresh token with user and session: one query."""
    return _REFRESH_TOKEN.first(token_hashes(value))


def store_tokens(
    answer: Mapping[str, Any], *, basis: Basis, source: AuthorizationCode | RefreshToken | None, event: AuditEvent
) -> None:
    """Spend what is exchanged, keep what the answer gives, and record it: one statement, which is a transaction.

    Raises Replayed, and OAuthError or IdentityError where what is exchanged ended a moment ago.
    """
    given = [*_make_tokens(answer, basis=basis, source=source), event]
    if source is None:
        write(*given)
    elif isinstance(source, AuthorizationCode):
        _spend_code(source, given)
    elif source.superseded_at is not None or not write(*given, gate=_SUPERSEDE.bind(source.pk, timezone.now())):
        # A second use that is let pass; one after the grace is a token:reuse.
        event.details |= {"is_within_grace": True, "family": str(basis.family)}
        _use_again(source, given, started_at=basis.started_at, client=basis.client)


def _make_tokens(
    answer: Mapping[str, Any], *, basis: Basis, source: AuthorizationCode | RefreshToken | None
) -> list[Model]:
    now = timezone.now()
    common: dict[str, Any] = {
        "application_id": basis.client.pk,
        "dialect": basis.facts.dialect.name,
        "created": basis.started_at,
        "family": basis.family,
        "session_id": _key(basis.session),
        "claims": basis.claims,
        "is_offline": basis.is_offline,
        "epoch": basis.epoch,
        "user_id": _key(basis.user),
    }
    access_token = new(
        AccessToken,
        **common,
        token_checksum=crypto.keyed_hash(answer["access_token"], purpose=TOKEN_PURPOSE),
        scope=" ".join(basis.scopes),
        audience=audience(basis.scopes, basis.client),
        expires=now + timedelta(seconds=answer["expires_in"]),
    )
    if "refresh_token" not in answer or source is None:
        return [access_token]
    refresh_token = new(
        RefreshToken,
        **common,
        token_checksum=crypto.keyed_hash(answer["refresh_token"], purpose=TOKEN_PURPOSE),
        # RFC6749-6: the next one has the scope of the one before, whatever this request narrowed.
        scope=source.scope,
        # Rotation does not lengthen the life of a family.
        expires=source.expires if isinstance(source, RefreshToken) else now + basis.lifetimes.refresh_token,
        auth_time=source.auth_time,
        acr=source.acr,
        amr=source.amr,
    )
    return [access_token, refresh_token]


def _key(row: Model | None) -> Any:
    return None if row is None else row.pk


def audience(scopes: Sequence[str], client: Client) -> list[str]:
    """Return the audiences of the API scopes among these, each once (decision 20)."""
    return list(dict.fromkeys(client.audiences[name] for name in scopes if name in client.audiences))


# Spending --------------------------------------------------------------------------------------------------


def _counting(rows: QuerySet[G]) -> QuerySet[G]:
    """Narrow grants to those whose person and session still count, asked in the moment of the write (S26, S48).

    The gate was asked when the row was read. What ended since then is seen here, or the epoch makes dead what is given.
    """
    person = User.objects.filter(pk=OuterRef("user_id"), epoch=OuterRef("epoch"))
    ended = SSOSession.objects.filter(pk=OuterRef("session_id")).exclude(ended_at=None)
    return rows.filter(Exists(person), Q(is_offline=True) | ~Exists(ended))


_SPEND_CODE = Update(
    lambda pk, now: (
        _counting(AuthorizationCode.objects.filter(pk=pk, consumed_at=None)),
        {"consumed_at": now},
    )
)
_SUPERSEDE = Update(
    lambda pk, now: (
        _counting(RefreshToken.objects.filter(pk=pk, revoked=None, superseded_at=None)),
        {"superseded_at": now},
    )
)
# An UPDATE, though it changes nothing: whoever revokes the family waits for the sibling and takes it along (S14).
_USE_AGAIN = Update(
    lambda pk, since: (
        _counting(RefreshToken.objects.filter(pk=pk, revoked=None, superseded_at__gt=since)),
        {"superseded_at": F("superseded_at")},
    )
)


def _spend_code(code: AuthorizationCode, given: Sequence[Model]) -> None:
    if write(*given, gate=_SPEND_CODE.bind(code.pk, timezone.now())):
        return
    fresh = AuthorizationCode.objects.filter(pk=code.pk).first()
    if fresh is not None and fresh.consumed_at is not None:
        raise Replayed(Fault.AUTHORIZATION_CODE_REPLAYED, family=code.family, log_detail=f"code={code.pk}")
    raise StateInvalid(log_detail=f"code={code.pk} ended a moment ago")


def _use_again(token: RefreshToken, given: Sequence[Model], *, started_at: datetime, client: Client) -> None:
    """Give a sibling of what the token gave when it was used first, within its grace (decision 51).

    Two tabs, or a retry after an answer that was lost, must not end the grant. What counts is when the request came in,
    however long it waited for its turn.
    """
    grace = refresh_token_grace(client)
    if grace and write(*given, gate=_USE_AGAIN.bind(token.pk, started_at - grace)):
        return
    fresh = RefreshToken.objects.filter(pk=token.pk, revoked=None).first()
    if fresh is None:
        raise OAuthError(Fault.REFRESH_TOKEN_REVOKED, log_detail=f"token={token.pk} a moment ago")
    check_first_use(fresh, started_at=started_at, client=client)
    raise StateInvalid(log_detail=f"token={token.pk} ended a moment ago")


def check_first_use(row: RefreshToken, *, started_at: datetime, client: Client) -> None:
    """Refuse a refresh token that was used, and whose grace was over when the request came in. Raises Replayed."""
    grace = refresh_token_grace(client)
    if row.superseded_at is not None and (not grace or row.superseded_at <= started_at - grace):
        raise Replayed(Fault.REFRESH_TOKEN_REPLAYED, family=row.family, log_detail=f"token={row.pk}")


# Judging ---------------------------------------------------------------------------------------------------


def check_grant(row: AuthorizationCode | RefreshToken | AccessToken, *, client: Client, tenant: Tenant) -> None:
    """Ask the gate of S26 and S49 for what a row grants; its user and session were loaded with it.

    Raises IdentityError.
    """
    if client.tenant_id != tenant.pk or not client.is_enabled:
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


def is_live(row: AccessToken | RefreshToken, *, client: Client, tenant: Tenant) -> bool:
    """Whether a token of this client still counts, here and now."""
    if row.is_over(timezone.now()):
        return False
    try:
        check_grant(row, client=client, tenant=tenant)
    except IdentityError:
        return False
    return True


def find_access_token(token: str, *, facts: Facts) -> AccessToken | None:
    """Return the live access token with its user and session, or None: one query (S26, S40)."""
    row = load_access_token(token)
    return row if row is not None and _is_live_here(row, facts=facts) else None


def find_refresh_token(token: str, *, facts: Facts) -> RefreshToken | None:
    """Return the live refresh token with its user and session, or None: one query."""
    row = load_refresh_token(token)
    if row is None or row.revoked is not None or row.superseded_at is not None:
        return None
    return row if _is_live_here(row, facts=facts) else None


def _is_live_here(row: AccessToken | RefreshToken, *, facts: Facts) -> bool:
    """Whether a token counts, at this issuer. A client that has moved to another dialect leaves its tokens behind."""
    client, dialect = cached.get(row.application_id), facts.dialect
    is_home = client.belongs_to(dialect, app_code=facts.app_code) and row.was_given_to(client, dialect=dialect.name)
    return is_home and is_live(row, client=client, tenant=facts.tenant)


def not_usable(error: IdentityError) -> OAuthError:
    """At the token endpoint every reason why a person or session counts no more is invalid_grant (RFC6749-5.2)."""
    fault = Fault.SESSION_ENDED if isinstance(error, StateInvalid) else Fault.USER_NOT_USABLE
    return OAuthError(fault, log_detail=error.log_detail or error.error_code)


# Revoking --------------------------------------------------------------------------------------------------


@retried
def revoke_replayed(family: uuid.UUID, *, client: Client, facts: Facts) -> None:
    """Something was used twice: end everything that came of it (RFC6749-4.1.2, RFC9700-4.14.2)."""
    with transaction.atomic():
        count = _revoke(Q(family=family))
        audit.record(
            EventType.TOKEN_REUSE,
            tenant=facts.tenant,
            actor=client,
            target=client,
            client_id=client.client_id,
            dialect=facts.dialect.name,
            application=client.catalogue_entry,
            context=facts.request,
            details={"family": str(family), "revoked": count},
        )


@retried
def revoke_token(row: AccessToken | RefreshToken, *, client: Client, facts: Facts, now: datetime) -> None:
    """Revoke one access token, or a refresh token with everything of its family (RFC7009-2.1)."""

    def revoked(count: int) -> AuditEvent:
        return audit.describe(
            EventType.TOKEN_REVOKE,
            tenant=facts.tenant,
            actor=client,
            target=row,
            client_id=client.client_id,
            dialect=facts.dialect.name,
            application=client.catalogue_entry,
            context=facts.request,
            details={"family": str(row.family), "revoked": count, "at": now},
        )

    if isinstance(row, RefreshToken):
        with transaction.atomic():
            write(revoked(_revoke(Q(family=row.family))))
    elif not write(revoked(1), gate=_END.bind(row.pk)):
        write(revoked(0))  # somebody else did


_END = Delete(lambda pk: AccessToken.objects.filter(pk=pk))


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
