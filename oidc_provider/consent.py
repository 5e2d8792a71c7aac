"""Consent: what a client asks a user for, whether the user has allowed it before, and writing it down (OIDCC-3.1.2.4).

Consent is recorded per user and client, as a set of scopes and of single claims. What was allowed is not asked again
unless the client says prompt=consent, or the user has withdrawn it.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from identity.context import RequestContext
from identity.events import EventType
from identity.models import SSOSession, User
from identity.services import audit
from oidc_provider.engine import AuthorizationRequest
from oidc_provider.models import Client, Consent

OFFLINE = "offline_access"
# Naming who somebody is is the purpose of signing in; it is not asked for by itself.
_SELF_EVIDENT = frozenset({"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "sid"})


@dataclass(frozen=True)
class Wish:
    """What a request asks for, and how much of it the user has allowed already."""

    scopes: tuple[str, ...]  # what may be granted, in the order of the request
    claims: tuple[str, ...]  # single claims beyond the scopes, sorted
    known_scopes: frozenset[str]
    known_claims: frozenset[str]
    is_implied: bool  # the operator has consented for everybody (skip_consent)

    @property
    def new_scopes(self) -> tuple[str, ...]:
        """Scopes that were not allowed yet."""
        return tuple(scope for scope in self.scopes if scope not in self.known_scopes)

    @property
    def new_claims(self) -> tuple[str, ...]:
        """Single claims that were not allowed yet."""
        return tuple(claim for claim in self.claims if claim not in self.known_claims)

    @property
    def is_new(self) -> bool:
        """Whether the user must be asked."""
        return not self.is_implied and bool(self.new_scopes or self.new_claims)


def wish(wanted: AuthorizationRequest, *, user: User) -> Wish:
    """Compare a request with what the user allowed this client. One query, none where consent is implied."""
    is_implied = wanted.client.catalogue_entry.skip_consent
    row = None if is_implied else _find(user=user, client=wanted.client)
    known_scopes = frozenset(row.scopes) if row else frozenset()
    requested = {name for member in wanted.claims.values() for name in member}
    return Wish(
        scopes=tuple(
            scope
            for scope in wanted.scopes
            if scope != OFFLINE or _may_be_offline(wanted, is_allowed=is_implied or OFFLINE in known_scopes)
        ),
        claims=tuple(sorted(requested - _SELF_EVIDENT)),
        known_scopes=known_scopes,
        known_claims=frozenset(row.claims) if row else frozenset(),
        is_implied=is_implied,
    )


def record(wish: Wish, *, client: Client, session: SSOSession, context: RequestContext) -> Consent:
    """Write down that the user of this session allowed everything in the wish, beside what was allowed before."""
    now = timezone.now()
    with transaction.atomic():
        row = _locked(user=session.user, client=client)
        if row.withdrawn_at is not None:
            # What was withdrawn does not come back with a smaller consent.
            row.scopes, row.claims = [], []
        row.scopes = sorted({*row.scopes, *wish.scopes})
        row.claims = sorted({*row.claims, *wish.claims})
        row.granted_at, row.withdrawn_at = now, None
        row.save()
        audit.record(
            EventType.CONSENT_GRANT,
            tenant=session.tenant,
            actor=session.user,
            target=row,
            context=context,
            client_id=client.client_id,
            sid=session.sid,
            details={"scopes": list(wish.scopes), "claims": list(wish.claims)},
        )
    return row


def _may_be_offline(wanted: AuthorizationRequest, *, is_allowed: bool) -> bool:
    """OIDCC-11: ignored without a code, and unless the user is asked or something else permits it."""
    return "code" in wanted.response_type and (is_allowed or "consent" in wanted.prompt)


def _find(*, user: User, client: Client) -> Consent | None:
    return Consent.objects.filter(user=user, client=client, withdrawn_at=None).first()


def _locked(*, user: User, client: Client) -> Consent:
    """The row of this user and client, made if there is none, locked until the transaction ends."""
    rows = Consent.objects.select_for_update().filter(user=user, client=client)
    row = rows.first()
    if row is None:
        try:
            with transaction.atomic():
                return Consent.objects.create(user=user, client=client, granted_at=timezone.now())
        except IntegrityError:
            # Two tabs at once; the other one's row serves both.
            row = rows.get()
    return row
