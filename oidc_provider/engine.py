"""The one door to oauthlib: parameters in RFC form in, an RFC result or an OAuthError out.

Entry points: `check_authorization_request` and `approve` for the authorization endpoint, `exchange` for the token
endpoint, `introspect`, `revoke`, `userinfo`. There is one server and one validator for the process; what belongs to a
request is in an `Exchange` that travels with it (house.md 11, number 3).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, transaction
from django.utils import timezone
from oauthlib.oauth2.rfc6749 import errors as oauthlib_errors

from identity import audit, budgets
from identity.budgets import Budget, BudgetSpent
from identity.context import RequestContext
from identity.database import is_unavailable
from identity.directory import profiles
from identity.errors import IdentityError
from identity.events import EventType
from identity.models import SSOSession, Tenant, User
from identity.retries import retried
from identity.sso import access
from oidc_provider.authorization import participation
from oidc_provider.authorization.details import Parameters, check_single, check_target, read_details, response_mode
from oidc_provider.clients import authentication, cached, redirects
from oidc_provider.clients.authentication import ClientCredentials
from oidc_provider.dialects.base import Dialect, EndpointName, UserinfoFacts
from oidc_provider.errors import Fault, OAuthError, RedirectTarget, from_domain
from oidc_provider.grants import hints, rows
from oidc_provider.grants import id_tokens as claim_rules
from oidc_provider.grants.hints import HintRefused, IdTokenHint
from oidc_provider.grants.rows import Exchange
from oidc_provider.models import AccessToken, AuthMethod, Client, RefreshToken, SigningAlgorithm, members_of
from oidc_provider.server import SERVER

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ID_TOKEN_ALGORITHMS",
    "AuthorizationRequest",
    "ClientCredentials",
    "EngineContext",
    "approve",
    "authenticate_client",
    "check_authorization_request",
    "exchange",
    "introspect",
    "look_at_token_request",
    "read_credentials",
    "read_id_token_hint",
    "revoke",
    "userinfo",
]

log = logging.getLogger(__name__)

ID_TOKEN_ALGORITHMS = tuple(SigningAlgorithm.values)
# RFC6749-A.4: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ), with single spaces between.
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")
# oauthlib wants an address; nothing of ours depends on it.
_ADDRESS = "https://localhost/"


@dataclass(frozen=True)
class EngineContext:
    """The facts of one request."""

    tenant: Tenant
    dialect: Dialect
    request: RequestContext
    issuer: str
    session: SSOSession | None = None
    app_code: str = ""  # of a dialect whose applications have an issuer each

    @property
    def assertion_audiences(self) -> tuple[str, ...]:
        """What a client assertion may be addressed to (RFC7523-3)."""
        base = self.issuer.removesuffix(self.dialect.issuer("", app_code=self.app_code))
        return (self.issuer, self.dialect.address(EndpointName.TOKEN, base, app_code=self.app_code))

    def is_home_of(self, client: Client) -> bool:
        """Whether the client belongs to this dialect and, where applications have their own issuer, to this one."""
        if client.dialect != self.dialect.name:
            return False
        return not self.dialect.is_per_application or client.catalogue_entry.code == self.app_code


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """An authorization request that was found good (OIDCC-3.1.2.2)."""

    client: Client
    redirect_uri: str
    redirect_uri_given: bool
    response_type: frozenset[str]
    response_mode: str  # query, fragment or form_post
    scopes: tuple[str, ...]  # what was asked for and the client may have
    state: str
    nonce: str
    prompt: frozenset[str]
    max_age: int | None  # seconds; the client's default where the request has none
    login_hint: str
    id_token_hint: IdTokenHint | None
    ui_locales: tuple[str, ...]
    claims: dict[str, Any]  # OIDCC-5.5
    acr_values: tuple[str, ...]
    code_challenge: str
    code_challenge_method: str

    @property
    def is_openid(self) -> bool:
        """Whether it is an OpenID authentication request (OIDCC-3.1.2.1)."""
        return "openid" in self.scopes

    @property
    def subject(self) -> str:
        """The `sub` of the only user who may answer it, "" if anybody may (OIDCC-3.1.2.2, OIDCC-5.5.1)."""
        asked = members_of(self.claims, "id_token").get("sub") or {}
        return str(asked.get("value") or (self.id_token_hint.subject if self.id_token_hint else ""))

    @property
    def essential_acr(self) -> tuple[str, ...]:
        """The levels of which one must be reached, empty if none must (OIDCC-5.5.1.1)."""
        asked = members_of(self.claims, "id_token").get("acr") or {}
        if not asked.get("essential"):
            return ()
        values = asked.get("values") or ([asked["value"]] if asked.get("value") else [])
        return tuple(str(value) for value in values)

    def target(self, *, issuer: str) -> RedirectTarget:
        """Where answers go."""
        return RedirectTarget(
            self.redirect_uri,
            self.response_mode,
            self.state,
            issuer,
            self.client.client_id,
            is_asked_for=self.client.has_flag("errors_by_redirect"),
        )


# The authorization endpoint --------------------------------------------------------------------------------


def check_authorization_request(params: Parameters, *, context: EngineContext) -> AuthorizationRequest:
    """Check everything about a request that does not depend on the user.

    params: in RFC names. Raises OAuthError; its `redirect` is set only after client and redirect_uri were found
    good (RFC6749-4.1.2.1, S6).
    """
    try:
        try:
            return _check_authorization_request(params, context=context)
        except OAuthError:
            # Whatever was refused, this process may hold an older registration of the client than there is.
            return _check_authorization_request(params, context=context, is_anew=True)
    except OAuthError as error:
        if "state" not in params.repeated | params.malformed:
            error.state = params.get("state", "")
        raise


def _check_authorization_request(
    params: Parameters, *, context: EngineContext, is_anew: bool = False
) -> AuthorizationRequest:
    dialect = context.dialect
    if finding := dialect.look_at_authorize(params):
        raise OAuthError(finding.fault, names=finding.names)
    check_target(params)
    client = _find_client(params["client_id"], context, is_anew=is_anew)
    is_required = dialect.is_redirect_uri_required
    redirect_uri = redirects.check(
        params.get("redirect_uri"),
        client=client,
        is_required=_asks_openid(params) if is_required is None else is_required,
    )
    if "scope" not in params:
        scope = dialect.default_scope(params, client.allowed_scopes)
        params = params.respelled({**params, **({"scope": scope} if scope else {})})
    target = RedirectTarget(
        redirect_uri,
        response_mode(params),
        params.get("state", ""),
        context.issuer,
        client.client_id,
        is_asked_for=client.has_flag("errors_by_redirect"),
    )
    try:
        return _check_rest(params, client=client, redirect_uri=redirect_uri, context=context)
    except OAuthError as error:
        error.redirect = target
        raise


def _find_client(client_id: str, context: EngineContext, *, is_anew: bool) -> Client:
    client = cached.find(client_id=client_id, tenant=context.tenant, suffices=lambda copy: not is_anew)
    if client is None or not context.is_home_of(client):
        raise OAuthError(Fault.UNKNOWN_CLIENT, log_detail="unknown, or of another dialect")
    if not cached.is_usable(client):
        raise OAuthError(Fault.CLIENT_DISABLED, client_id=client.client_id)
    return client


def _asks_openid(params: Mapping[str, str]) -> bool:
    return "openid" in params.get("scope", "").split(" ")


def _check_rest(
    params: Parameters, *, client: Client, redirect_uri: str, context: EngineContext
) -> AuthorizationRequest:
    details = read_details(params, required=context.dialect.required_at_authorize)
    check_scope_spelling(params.get("scope", ""))
    allowed = client.allowed_scopes | context.dialect.own_scopes
    if context.dialect.refuses_scopes(params.get("scope", "").split(" "), allowed):
        raise OAuthError(Fault.SCOPE_NOT_ALLOWED, log_detail=f"client={client.pk}")
    state = Exchange(context=context, client=client)
    scopes = _ask_server(params, redirect_uri, details.response_type, state)
    hint = params.get("id_token_hint")
    wanted = AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        redirect_uri_given="redirect_uri" in params,
        response_type=details.response_type,
        response_mode=details.response_mode,
        scopes=tuple(scopes),
        state=details.state,
        nonce=details.nonce,
        prompt=details.prompt,
        max_age=client.default_max_age if details.max_age is None else details.max_age,
        login_hint=details.login_hint,
        id_token_hint=read_id_token_hint(hint, context=context) if hint else None,
        ui_locales=details.ui_locales,
        claims=details.claims,
        acr_values=details.acr_values,
        code_challenge=params.get("code_challenge", ""),
        code_challenge_method=params.get("code_challenge_method", ""),
    )
    asked = members_of(wanted.claims, "id_token").get("sub") or {}
    if hint and asked.get("value") and wanted.id_token_hint and asked["value"] != wanted.id_token_hint.subject:
        raise OAuthError(Fault.SUBJECT_MISMATCH, log_detail="hint and claims name two users")
    return wanted


def check_scope_spelling(scope: str) -> None:
    """RFC6749-3.3. A missing scope is judged by who needs one."""
    if scope and _SCOPE.fullmatch(scope) is None:
        raise OAuthError(Fault.SCOPE)


def read_id_token_hint(token: str, *, context: EngineContext) -> IdTokenHint:
    """Verify an id_token_hint. Raises OAuthError."""
    try:
        return hints.read(token, tenant=context.tenant, issuer=context.issuer)
    except HintRefused as error:
        raise OAuthError(Fault.ID_TOKEN_HINT, log_detail=str(error)) from None


_AUTHORIZATION_PARAMETERS = ("client_id", "scope", "state", "nonce", "code_challenge", "code_challenge_method")


def _oauthlib_body(params: Mapping[str, str], redirect_uri: str, response_type: Iterable[str]) -> list[tuple[str, str]]:
    body = [(name, params[name]) for name in _AUTHORIZATION_PARAMETERS if params.get(name)]
    # OAuthMultiple-3: the order of the words says nothing, but oauthlib compares strings.
    return [*body, ("redirect_uri", redirect_uri), ("response_type", " ".join(sorted(response_type)))]


def _ask_server(
    params: Mapping[str, str], redirect_uri: str, response_type: Iterable[str], state: Exchange
) -> list[str]:
    """Let oauthlib check the request; the scopes that are left of those asked for."""
    body = _oauthlib_body(params, redirect_uri, response_type)
    try:
        scopes, _ = SERVER.validate_authorization_request(
            _ADDRESS, http_method="POST", body=body, headers=rows.headers(state)
        )
    except oauthlib_errors.OAuth2Error as error:
        raise _refusal(error) from None
    granted: list[str] = scopes
    return granted


def approve(
    request: AuthorizationRequest, *, session: SSOSession, scopes: tuple[str, ...], context: EngineContext
) -> dict[str, str]:
    """Grant a request to the user of a session; return the parameters of the answer, state and iss included.

    scopes: what the user agreed to, of the request's. The whole request is checked again (S43), so are user, session
    and access. Raises OAuthError with an address, for client and redirect_uri are good.
    """
    try:
        return _approve(request, session=session, scopes=scopes, context=context)
    except IdentityError as error:
        refusal = from_domain(error)
    except OAuthError as error:
        refusal = error
    refusal.redirect = request.target(issuer=context.issuer)
    raise refusal


@retried
def _approve(
    request: AuthorizationRequest, *, session: SSOSession, scopes: tuple[str, ...], context: EngineContext
) -> dict[str, str]:
    client, user = request.client, session.user
    # The cached row has no tenant loaded, and every rule asks for it.
    _check_grantable(client, user=user, session=session, context=context)
    if request.subject and request.subject != user.public_id:
        raise OAuthError(Fault.SUBJECT_MISMATCH, log_detail=f"user={user.pk}")
    if not set(scopes) <= set(request.scopes):
        raise OAuthError(Fault.SCOPE_NOT_ALLOWED, log_detail="more than was asked for")
    state = Exchange(context=context, client=client, session=session, user=user, request=request)
    params = {
        "client_id": client.client_id,
        "scope": " ".join(scopes),
        "state": request.state,
        "nonce": request.nonce,
        "code_challenge": request.code_challenge,
        "code_challenge_method": request.code_challenge_method,
    }
    try:
        with transaction.atomic():
            _, parameters, _ = SERVER.create_authorization_response(
                _ADDRESS,
                http_method="POST",
                body=_oauthlib_body(params, request.redirect_uri, request.response_type),
                headers=rows.headers(state),
                scopes=list(scopes),
                credentials={"user": user},
            )
            participation.join(session, client, issuer=context.issuer)
            audit.record(
                EventType.AUTHORIZATION_GRANT,
                tenant=context.tenant,
                actor=user,
                target=client,
                application=client.catalogue_entry,
                client_id=client.client_id,
                dialect=context.dialect.name,
                sid=session.sid,
                context=context.request,
                details={"scopes": list(scopes), "response_type": sorted(request.response_type)},
            )
    except oauthlib_errors.OAuth2Error as error:
        raise _refusal(error) from None
    except DatabaseError as error:
        if is_unavailable(error):
            raise  # The database is away, busy or behind: 503, by the middleware.
        log.exception("authorization.not_stored", extra={"client_id": client.client_id})
        raise OAuthError(Fault.SERVER_ERROR, log_detail=type(error).__name__) from None
    answer = {name: str(value) for name, value in context.dialect.answer_authorization(parameters).items()}
    if request.state:
        answer["state"] = request.state
    return {**answer, "iss": context.issuer}  # RFC9207-2


def _check_grantable(client: Client, *, user: User, session: SSOSession, context: EngineContext) -> None:
    if session.tenant_id != context.tenant.pk or user.tenant_id != context.tenant.pk:
        raise OAuthError(Fault.LOGIN_REQUIRED, log_detail="session of another tenant")
    access.check(user=user, session=session, application=client.catalogue_entry)


# The token endpoint ----------------------------------------------------------------------------------------

_GRANT_PARAMETERS = {
    "authorization_code": ("code", "redirect_uri", "code_verifier"),
    "refresh_token": ("refresh_token", "scope"),
    "client_credentials": ("scope",),
}
_REQUIRED = {"authorization_code": "code", "refresh_token": "refresh_token"}


def exchange(params: Parameters, credentials: ClientCredentials, *, context: EngineContext) -> dict[str, Any]:
    """Answer a token request (RFC6749-3.2): the members of the response.

    One transaction. What came back although it had been used revokes what it once gave, after the rollback and
    only for a client that proved itself (RFC6749-4.1.2, RFC9700-4.14.2).
    """
    check_single(params)
    client = authenticate_client(credentials, context=context)
    grant_type = params.get("grant_type", "")
    try:
        _check_grant_type(grant_type, params, client=client, context=context)
        names = _GRANT_PARAMETERS[grant_type]
        body = [("grant_type", grant_type), ("client_id", client.client_id)]
        body += [(name, params[name]) for name in names if name in params]
        return _exchange(body, client=client, context=context)
    except OAuthError as error:
        error.client_id, error.grant_type = client.client_id, grant_type
        error.is_openid = "openid" in client.allowed_scopes
        raise


@retried
def _exchange(body: list[tuple[str, str]], *, client: Client, context: EngineContext) -> dict[str, Any]:
    state = Exchange(context=context, client=client)
    try:
        with transaction.atomic():
            _, text, status = SERVER.create_token_response(_ADDRESS, "POST", body, rows.headers(state))
            answer: dict[str, Any] = json.loads(text)
            if status != 200:
                raise OAuthError(_FROM_CODE.get(answer.get("error", ""), Fault.SERVER_ERROR))
    except oauthlib_errors.OAuth2Error as error:
        raise _refusal(error) from None
    except IdentityError as error:
        raise rows.not_usable(error) from None
    except OAuthError:
        if state.replayed is not None:
            rows.revoke_replayed(state)
        raise
    return answer


def _check_grant_type(grant_type: str, params: Mapping[str, str], *, client: Client, context: EngineContext) -> None:
    if not grant_type:
        raise OAuthError(Fault.MISSING_GRANT_TYPE)
    if grant_type not in _GRANT_PARAMETERS or grant_type not in context.dialect.grant_types:
        raise OAuthError(Fault.GRANT_TYPE)
    if not client.allows_grant_type(grant_type):
        raise OAuthError(Fault.GRANT_TYPE_NOT_ALLOWED, log_detail=f"client={client.pk} {grant_type}")
    for name in (*context.dialect.required_at_token, _REQUIRED.get(grant_type)):
        if name is not None and name not in params:
            fault = Fault.MISSING_CODE if name == "code" else Fault.MISSING_PARAMETER
            raise OAuthError(fault, log_detail=f"name={name}", names=(name,))
    check_scope_spelling(params.get("scope", ""))


def read_credentials(authorization: str, params: Parameters, *, context: EngineContext) -> ClientCredentials:
    """What a request says of its client, where the dialect lets it say so. Raises OAuthError.

    authorization: the header's value, "" if there is none. params: in RFC names.
    """
    dialect = context.dialect
    if dialect.is_per_application and "client_id" not in params and not authorization:
        # The path names the application, and by that its public client (decision 6).
        client_id = cached.find_public(app_code=context.app_code, dialect=dialect.name, tenant=context.tenant)
        if client_id:
            params = params.respelled({**params, "client_id": client_id})
    return authentication.read(authorization, params, places=dialect.secret_places, read_basic=dialect.read_basic)


def look_at_token_request(authorization: str, params: Parameters, *, context: EngineContext) -> None:
    """Find what is missing before the client is looked for, in the dialect's own order. Raises OAuthError."""
    if finding := context.dialect.look_at_token(params, authorization):
        raise OAuthError(finding.fault, names=finding.names)


def authenticate_client(credentials: ClientCredentials, *, context: EngineContext) -> Client:
    """The client that calls. Raises OAuthError.

    Of wrong proofs a source has a budget. It locks nobody out: who brings the right one is let in (decision 13).
    """
    try:
        return authentication.authenticate(
            credentials,
            tenant=context.tenant,
            is_home=context.is_home_of,
            is_basic_like_post=context.dialect.is_basic_like_post,
            audiences=context.assertion_audiences,
        )
    except OAuthError:
        try:
            budgets.spend(Budget.REFUSED_CLIENTS, tenant=context.tenant, context=context.request)
        except BudgetSpent as spent:
            raise OAuthError(
                Fault.TEMPORARILY_UNAVAILABLE,
                log_detail="too many refused clients",
                retry_after_seconds=spent.retry_after_seconds,
            ) from None
        raise


# What oauthlib itself refuses; everything that needs a row is refused by the validator with its own fault.
_FROM_CODE = {
    "invalid_request": Fault.MALFORMED_PARAMETER,
    "unsupported_grant_type": Fault.GRANT_TYPE,
    "invalid_grant": Fault.AUTHORIZATION_CODE,
    "invalid_scope": Fault.SCOPE_NOT_ALLOWED,
    "unauthorized_client": Fault.GRANT_TYPE_NOT_ALLOWED,
    "unsupported_response_type": Fault.RESPONSE_TYPE,
}
_FROM_CLASS: dict[type[oauthlib_errors.OAuth2Error], Fault] = {
    oauthlib_errors.MissingCodeChallengeError: Fault.CODE_CHALLENGE_MISSING,
    oauthlib_errors.UnsupportedCodeChallengeMethodError: Fault.CODE_CHALLENGE_METHOD,
    oauthlib_errors.MissingResponseTypeError: Fault.MISSING_RESPONSE_TYPE,
    oauthlib_errors.MissingClientIdError: Fault.MISSING_CLIENT_ID,
    oauthlib_errors.InvalidClientIdError: Fault.UNKNOWN_CLIENT,
}


def _refusal(error: oauthlib_errors.OAuth2Error) -> OAuthError:
    fault = _FROM_CLASS.get(type(error)) or _FROM_CODE.get(error.error, Fault.SERVER_ERROR)
    return OAuthError(fault, log_detail=f"oauthlib {type(error).__name__}")


# Tokens in use ---------------------------------------------------------------------------------------------


def userinfo(token: str, *, context: EngineContext) -> dict[str, Any]:
    """The claims that an access token gives (OIDCC-5.3.2). Raises OAuthError."""
    row = find_access_token(token, context=context)
    if row is None or row.user is None:
        raise OAuthError(Fault.ACCESS_TOKEN, log_detail="unknown, over, or without a user")
    client, dialect = cached.get(row.application_id), context.dialect
    if not dialect.userinfo_scopes & set(row.scopes):
        raise OAuthError(Fault.INSUFFICIENT_SCOPE, scope=min(dialect.userinfo_scopes), client_id=client.client_id)
    person = profiles.profile_of(
        user=row.user,
        application=client.catalogue_entry,
        has_bare_phone_number=client.has_flag("bare_phone_number"),
    )
    released = claim_rules.userinfo(
        person, client=client, scopes=row.scopes, requested=row.claims, scope_claims=dialect.scope_claims
    )
    return dialect.answer_userinfo(UserinfoFacts(claims=released, scopes=row.scopes, person=person))


def find_access_token(token: str, *, context: EngineContext) -> AccessToken | None:
    """The live access token with its user and session, or None: one query (S26, S40)."""
    tokens = AccessToken.objects.select_related("user", "session")
    row = tokens.filter(token_checksum__in=rows.token_hashes(token)).first()
    return row if row is not None and _is_live_here(row, context=context) else None


def find_refresh_token(token: str, *, context: EngineContext) -> RefreshToken | None:
    """The live refresh token with its user and session, or None."""
    tokens = RefreshToken.objects.select_related("user", "session")
    row = tokens.filter(token_checksum__in=rows.token_hashes(token)).first()
    if row is None or row.revoked is not None or row.superseded_at is not None:
        return None
    return row if _is_live_here(row, context=context) else None


def _is_live_here(row: AccessToken | RefreshToken, *, context: EngineContext) -> bool:
    """Whether a token counts, at this issuer. A client that has moved to another dialect leaves its tokens behind."""
    is_home = context.is_home_of(cached.get(row.application_id))
    return is_home and rows.is_live(row, tenant=context.tenant, dialect=context.dialect)


def introspect(params: Parameters, credentials: ClientCredentials, *, context: EngineContext) -> dict[str, Any]:
    """Tell a resource server what a token is (RFC7662-2.2).

    Only a client with the right may ask, and only about tokens of its tenant.
    """
    check_single(params)
    client = authenticate_client(credentials, context=context)
    if credentials.method == AuthMethod.NONE or not client.may_introspect:
        # RFC7662-2.1: who asks must be authorized; a public client proves nothing.
        raise OAuthError(Fault.INTROSPECTION_NOT_ALLOWED, client_id=client.client_id)
    if "token" not in params:
        raise OAuthError(Fault.MISSING_TOKEN, client_id=client.client_id)
    finders = [find_access_token, find_refresh_token]
    if params.get("token_type_hint") == "refresh_token":
        finders.reverse()
    for find in finders:
        row = find(params["token"], context=context)
        if row is not None:
            return _description(row, context=context)
    return {"active": False}


def _description(row: AccessToken | RefreshToken, *, context: EngineContext) -> dict[str, Any]:
    client = cached.get(row.application_id)
    body = {
        "active": True,
        "client_id": client.client_id,
        "scope": row.scope,
        "exp": int(row.expires.timestamp()),
        "iat": int(row.created.timestamp()),
        "iss": context.issuer,
        "token_type": "Bearer" if isinstance(row, AccessToken) else "refresh_token",
        # RFC7662-2.2: for a token without a user, the client is its own subject.
        "sub": row.user.public_id if row.user else client.client_id,
    }
    if row.user:
        body["username"] = row.user.user_name
    if isinstance(row, AccessToken) and row.audience:
        body["aud"] = row.audience if len(row.audience) > 1 else row.audience[0]
    return body


def revoke(params: Parameters, credentials: ClientCredentials, *, context: EngineContext) -> None:
    """Revoke a token of the calling client (RFC7009-2.1). An unknown token is no error (RFC7009-2.2).

    A refresh token ends everything that came of the same authorization; an access token ends alone.
    """
    check_single(params)
    client = authenticate_client(credentials, context=context)
    if "token" not in params:
        raise OAuthError(Fault.MISSING_TOKEN, client_id=client.client_id)
    checksums = rows.token_hashes(params["token"])
    models: list[type[AccessToken] | type[RefreshToken]] = [RefreshToken, AccessToken]
    if params.get("token_type_hint") == "access_token":
        models.reverse()
    for model in models:
        row = model.objects.filter(token_checksum__in=checksums).first()
        if row is None:
            continue
        if row.application_id != client.pk:
            # S14: another client's token stays as it is.
            raise OAuthError(Fault.REVOCATION_CLIENT, log_detail=f"token={row.pk}", client_id=client.client_id)
        rows.revoke_token(row, client=client, context=context, now=timezone.now())
        return
