"""What sibling apps may call. Everything else of this app is its own business."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from django.utils import timezone

from identity import origins
from identity.context import RequestContext
from identity.crypto import UnsealError
from identity.errors import ApplicationDisabled, IdTokenFailed, NotFound
from identity.keyring.keys import UnsupportedAlgorithm
from identity.models import Application, SSOSession, Tenant, User
from oidc_provider import dialects
from oidc_provider.clients import authentication, cached
from oidc_provider.clients.tenant_rights import AUDIENCE as TENANT_API
from oidc_provider.clients.tenant_rights import RIGHTS as TENANT_RIGHTS
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import id_tokens, rows
from oidc_provider.grants.basis import Basis
from oidc_provider.mini_programs.codes import (
    ConsentQuestion,
    agree,
    ask,
    check_access,
    decline,
    issue_code,
    parameters,
    record_check,
)
from oidc_provider.mini_programs.hosts import Host
from oidc_provider.mini_programs.hosts import authenticate as authenticate_host
from oidc_provider.models import AccessToken, AuthMethod, Client
from oidc_provider.token import exchange
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.parameters import Parameters, check_single, collect

__all__ = [
    "TENANT_API",
    "TENANT_RIGHTS",
    "BearerRefusal",
    "ConsentQuestion",
    "Host",
    "Principal",
    "agree",
    "ask",
    "authenticate_bearer",
    "authenticate_host",
    "authenticate_machine",
    "bearer_refusal_of",
    "check_access",
    "decline",
    "find_application",
    "find_sdk_application",
    "get_application",
    "grant_client_token",
    "issue_code",
    "parameters",
    "read_bearer_header",
    "record_check",
    "revoke_for_user",
    "shares_nonces",
    "sign_session_id_token",
    "tenant_of_caller",
]

log = logging.getLogger(__name__)

_IS_ENABLED, _SERVES_SDK = attrgetter("is_enabled"), attrgetter("serves_sdk")


# Status, error and error_description, word for word what the contract shows where it shows something.
_BEARER_REFUSALS: Mapping[Fault, tuple[int, str, str]] = MappingProxyType(
    {
        Fault.ACCESS_TOKEN_MISSING: (
            401,
            "unauthorized",
            "Full authentication is required to access this resource",
        ),  # OneAccess-3.3.4.3
        Fault.ACCESS_TOKEN: (401, "invalid_token", "Invalid access token."),  # OneAccess-3.1.1.2, later revision
        Fault.INSUFFICIENT_SCOPE: (
            403,
            "insufficient_scope",
            "Insufficient scope for this resource",
        ),  # RFC6750-3.1, decision 45
    }
)


@dataclass(frozen=True)
class BearerRefusal:
    """The answer to a caller whose token will not do."""

    status: int
    body: Mapping[str, str]
    challenge: str  # of the WWW-Authenticate header


@dataclass(frozen=True)
class Principal:
    """Who calls an API with an access token."""

    tenant: Tenant
    client_id: str
    application: Application
    user: User | None  # None: the client acts for itself (RFC6749-4.4)
    scopes: frozenset[str]
    audience: tuple[str, ...]
    sid: str = ""
    requests_per_minute: int | None = None  # how often the client may call an API; None: as often as it likes

    @property
    def is_authenticated(self) -> bool:
        """What the framework of these APIs asks of a caller."""
        return True


# Access tokens at the product's own JSON APIs ---------------------------------------------------------------


def read_bearer_header(authorization: str) -> str:
    """Return the token of the header (RFC6750-2.1); "" without one. Raises OAuthError for another scheme."""
    scheme, _, token = authorization.partition(" ")
    if scheme and scheme.lower() != "bearer":
        raise OAuthError(Fault.ACCESS_TOKEN_MISSING, log_detail="another scheme than Bearer")
    return token.strip()


def bearer_refusal_of(error: OAuthError) -> BearerRefusal | None:
    """How to answer a fault of an access token; None for a fault of something else."""
    row = _BEARER_REFUSALS.get(error.fault)
    if row is None:
        return None
    status, code, text = row
    challenge = "Bearer"
    if error.fault is not Fault.ACCESS_TOKEN_MISSING:  # RFC6750-3.1: no code for a request without any token
        challenge += f' error="{code}", error_description="{text}"'
    if error.scope:
        challenge += f', scope="{error.scope}"'
    return BearerRefusal(status, MappingProxyType({"error": code, "error_description": text}), challenge)


def authenticate_bearer(
    token: str, *, tenant: Tenant, scopes: Iterable[str] = (), audience: str | None = None
) -> Principal:
    """Return the caller that an access token proves: one query for a client's own token, two more for a user's.

    scopes: all of them must have been granted. audience: the token must be for it.
    Raises OAuthError with ACCESS_TOKEN or INSUFFICIENT_SCOPE.
    """
    # No join: machines call APIs, and their tokens have neither a user nor a session.
    row = next(iter(AccessToken.objects.filter(token_checksum__in=rows.token_hashes(token))), None)
    client = cached.get(row.application_id) if row is not None else None
    if row is None or client is None or not rows.is_live(row, client=client, tenant=tenant):
        raise OAuthError(Fault.ACCESS_TOKEN, log_detail="unknown or over")
    if audience is not None and audience not in row.audience:
        raise OAuthError(Fault.ACCESS_TOKEN, log_detail="for another audience", client_id=client.client_id)
    wanted = list(scopes)
    if not set(wanted) <= set(row.scopes):
        raise OAuthError(Fault.INSUFFICIENT_SCOPE, scope=" ".join(wanted), client_id=client.client_id)
    return Principal(
        tenant=tenant,
        client_id=client.client_id,
        application=client.catalogue_entry,
        user=row.user,
        scopes=frozenset(row.scopes),
        audience=tuple(row.audience),
        sid=row.session.sid if row.session else "",
        requests_per_minute=client.api_requests_per_minute,
    )


def authenticate_machine(token: str, *, tenant: Tenant, rights: Iterable[str] = ()) -> Principal:
    """Return the client that calls one of our own APIs for itself (decision 45). rights: one of these scopes is needed.

    Raises OAuthError with ACCESS_TOKEN_MISSING, ACCESS_TOKEN or INSUFFICIENT_SCOPE.
    """
    if not token:
        raise OAuthError(Fault.ACCESS_TOKEN_MISSING)
    found = authenticate_bearer(token, tenant=tenant, audience=TENANT_API)
    if found.user is not None:
        # Rights are the client's own. Whoever signs in at it could ask for them, too, and would have them here.
        raise OAuthError(Fault.ACCESS_TOKEN, log_detail="of a user", client_id=found.client_id)
    wanted = tuple(rights)
    if wanted and not found.scopes & set(wanted):
        raise OAuthError(Fault.INSUFFICIENT_SCOPE, client_id=found.client_id, scope=" ".join(wanted))
    return found


def grant_client_token(
    form: Iterable[tuple[str, str]],
    *,
    authorization: str,
    audience: str,
    lifetime: timedelta,
    context: RequestContext,
) -> dict[str, Any]:
    """Give a client of any dialect a token for one of our own APIs, with every right it has there (RFC6749-4.4).

    form: names and values of the body. authorization: the header, "" without one; the secret may stand in either.
    lifetime: where the client has none of its own. Answers the members of the token response, and an id_token that
    names the client. Raises OAuthError; a client without any right is refused, once it has proved itself.
    """
    tenant = context.tenant
    if tenant is None:
        raise LookupError("A client is looked for in a tenant.")
    params = collect(form)
    check_single(params)
    credentials = authentication.read(authorization, params)
    if not params.get("grant_type"):
        raise OAuthError(Fault.MISSING_GRANT_TYPE)
    if params["grant_type"] != "client_credentials":
        raise OAuthError(Fault.GRANT_TYPE)
    if credentials.method == AuthMethod.NONE:
        raise OAuthError(Fault.CLIENT_AUTHENTICATION, log_detail="a public client has no rights of its own")
    client = cached.find(client_id=credentials.client_id, tenant=tenant)
    # The document puts the secret into the body, wherever else the client is registered to put it.
    dialect = replace(
        STANDARD,
        name=client.dialect if client else STANDARD.name,
        access_token_lifetime=lifetime,
        is_basic_like_post=True,
    )
    facts = Facts(tenant=tenant, dialect=dialect, request=context, issuer=STANDARD.issuer(origins.base(context)))
    client = authentication.authenticate_client(credentials, facts=facts)
    rights = [name for name, api in client.audiences.items() if api == audience]
    if not rights:
        raise OAuthError(Fault.SCOPE_NOT_ALLOWED, log_detail="no right for this API", client_id=client.client_id)
    wanted = Parameters.of({"grant_type": "client_credentials", "scope": " ".join(sorted(rights))})
    answer = exchange.exchange_for(client, wanted, facts=facts)
    return {**answer, "id_token": id_tokens.sign_for_client(answer, client=client, facts=facts)}


def tenant_of_caller(form: Iterable[tuple[str, str]], *, authorization: str) -> str:
    """Return the public id of the one tenant that the client of a token request belongs to; "" where none is named.

    For addresses that all tenants share. form, authorization: as for `grant_client_token`. Nothing is proved by it.
    Raises OAuthError where credentials cannot be read, and for an unknown client as for a wrong secret (S33).
    """
    try:
        credentials = authentication.read(authorization, collect(form))
    except OAuthError as error:
        if error.fault is Fault.CLIENT_AUTHENTICATION_MISSING:
            return ""
        raise
    public_id = cached.find_tenant(client_id=credentials.client_id)
    if not public_id:
        raise OAuthError(Fault.CLIENT_NOT_FOUND, log_detail="unknown in every tenant")
    return public_id


def shares_nonces(*, client_id: str, tenant: Tenant) -> bool:
    """Whether one nonce of an X-signature serves different calls of this client (its flag `shared_nonces`)."""
    client = cached.find(client_id=client_id, tenant=tenant)
    return client is not None and client.has_flag("shared_nonces")


def find_application(*, client_id: str, tenant: Tenant) -> Application | None:
    """Return the application of an enabled client of the tenant, by client_id (decision 6)."""
    client = cached.find(client_id=client_id, tenant=tenant, suffices=_IS_ENABLED)
    return client.catalogue_entry if client is not None and client.is_enabled else None


def get_application(*, client_id: str, tenant: Tenant, for_sdk: bool = False) -> Application:
    """Return the same, for those who tell what is wrong. Raises NotFound (APP.0001) or ApplicationDisabled (APP.0003).

    for_sdk: of a client that may sign users in through the SDK API; one that was not opened for it is disabled there.
    """
    client = cached.find(client_id=client_id, tenant=tenant, suffices=_SERVES_SDK if for_sdk else _IS_ENABLED)
    if client is None:
        raise NotFound("APP.0001", log_detail="client_id")
    if not client.is_enabled:
        raise ApplicationDisabled(log_detail=f"client={client.pk}")
    if for_sdk and not client.may_use_sdk:
        raise ApplicationDisabled(log_detail=f"client={client_id} may_use_sdk is off")
    application: Application = client.catalogue_entry
    return application


def find_sdk_application(*, client_id: str, tenant: Tenant) -> Application | None:
    """Return the application of an enabled client that may sign users in through the SDK API."""
    client = cached.find(client_id=client_id, tenant=tenant, suffices=_SERVES_SDK)
    return client.catalogue_entry if client is not None and client.serves_sdk else None


def sign_session_id_token(*, session: SSOSession, client_id: str, context: RequestContext) -> str:
    """Sign an id_token about the session for a client that opened it in pages of its own; "" without OpenID Connect.

    context: with the tenant. Raises IdTokenFailed (LOGIN.0003) when it cannot be made.
    """
    tenant = context.tenant
    if tenant is None:
        raise LookupError("A client is looked for in a tenant.")
    client = cached.find(client_id=client_id, tenant=tenant)
    if client is None or "openid" not in client.scopes:
        return ""
    try:
        basis = Basis.of_session(
            session,
            scopes=[scope for scope in client.scopes if scope != "offline_access"],
            facts=Facts.of(context, dialects.get(client.dialect), app_code=client.catalogue_entry.code),
            client=client,
            started_at=timezone.now(),
        )
        return id_tokens.sign_for_session(basis)
    except (UnsealError, UnsupportedAlgorithm, LookupError) as error:
        # A key that no configured secret unseals, or a tenant without a domain to be an issuer on.
        log.exception("id_token.failed", extra={"client_id": client_id})
        raise IdTokenFailed(log_detail=f"session={session.pk} {type(error).__name__}") from error


def revoke_for_user(user: User, *, client_id: str | None = None) -> int:
    """End every grant of a user, to all clients or to one; how many tokens there were."""
    if client_id is None:
        return rows.revoke_for_user(user)
    client = Client.objects.filter(client_id=client_id, tenant_id=user.tenant_id).first()
    return rows.revoke_for_user(user, client=client) if client is not None else 0
