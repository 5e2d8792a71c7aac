"""Consent: what a client asks a user for, whether the user has allowed it before, and writing it down (OIDCC-3.1.2.4).

Consent is recorded per user and client, as a set of scopes and of single claims. What was allowed is not asked again
unless the client says prompt=consent, or the user has withdrawn it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from identity import audit
from identity.context import RequestContext
from identity.events import EventType
from identity.models import SSOSession, User
from identity.registry import AccountConsent
from identity.retries import retried
from identity.statements import Select
from oidc_provider.authorization import scope_texts
from oidc_provider.authorization.request import AuthorizationRequest
from oidc_provider.clients.claims import CLAIMS, PROTOCOL_CLAIMS
from oidc_provider.grants import rows
from oidc_provider.models import Client, Consent

OFFLINE = "offline_access"


@dataclass(frozen=True)
class Wish:
    """What a request asks for, and how much of it the user has allowed already."""

    scopes: tuple[str, ...]  # what may be granted, in the order of the request
    claims: tuple[str, ...]  # single claims beyond the scopes, sorted
    known_scopes: frozenset[str]
    known_claims: frozenset[str]
    has_consented: bool  # the user allowed this client something before, if only to know who they are
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
        return not self.is_implied and (not self.has_consented or bool(self.new_scopes or self.new_claims))


def wish(wanted: AuthorizationRequest, *, user: User) -> Wish:
    """Compare a request with what the user allowed this client. One query, none where consent is implied."""
    is_implied = wanted.client.catalogue_entry.skip_consent
    row = None if is_implied else _find(user=user, client=wanted.client)
    known_scopes = frozenset(row.scopes) if row else frozenset()
    return Wish(
        scopes=tuple(
            scope
            for scope in wanted.scopes
            if scope != OFFLINE or _may_be_offline(wanted, is_allowed=is_implied or OFFLINE in known_scopes)
        ),
        claims=_single_claims(wanted),
        known_scopes=known_scopes,
        known_claims=frozenset(row.claims) if row else frozenset(),
        has_consented=row is not None,
        is_implied=is_implied,
    )


@retried
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


def hold(*, user: User, client: Client) -> None:
    """Keep the consent of this user and client as it is until the transaction ends. Call inside a transaction."""
    Consent.objects.select_for_update(no_key=True).filter(user=user, client=client).values_list("pk").first()


class AccountConsents:
    """The user's consents on the account page of identity (its `registry.ConsentSource`)."""

    def list(self, *, user: User) -> Sequence[AccountConsent]:
        """Return what the user allows now, the newest first."""
        rows = Consent.objects.filter(user=user, withdrawn_at=None).select_related("client__catalogue_entry")
        return [
            AccountConsent(
                consent_id=str(row.pk),
                client_name=row.client.display_name,
                scopes=tuple(
                    str(text.title)
                    for text in [
                        *scope_texts.of_scopes(row.scopes, client=row.client),
                        *scope_texts.of_claims(row.claims),
                    ]
                ),
                granted_at=row.granted_at,
            )
            for row in rows.order_by("-granted_at", "-pk")
        ]

    def withdraw(self, *, user: User, consent_id: str, context: RequestContext) -> bool:
        """Withdraw one consent, and end every token that the client has for the user."""
        rows = Consent.objects.filter(user=user, withdrawn_at=None)
        row = (
            rows.filter(pk=int(consent_id)).select_related("user__tenant", "client__tenant").first()
            if _is_row_id(consent_id)
            else None
        )
        return row is not None and withdraw(row, actor=user, context=context)


@retried
def withdraw(row: Consent, *, actor: User, context: RequestContext) -> bool:
    """Withdraw a consent, and end every token that the client has for the user. Return whether it was still there."""
    with transaction.atomic():
        if not Consent.objects.filter(pk=row.pk, withdrawn_at=None).update(withdrawn_at=timezone.now()):
            return False
        revoked = rows.revoke_for_user(row.user, client=row.client)
        audit.record(
            EventType.CONSENT_WITHDRAW,
            tenant=row.client.tenant,
            actor=actor,
            target=row,
            context=context,
            client_id=row.client.client_id,
            details={"revoked": revoked},
        )
    return True


def _is_row_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _single_claims(wanted: AuthorizationRequest) -> tuple[str, ...]:
    """Return what the claims parameter asks for beyond the scopes, of what we can tell (OIDCC-5.5).

    Who somebody is and how they signed in is what signing in is for, and not asked by itself.
    """
    requested = {name for member in wanted.claims.values() for name in member}
    known = {name for members in CLAIMS.values() for name in members} | set(wanted.client.claims_mapping)
    covered = {name for scope in wanted.scopes for name in CLAIMS.get(scope, ())}
    return tuple(sorted(requested & known - covered - PROTOCOL_CLAIMS))


def _may_be_offline(wanted: AuthorizationRequest, *, is_allowed: bool) -> bool:
    """OIDCC-11: ignored without a code, and unless the user is asked or something else permits it."""
    return "code" in wanted.response_type and (is_allowed or "consent" in wanted.prompt)


def _find(*, user: User, client: Client) -> Consent | None:
    return _VALID.first(user.pk, client.pk)


_VALID = Select(lambda user, client: Consent.objects.filter(user=user, client=client, withdrawn_at=None)[:1])


def _locked(*, user: User, client: Client) -> Consent:
    """Return the row of this user and client, made if there is none, locked until the transaction ends."""
    rows = Consent.objects.select_for_update(no_key=True).filter(user=user, client=client)
    row = rows.first()
    if row is None:
        try:
            with transaction.atomic():
                return Consent.objects.create(user=user, client=client, granted_at=timezone.now())
        except IntegrityError:
            # Two tabs at once; the other one's row serves both.
            row = rows.get()
    return row
