"""Signing and decryption keys of a tenant: made with it, next → active → retired (decision 29).

For each (use, alg) a tenant has one active key and one next key. The next one is published before it signs, so
rotating waits for nothing: next becomes active, a new next is published, and the old key stays published until
the last id_token it signed has expired. Revoking takes keys away at once, for emergencies. Keys for other algorithms
than a tenant's first ones, and those of SAML, are made when something first needs them.

Private keys are sealed PKCS #8 in rows. A process remembers a tenant's rows, and the keys it parsed (`copies`). What is
published is read from the database each time, unless the process is told at once of every change; and a key that is
newer than it takes to be told does not sign yet. So whatever key any process signs with is in every answer given before
or after, and a revoked key may sign until the process hears of it, but is published nowhere (decision 22). A copy in
which a key is missing refuses nothing: the rows are read again first.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from identity import audit, copies, crypto, listening
from identity.conf import conf
from identity.context import SYSTEM, RequestContext
from identity.copies import Copies
from identity.events import EventType
from identity.models import KeyPair, KeyState, KeyUse, Tenant
from identity.purging import Purger
from identity.statements import Select

log = logging.getLogger(__name__)

# What can be made, by use. The first one of a use is its default and always published.
ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    KeyUse.SIG: ("RS256", "RS512", "ES256"),  # RFC7518-3.1
    KeyUse.ENC: ("RSA-OAEP-256",),  # RFC7518-4.1
    KeyUse.SAML: ("RS256", "ES256"),  # by the kind of key; the digest is chosen per service provider
}
# What every tenant has from the beginning: what signs by default, and what clients encrypt under.
_FIRST = tuple((use, ALGORITHMS[use][0]) for use in (KeyUse.SIG, KeyUse.ENC))
_PUBLIC_EXPONENT = 65537
# RFC7638-3.2: the members a thumbprint is made of, in the order of their names.
_THUMBPRINT_MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}
# How old a key is before it signs: by then every process that remembers keys has heard of it, or knows that it is deaf.
_SETTLING = timedelta(seconds=copies.SILENCE_SECONDS + 0.5)
_SPREAD = 0.1  # of the rotation interval, over which ages are spread

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class UnsupportedAlgorithm(ValueError):
    """No key can be made for this (use, alg)."""


class KeysChanged(Exception):
    """The key that was to be rotated is not the active one any more."""


@dataclass(frozen=True)
class Key:
    """One live key pair. `private` and `public` are parsed once and kept with it."""

    kid: str
    use: str
    alg: str
    state: str
    published_until: datetime | None  # retired keys only
    jwk: Mapping[str, Any]  # RFC7517-4 members of the public half, kid, use and alg included
    created_at: datetime
    _sealed: str = field(repr=False)

    @cached_property
    def private(self) -> PrivateKey:
        """The private half. A retired signing key has none."""
        der = crypto.unseal_bytes(self._sealed, purpose=_SEALED_FOR)
        # It was validated when it was made; doing it again would cost 47 ms for RSA.
        return _checked_kind(load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True))

    @cached_property
    def public(self) -> PublicKey:
        """The public half, for verification or for a SubjectPublicKeyInfo."""
        kind = ECAlgorithm if self.jwk["kty"] == "EC" else RSAAlgorithm
        loaded = kind.from_jwk(dict(self.jwk))
        if not isinstance(loaded, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
            raise TypeError("a stored public key is private")
        return loaded

    @cached_property
    def is_settled(self) -> bool:
        """Tell whether it may sign. Only a key that was made because none was there is asked for before."""
        return not listening.is_wanted() or timezone.now() >= self.created_at + _SETTLING

    def is_published(self, now: datetime) -> bool:
        """Tell whether relying parties shall see it."""
        return self.state != KeyState.RETIRED or (self.published_until is not None and self.published_until > now)


# Using keys ------------------------------------------------------------------------------------------------


def active(*, tenant: Tenant, use: str, alg: str) -> Key:
    """Return the key that signs, or under which clients encrypt; made if the tenant has none yet.

    Raises UnsupportedAlgorithm.
    """
    wanted = (use, alg, KeyState.ACTIVE)
    key = next((key for key in _cached(tenant.pk) if (key.use, key.alg, key.state) == wanted), None)
    if key is None:
        ensure(tenant=tenant, use=use, alg=alg)
        key = next(key for key in _load(tenant.pk) if (key.use, key.alg, key.state) == wanted)
    if use == KeyUse.SIG and not key.is_settled:
        _wait_until_settled(key)
    return key


def sign(*, tenant: Tenant, alg: str, claims: Mapping[str, Any], typ: str = "JWT") -> str:
    """Sign claims as a compact JWS (RFC7515-7.1) with the tenant's active key, its kid in the header."""
    key = active(tenant=tenant, use=KeyUse.SIG, alg=alg)
    return jwt.encode(dict(claims), key.private, algorithm=alg, headers={"kid": key.kid, "typ": typ})


def verify(*, tenant: Tenant, token: str, verify_exp: bool = True) -> dict[str, Any]:
    """Verify a JWS against the tenant's published keys; return its claims. Issuer, audience and type are the
    caller's to check. Raises jwt.InvalidTokenError.

    S42: the algorithm is the key's own, never the header's word.
    """
    header = jwt.get_unverified_header(token)
    key = find_published(tenant=tenant, kid=str(header.get("kid", "")))
    if key is None or key.use != KeyUse.SIG:
        raise jwt.InvalidTokenError("unknown kid")
    options: Any = {"verify_exp": verify_exp, "verify_aud": False}
    claims: dict[str, Any] = jwt.decode(token, key.public, algorithms=[key.alg], options=options)
    return claims


def find_published(*, tenant: Tenant, kid: str) -> Key | None:
    """Find a published key by its kid."""
    now = timezone.now()
    for keys in (_cached(tenant.pk), ()):
        for key in keys or _load(tenant.pk):  # An unknown kid may be newer than this process's copy.
            if key.kid == kid and key.is_published(now):
                return key
    return None


def public_keys(*, tenant: Tenant, use: str = KeyUse.SIG) -> list[Key]:
    """Return what is published: active, next, and retired keys whose last id_token may still be in use.

    Of a copy only where the process is told at once of changes, see above. A tenant without keys gets its first pair.
    """
    now = timezone.now()
    keys = _copies.find(tenant.pk, only_told=True) or _load(tenant.pk)
    if not any(key.use == use and key.state == KeyState.ACTIVE for key in keys):
        ensure(tenant=tenant, use=use, alg=ALGORITHMS[use][0])
        keys = _load(tenant.pk)
    return [key for key in keys if key.use == use and key.is_published(now)]


def decryption_keys(*, tenant: Tenant, known: Iterable[Key] | None = None) -> list[Key]:
    """Return every private key under which a client may have encrypted, the active one first.

    known: what was given before and did not fit. The rows are then read anew, and only keys that are not among these
    are given: another process may have made and published one since this process read them.
    """
    now = timezone.now()
    keys = _cached(tenant.pk) if known is None else _load(tenant.pk)
    old = {key.kid for key in known or ()}
    live = [key for key in keys if key.use == KeyUse.ENC and key.is_published(now) and key.kid not in old]
    return sorted(live, key=lambda key: key.state != KeyState.ACTIVE)


# Changing keys ---------------------------------------------------------------------------------------------


def make_first(*, tenant: Tenant, context: RequestContext = SYSTEM) -> None:
    """Make what every tenant has from the beginning, and what its new clients sign with, unless it is there."""
    for use, alg in dict.fromkeys((*_FIRST, (KeyUse.SIG, tenant.id_token_signed_response_alg))):
        ensure(tenant=tenant, use=use, alg=alg, context=context)


def make_missing(*, is_over: Callable[[], bool] = lambda: False) -> int:
    """Make the first keys of tenants that have none, such as those of earlier versions; return of how many.

    is_over: asked before each tenant, whose keys take half a second; the rest waits for the next call.
    """
    active = KeyPair.objects.filter(tenant=OuterRef("pk"), state=KeyState.ACTIVE)
    lacks = Q(pk__in=())
    for use, alg in _FIRST:
        lacks |= Q(~Exists(active.filter(use=use, alg=alg)))
    made = 0
    for pk in list(Tenant.objects.filter(lacks, is_active=True).order_by("pk").values_list("pk", flat=True)):
        if is_over():
            break
        make_first(tenant=Tenant.objects.get(pk=pk))
        made += 1
    return made


def ensure(*, tenant: Tenant, use: str, alg: str, context: RequestContext = SYSTEM) -> None:
    """Make the active and the next key unless they are there.

    Any number of processes may try at once: the database keeps the first of each. Raises UnsupportedAlgorithm.
    """
    missing = _missing(tenant, use, alg)
    if not missing:
        return
    rows = [_new_row(tenant, use, alg, state) for state in missing]
    with transaction.atomic():
        KeyPair.objects.bulk_create(rows, ignore_conflicts=True)
        # Those of ours that were first; of the others nothing was stored.
        for row in KeyPair.objects.filter(kid__in=[row.kid for row in rows]).select_related("tenant").order_by("pk"):
            _record(EventType.KEY_CREATE, row, context=context, actor=None)
        copies.changed(tenant.pk)


def rotate(
    *,
    tenant: Tenant,
    use: str,
    alg: str,
    context: RequestContext = SYSTEM,
    actor: Any = None,
    expected_kid: str | None = None,
) -> KeyPair:
    """Make the next key active, publish a new next, retire the active one; return the new active key.

    expected_kid: rotate only if this is the active key; KeysChanged otherwise. It keeps several workers from
    rotating one after the other for the same reason.
    """
    ensure(tenant=tenant, use=use, alg=alg, context=context)
    upcoming = _new_row(tenant, use, alg, KeyState.NEXT)  # Slow, so before the lock.
    with transaction.atomic():
        _lock(tenant)
        rows = {row.state: row for row in _rows(tenant, use, alg).filter(state__in=[KeyState.ACTIVE, KeyState.NEXT])}
        old, new = rows[KeyState.ACTIVE], rows[KeyState.NEXT]
        if expected_kid is not None and old.kid != expected_kid:
            raise KeysChanged(old.kid)
        now = timezone.now()
        old.state, old.retired_at = KeyState.RETIRED, now
        # Other processes may sign with the old key until their copy is stale.
        old.published_until = now + conf.retired_key_lifetime + timedelta(seconds=conf.process_cache_seconds)
        if use != KeyUse.ENC:
            old.private_sealed = ""  # It will not sign again, so nothing is left to steal.
        old.save(update_fields=["state", "retired_at", "published_until", "private_sealed"])
        new.state, new.activated_at = KeyState.ACTIVE, now
        new.save(update_fields=["state", "activated_at"])
        upcoming.save(force_insert=True)
        _record(EventType.KEY_ROTATE, new, context=context, actor=actor, retired=old.kid, published=upcoming.kid)
        copies.changed(tenant.pk)
    return new


def revoke(*, tenant: Tenant, use: str, alg: str, context: RequestContext = SYSTEM, actor: Any = None) -> KeyPair:
    """Take every live key of (use, alg) away at once and start with new ones; return the new active key.

    The next key goes too: who could read the active one could read that. What the old keys signed or may
    decrypt is worthless from now on. Private halves are destroyed.
    """
    _check_supported(use, alg)
    fresh = [_new_row(tenant, use, alg, state) for state in (KeyState.ACTIVE, KeyState.NEXT)]
    with transaction.atomic():
        _lock(tenant)
        live = list(_rows(tenant, use, alg).exclude(state=KeyState.REVOKED))
        _rows(tenant, use, alg).filter(pk__in=[row.pk for row in live]).update(
            state=KeyState.REVOKED, retired_at=timezone.now(), published_until=None, private_sealed=""
        )
        for row in fresh:
            row.save(force_insert=True)
        _record(
            EventType.KEY_REVOKE,
            fresh[0],
            context=context,
            actor=actor,
            revoked=[row.kid for row in live],
            published=fresh[1].kid,
        )
        copies.changed(tenant.pk)
    return fresh[0]


def in_use(*, tenant: Tenant, use: str | None = None, alg: str | None = None) -> list[tuple[str, str]]:
    """Return the (use, alg) pairs for which a tenant has keys, sorted."""
    rows = KeyPair.objects.filter(tenant=tenant, state=KeyState.ACTIVE)
    if use is not None:
        rows = rows.filter(use=use)
    if alg is not None:
        rows = rows.filter(alg=alg)
    return sorted(set(rows.values_list("use", "alg")))


def rotate_aged(*, now: datetime, is_over: Callable[[], bool] = lambda: False) -> int:
    """Rotate keys that have been active longer than the configured interval; return how many.

    is_over: asked before each key, which takes a tenth of a second; the rest waits for the next call. Each key has an
    age of its own between nine tenths and the whole of the interval, so that those of tenants that were made on one day
    are not all due on one day. Not those of SAML: many service providers have the certificate in a file, and somebody
    must give them the next one.
    """
    interval = conf.key_rotation_interval
    if not interval:
        return 0
    old = KeyPair.objects.filter(
        state=KeyState.ACTIVE, activated_at__lte=now - interval * (1 - _SPREAD), tenant__is_active=True
    ).exclude(use=KeyUse.SAML)
    ages = old.order_by("activated_at", "pk").values_list("pk", "kid", "activated_at")
    due = [pk for pk, kid, since in ages if since is not None and since + _rotation_age(kid, interval) <= now]
    rotated = 0
    for pk in due:
        if is_over():
            break
        row = KeyPair.objects.select_related("tenant").get(pk=pk)
        try:
            rotate(tenant=row.tenant, use=row.use, alg=row.alg, expected_kid=row.kid)
        except KeysChanged:
            continue  # Another worker was first.
        rotated += 1
    return rotated


def _rotation_age(kid: str, interval: timedelta) -> timedelta:
    """Return how old a key gets. Its kid is a digest, so any part of it is as good as chance and always the same."""
    share = int.from_bytes(hashlib.sha256(kid.encode()).digest()[:4]) / 2**32
    return interval * (1 - _SPREAD * share)


def _unpublished(now: datetime) -> QuerySet[KeyPair]:
    return KeyPair.objects.filter(state=KeyState.RETIRED, published_until__lte=now).exclude(private_sealed="")


# Private halves of retired keys that are published no longer are destroyed. The rows stay, for the audit.
purge = Purger(_unpublished, remove=lambda rows: rows.update(private_sealed=""))


# Rows ------------------------------------------------------------------------------------------------------

_SEALED_FOR = crypto.column_purpose(KeyPair, "private_sealed")


def _rows(tenant: Tenant, use: str, alg: str) -> models.QuerySet[KeyPair]:
    return KeyPair.objects.filter(tenant=tenant, use=use, alg=alg)


def _missing(tenant: Tenant, use: str, alg: str) -> list[KeyState]:
    _check_supported(use, alg)
    there = set(_rows(tenant, use, alg).values_list("state", flat=True))
    return [state for state in (KeyState.ACTIVE, KeyState.NEXT) if state not in there]


def _check_supported(use: str, alg: str) -> None:
    if alg not in ALGORITHMS.get(use, ()):
        raise UnsupportedAlgorithm(f"{use} {alg}")


def _lock(tenant: Tenant) -> None:
    """Let one change of a tenant's keys happen at a time.

    SQLite has the write lock already; PostgreSQL takes a lock for which inserts of the tenant's rows do not wait.
    """
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)


def _new_row(tenant: Tenant, use: str, alg: str, state: KeyState) -> KeyPair:
    _check_supported(use, alg)
    columns = key_columns(generate(alg), use=use, alg=alg)
    activated_at = timezone.now() if state == KeyState.ACTIVE else None
    return KeyPair(tenant=tenant, use=use, alg=alg, state=state, activated_at=activated_at, **columns)


def key_columns(private: PrivateKey, *, use: str, alg: str) -> dict[str, Any]:
    """Return what a row keeps of a private key: the thumbprint, the public half, and the sealed private one.

    Raises ValueError for a key that is not valid.
    """
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    _checked_kind(load_der_private_key(der, password=None))  # The one validation.
    jwk = _public_jwk(private.public_key())
    kid = thumbprint(jwk)
    return {
        "kid": kid,
        "private_sealed": crypto.seal(der, purpose=_SEALED_FOR),
        "public_jwk": {**jwk, "kid": kid, "use": use, "alg": alg},
    }


def generate(alg: str) -> PrivateKey:
    """Make a private key for an algorithm of ALGORITHMS."""
    if alg == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=_PUBLIC_EXPONENT, key_size=conf.rsa_key_bits)


def _checked_kind(key: object) -> PrivateKey:
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise TypeError("a stored private key is of another kind")
    return key


def _public_jwk(key: PublicKey) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPublicKey):
        members = RSAAlgorithm.to_jwk(key, as_dict=True)
    else:
        members = ECAlgorithm.to_jwk(key, as_dict=True)
    members.pop("key_ops", None)  # RFC7517-4.3: not beside "use".
    return dict(members)


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the base64url SHA-256 thumbprint of a public key (RFC7638-3): 43 characters, none of them a slash."""
    members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _record(event: EventType, row: KeyPair, *, context: RequestContext, actor: Any, **details: Any) -> None:
    by_nobody = actor is None and not context.actor  # the worker, a command, or first need
    audit.record(
        event,
        tenant=row.tenant,
        actor=audit.SYSTEM_ACTOR if by_nobody else actor,
        target=row,
        context=context,
        details={"kid": row.kid, "use": row.use, "alg": row.alg, "state": row.state, **details},
    )


# The process's copy ----------------------------------------------------------------------------------------

_copies: Copies[int, tuple[Key, ...]] = Copies()
_LIVE = Select(
    lambda tenant, now: (
        KeyPair.objects.filter(tenant=tenant)
        .exclude(state=KeyState.REVOKED)
        .exclude(state=KeyState.RETIRED, published_until__lte=now)
        .order_by("-id")
    )
)


def _cached(tenant_id: int) -> tuple[Key, ...]:
    return _copies.find(tenant_id) or _load(tenant_id)


def _load(tenant_id: int) -> tuple[Key, ...]:
    """Read a tenant's live keys, newest first. What was parsed before is not parsed again."""
    moment, previous = copies.begin(), _copies.find(tenant_id) or ()
    rows = _LIVE.all(tenant_id, timezone.now())
    keys = tuple(
        _with_parsed(
            Key(
                row.kid,
                row.use,
                row.alg,
                row.state,
                row.published_until,
                row.public_jwk,
                row.created_at,
                row.private_sealed,
            ),
            previous,
        )
        for row in rows
    )
    _copies.keep(tenant_id, keys, tenant_id=tenant_id, since=moment)
    return keys


def _with_parsed(key: Key, previous: Iterable[Key]) -> Key:
    for known in previous:
        if known.kid == key.kid:
            key.__dict__.update(
                {name: known.__dict__[name] for name in ("private", "public") if name in known.__dict__}
            )
    return key


def _wait_until_settled(key: Key) -> None:
    """Wait until every node publishes it: after an emergency, or when an algorithm is used for the first time."""
    log.info("key.settling", extra={"kid": key.kid})
    left = min(key.created_at + _SETTLING - timezone.now(), _SETTLING)  # clocks of nodes differ
    time.sleep(max(left.total_seconds(), 0))
    key.__dict__.pop("is_settled", None)


copies.watch(KeyPair)
