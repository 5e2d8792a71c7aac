"""Who calls the token, introspection and revocation endpoints (RFC6749-2.3, OIDCC-9).

A request proves itself in exactly one way, and it must be a way the client is registered for. An unknown client, a
disabled one, a wrong secret and a wrong method are one answer after the same work (S33). Nothing locks a client out:
its secret carries 128 bits or more, so guessing is hopeless, and a lock would let anybody stop an application; every
refusal is audited.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

import jwt
from django.utils import timezone
from jwt.types import Options

from identity import budgets, crypto
from identity.budgets import Budget, BudgetSpent
from identity.statements import Upsert, write
from identity.texts import is_storable
from oidc_provider.clients import cached, jwk_sets, keys
from oidc_provider.clients.jwk_sets import PublicKey
from oidc_provider.conf import conf
from oidc_provider.dialects.base import SecretPlace
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.models import SECRET_METHODS, AuthMethod, Client, ClientAssertion
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.parameters import Parameters

log = logging.getLogger(__name__)

SECRET_PURPOSE = "oidc_provider.client_secret"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC7523-2.2
_JTI_PURPOSE = "oidc_provider.assertion_jti"
# What an unknown client's secret is compared with.
_NO_HASH = "0" * 64


@dataclass(frozen=True)
class ClientCredentials:
    """What a request says of its client. Secrets are kept out of `repr`."""

    client_id: str
    method: AuthMethod
    secret: str = field(default="", repr=False)
    assertion: str = field(default="", repr=False)


# Reading ---------------------------------------------------------------------------------------------------


# A decoded Basic header and the client_id beside it, to client and secret; None if it is neither.
BasicReader = Callable[[str, str], tuple[str, str] | None]


def read_basic(decoded: str, client_id: str) -> tuple[str, str] | None:
    """RFC6749-2.3.1: both halves are form-encoded before they are joined."""
    name, separator, secret = decoded.partition(":")
    return (unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")) if separator else None


def read(
    authorization: str,
    params: Mapping[str, str],
    *,
    places: Container[SecretPlace] = frozenset(SecretPlace),
    read_basic: BasicReader | None = None,
) -> ClientCredentials:
    """Read the credentials of a request.

    authorization: the header's value, "" if there is none. params: of the body, in RFC names. places: where the
    dialect takes a secret. read_basic: how it reads a Basic header, if it has a way of its own.
    Raises OAuthError if there is no client, or more than one way to prove it (RFC6749-2.3).
    """
    credentials = _read(authorization, params, read_basic or _READ_BASIC)
    place = _PLACES.get(credentials.method)
    if place is not None and place not in places:
        raise OAuthError(Fault.CLIENT_AUTHENTICATION, log_detail=f"not in the {place.value}")
    return credentials


_READ_BASIC = read_basic
_PLACES = {
    AuthMethod.BASIC: SecretPlace.HEADER,
    AuthMethod.POST: SecretPlace.BODY,
    AuthMethod.PRIVATE_KEY_JWT: SecretPlace.ASSERTION,
}


def _read(authorization: str, params: Mapping[str, str], read_basic: BasicReader) -> ClientCredentials:
    has_secret = "client_secret" in params
    has_assertion = "client_assertion" in params or "client_assertion_type" in params
    if bool(authorization) + has_secret + has_assertion > 1:
        raise OAuthError(Fault.CLIENT_AUTHENTICATION_TWICE)
    if authorization:
        return _from_header(authorization, params, read_basic)
    if has_assertion:
        return _from_assertion(params)
    client_id = params.get("client_id", "")
    if not client_id:
        raise OAuthError(Fault.CLIENT_AUTHENTICATION_MISSING)
    if has_secret:
        return ClientCredentials(client_id, AuthMethod.POST, secret=params["client_secret"])
    return ClientCredentials(client_id, AuthMethod.NONE)


def _from_header(authorization: str, params: Mapping[str, str], read_basic: BasicReader) -> ClientCredentials:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise OAuthError(Fault.CLIENT_AUTHENTICATION, log_detail="another scheme than Basic")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        found = read_basic(decoded, params.get("client_id", ""))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise OAuthError(Fault.CLIENT_AUTHENTICATION, log_detail="header cannot be decoded") from None
    client_id, secret = found or ("", "")
    if not client_id or "\x00" in client_id:
        raise OAuthError(Fault.CLIENT_AUTHENTICATION, log_detail="header without a client")
    # A client_id beside it says nothing new; another one would be a second client.
    if params.get("client_id", client_id) != client_id:
        raise OAuthError(Fault.CLIENT_AUTHENTICATION_TWICE, log_detail="two client_id")
    return ClientCredentials(client_id, AuthMethod.BASIC, secret=secret)


def _from_assertion(params: Mapping[str, str]) -> ClientCredentials:
    """RFC7521-4.2: client_id is optional here; the assertion's subject is the client."""
    assertion = params.get("client_assertion", "")
    if params.get("client_assertion_type") != ASSERTION_TYPE or not assertion:
        raise OAuthError(Fault.CLIENT_ASSERTION, log_detail="type or assertion is missing")
    try:
        subject = jwt.decode(assertion, options={"verify_signature": False}).get("sub")
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise OAuthError(Fault.CLIENT_ASSERTION, log_detail="not a JWT") from None
    if not isinstance(subject, str) or params.get("client_id", subject) != subject:
        raise OAuthError(Fault.CLIENT_ASSERTION, log_detail="subject is not the client")
    return ClientCredentials(subject, AuthMethod.PRIVATE_KEY_JWT, assertion=assertion)


def read_credentials(authorization: str, params: Parameters, *, facts: Facts) -> ClientCredentials:
    """Read what a request says of its client, where the dialect lets it say so. Raises OAuthError.

    authorization: the header's value, "" if there is none. params: in RFC names.
    """
    dialect = facts.dialect
    if dialect.is_per_application and "client_id" not in params and not authorization:
        # The path names the application, and by that its public client (decision 6).
        client_id = cached.find_public(app_code=facts.app_code, dialect=dialect.name, tenant=facts.tenant)
        if client_id:
            params = params.respelled({**params, "client_id": client_id})
    return read(authorization, params, places=dialect.secret_places, read_basic=dialect.read_basic)


# Checking --------------------------------------------------------------------------------------------------


def authenticate_client(credentials: ClientCredentials, *, facts: Facts) -> Client:
    """Return the client that calls. Raises OAuthError.

    Of wrong proofs a source has a budget. It locks nobody out: who brings the right one is let in (decision 13).
    """
    try:
        return _authenticate(credentials, facts=facts)
    except OAuthError:
        try:
            budgets.spend(Budget.REFUSED_CLIENTS, tenant=facts.tenant, context=facts.request)
        except BudgetSpent as spent:
            raise OAuthError(
                Fault.TEMPORARILY_UNAVAILABLE,
                log_detail="too many refused clients",
                retry_after_seconds=spent.retry_after_seconds,
            ) from None
        raise


def _authenticate(credentials: ClientCredentials, *, facts: Facts) -> Client:
    """Return the client that these credentials prove, of the dialect and issuer that is asked. Raises OAuthError.

    A client assertion is spent by this, whatever becomes of the request (S11).
    """

    right: list[Client] = []

    def is_right(client: Client) -> bool:
        try:
            right.append(_check_registered(client, credentials, facts=facts))
        except OAuthError:
            return False
        return True

    # A refusal costs one reading of the rows, for a client that does not exist as well (S33).
    client = cached.find(client_id=credentials.client_id, tenant=facts.tenant, suffices=is_right)
    if client is None or client not in right:
        client = _check_registered(client, credentials, facts=facts)
    if credentials.method == AuthMethod.PRIVATE_KEY_JWT:
        # RFC7523-3: it is addressed to the issuer or to the token endpoint.
        _check_assertion(client, credentials.assertion, audiences=facts.assertion_audiences)
    return client


def _check_registered(client: Client | None, credentials: ClientCredentials, *, facts: Facts) -> Client:
    """Everything but an assertion, which is spent by looking at it. Raises OAuthError."""
    is_secret_good = _matches_secret(client, credentials.secret)
    if client is None or not client.is_enabled or not client.belongs_to(facts.dialect, app_code=facts.app_code):
        raise OAuthError(Fault.CLIENT_NOT_FOUND, log_detail="unknown, disabled or of another dialect")
    if credentials.method == AuthMethod.NONE and not client.is_public:
        raise _refused(client, Fault.CLIENT_AUTHENTICATION_MISSING, "nothing sent")
    registered = client.token_endpoint_auth_method
    # RFC6749-2.3.1. In some dialects a secret in the header is as good as one in the body.
    is_basic_like_post = facts.dialect.is_basic_like_post and registered in SECRET_METHODS
    is_either = registered == AuthMethod.SECRET or is_basic_like_post
    if credentials.method not in ({AuthMethod.BASIC, AuthMethod.POST} if is_either else {registered}):
        raise _refused(client, Fault.CLIENT_AUTHENTICATION, f"method={credentials.method}")
    if credentials.method in SECRET_METHODS and not is_secret_good:
        raise _refused(client, Fault.CLIENT_AUTHENTICATION, "wrong secret")
    return client


def hash_secret(secret: str) -> str:
    """Return what is stored of a client's secret: a fast keyed hash, for it has 128 bits or more (decision 9)."""
    return crypto.keyed_hash(secret, purpose=SECRET_PURPOSE)


def _matches_secret(client: Client | None, secret: str) -> bool:
    """Compare with the secret and with the one before it. The same work for a client that does not exist."""
    current = (client.secret_hash if client else "") or _NO_HASH
    is_current = crypto.matches_keyed_hash(secret, current, purpose=SECRET_PURPOSE)
    if is_current or client is None or client.previous_secret_expires_at is None:
        return is_current
    is_previous = crypto.matches_keyed_hash(secret, client.previous_secret_hash, purpose=SECRET_PURPOSE)
    return is_previous and timezone.now() < client.previous_secret_expires_at


def _refused(client: Client, fault: Fault, reason: str) -> OAuthError:
    return OAuthError(fault, log_detail=f"client={client.pk} {reason}", client_id=client.client_id)


# Assertions ------------------------------------------------------------------------------------------------


def _check_assertion(client: Client, assertion: str, *, audiences: tuple[str, ...]) -> None:
    """RFC7523-3, OIDCC-9: signed by a registered key, for us, by and about the client, short-lived, used once."""
    header = _header(client, assertion)
    key = _find_key(client, header)
    options: Options = {"require": ["iss", "sub", "aud", "exp", "jti"], "strict_aud": False}
    try:
        document = jwt.decode(
            assertion,
            key,
            algorithms=[str(header["alg"])],
            audience=list(audiences),
            issuer=client.client_id,
            leeway=conf.clock_skew,
            options=options,
        )
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as error:
        raise _refused(client, Fault.CLIENT_ASSERTION, type(error).__name__) from None
    if isinstance(document["aud"], list) and len(document["aud"]) != 1:
        # RFC7523bis-4: one audience, ours. Whoever is named beside us could hand the assertion on.
        raise _refused(client, Fault.CLIENT_ASSERTION, "several audiences")
    jti, exp = document["jti"], document["exp"]
    # RFC7519-4.1.4, 4.1.7: a number and a text; the library would take a number in quotes.
    if not isinstance(jti, str) or not jti or not is_storable(jti) or not isinstance(exp, int | float):
        raise _refused(client, Fault.CLIENT_ASSERTION, "jti or exp is of another type")
    if document["sub"] != client.client_id:
        raise _refused(client, Fault.CLIENT_ASSERTION, "subject is not the client")
    if exp > time.time() + conf.max_assertion_lifetime.total_seconds():
        # It would have to be remembered for as long.
        raise _refused(client, Fault.CLIENT_ASSERTION, "exp is too far away")
    _spend(client, jti, exp)


def _spend(client: Client, jti: str, exp: float) -> None:
    """S11: the unique index decides which of two requests was first; it does not see uses from before a new pepper."""
    expires_at = datetime.fromtimestamp(exp, tz=UTC) + conf.clock_skew
    newest, *older = crypto.keyed_hashes(jti, purpose=_JTI_PURPOSE)
    if older and ClientAssertion.objects.filter(client=client, jti_hash__in=older).exists():
        raise _refused(client, Fault.CLIENT_ASSERTION_REPLAYED, "jti was used under another pepper")
    row = ClientAssertion(client=client, jti_hash=newest, expires_at=expires_at)
    if not write(gate=[Upsert(row, by=("client", "jti_hash"))]):
        raise _refused(client, Fault.CLIENT_ASSERTION_REPLAYED, "jti was used")


def _header(client: Client, assertion: str) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(assertion)
    except jwt.InvalidTokenError:
        raise _refused(client, Fault.CLIENT_ASSERTION, "header") from None
    # RFC7515-4.1.11: an extension that must be understood, and is not.
    if header.get("alg") not in jwk_sets.ALGORITHMS or "crit" in header:
        raise _refused(client, Fault.CLIENT_ASSERTION, "algorithm")
    return header


def _find_key(client: Client, header: Mapping[str, Any]) -> Any:
    for is_retry in (False, True):
        for key in _keys(client, is_retry=is_retry):
            kid = header.get("kid")
            # OIDCC-10.1: several keys are told apart by kid.
            if header["alg"] in key.algorithms and (kid is None or key.kid is None or kid == key.kid):
                return key.jwk.key
        if not client.jwks_uri:
            break
    raise _refused(client, Fault.CLIENT_ASSERTION, "no key for it")


def _keys(client: Client, *, is_retry: bool) -> tuple[PublicKey, ...]:
    if client.jwks_uri:
        return keys.keys(client, is_anew=is_retry)
    return _inline(json.dumps(client.jwks), client.client_id) if client.jwks else ()


@lru_cache(maxsize=1024)
def _inline(text: str, client_id: str) -> tuple[PublicKey, ...]:
    """Parse a client's own JWK Set once. One that registration would refuse holds no key."""
    try:
        return jwk_sets.parse(json.loads(text))
    except ValueError:
        log.error("client.jwks_unusable", extra={"client_id": client_id})
        return ()
