"""Check everything about an authorization request that does not depend on the user (RFC6749-4.1.1, OIDCC-3.1.2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oidc_provider.authorization.details import check_target, read_details, response_mode
from oidc_provider.authorization.request import AuthorizationRequest
from oidc_provider.clients import cached, redirects
from oidc_provider.dialects.base import Dialect
from oidc_provider.errors import Fault, OAuthError, RedirectTarget
from oidc_provider.grants import pkce
from oidc_provider.grants.hints import read_id_token_hint
from oidc_provider.models import Client, GrantType, members_of
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.parameters import Parameters, check_scope_spelling


def check(params: Parameters, *, facts: Facts) -> AuthorizationRequest:
    """Return the request if it is good.

    params: in RFC names. Raises OAuthError; its `redirect` is set only after client and redirect_uri were found
    good (RFC6749-4.1.2.1, S6).
    """
    try:
        try:
            return _check(params, facts=facts)
        except OAuthError:
            # Whatever was refused, this process may hold an older registration of the client than there is.
            return _check(params, facts=facts, is_anew=True)
    except OAuthError as error:
        if "state" not in params.repeated | params.malformed:
            error.state = params.get("state", "")
        raise


def _check(params: Parameters, *, facts: Facts, is_anew: bool = False) -> AuthorizationRequest:
    dialect = facts.dialect
    if finding := dialect.look_at_authorize(params):
        raise OAuthError(finding.fault, names=finding.names)
    check_target(params)
    client = cached.find(client_id=params["client_id"], tenant=facts.tenant, suffices=lambda copy: not is_anew)
    if client is None or not client.belongs_to(dialect, app_code=facts.app_code):
        raise OAuthError(Fault.UNKNOWN_CLIENT, log_detail="unknown, or of another dialect")
    if not client.is_enabled:
        raise OAuthError(Fault.CLIENT_DISABLED, client_id=client.client_id)
    is_required = dialect.is_redirect_uri_required
    if is_required is None:
        is_required = "openid" in params.get("scope", "").split(" ")  # OIDCC-3.1.2.1
    redirect_uri = redirects.check(params.get("redirect_uri"), client=client, is_required=is_required)
    if "scope" not in params:
        scope = dialect.default_scope(params, client.allowed_scopes)
        params = params.respelled({**params, **({"scope": scope} if scope else {})})
    try:
        return _check_rest(params, client=client, redirect_uri=redirect_uri, facts=facts)
    except OAuthError as error:
        error.redirect = RedirectTarget(
            redirect_uri,
            response_mode(params),
            params.get("state", ""),
            facts.issuer,
            client.client_id,
            is_asked_for=client.has_flag("errors_by_redirect"),
        )
        raise


def _check_rest(params: Parameters, *, client: Client, redirect_uri: str, facts: Facts) -> AuthorizationRequest:
    """Check what a client hears of at its own address."""
    dialect = facts.dialect
    details = read_details(params, required=dialect.required_at_authorize)
    scope = params.get("scope", "")
    check_scope_spelling(scope)
    if dialect.refuses_scopes(scope.split(" "), client.allowed_scopes | dialect.own_scopes):
        raise OAuthError(Fault.SCOPE_NOT_ALLOWED, log_detail=f"client={client.pk}")
    challenge, method = params.get("code_challenge", ""), params.get("code_challenge_method", "")
    scopes = check_grantable(
        scope.split(" ") if scope else (),
        response_type=details.response_type,
        challenge=challenge,
        method=method,
        nonce=details.nonce,
        client=client,
        dialect=dialect,
    )
    hint = params.get("id_token_hint")
    wanted = AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        redirect_uri_given="redirect_uri" in params,
        response_type=details.response_type,
        response_mode=details.response_mode,
        scopes=scopes,
        state=details.state,
        nonce=details.nonce,
        prompt=details.prompt,
        max_age=client.default_max_age if details.max_age is None else details.max_age,
        login_hint=details.login_hint,
        id_token_hint=read_id_token_hint(hint, facts=facts) if hint else None,
        ui_locales=details.ui_locales,
        claims=details.claims,
        acr_values=details.acr_values,
        code_challenge=challenge,
        code_challenge_method=method,
    )
    asked = members_of(wanted.claims, "id_token").get("sub") or {}
    if hint and asked.get("value") and wanted.id_token_hint and asked["value"] != wanted.id_token_hint.subject:
        raise OAuthError(Fault.SUBJECT_MISMATCH, log_detail="hint and claims name two users")
    return wanted


def check_grantable(
    scopes: Sequence[str],
    *,
    response_type: frozenset[str],
    challenge: str,
    method: str,
    nonce: str,
    client: Client,
    dialect: Dialect,
) -> tuple[str, ...]:
    """Return the scopes that may be granted; what the client may ask for is judged again when it is granted (S43).

    The order of the checks is the order of RFC6749-4.1.1 and 4.2.1.
    """
    is_implicit = response_type in _IMPLICIT
    if not is_implicit:
        pkce.check_request(challenge, method, dialect=dialect)
    _check_response_type(response_type, client=client, dialect=dialect)
    if not is_implicit and not challenge and pkce.is_required(client, dialect):
        raise OAuthError(Fault.CODE_CHALLENGE_MISSING)
    granted = _allowed_scopes(scopes, response_type=response_type, client=client, dialect=dialect)
    if is_implicit and not nonce and not client.has_flag("implicit_without_nonce"):
        raise OAuthError(Fault.MISSING_NONCE)  # OIDCC-3.2.2.1
    return granted


_IMPLICIT = (frozenset({"id_token"}), frozenset({"id_token", "token"}))  # OIDCC-3.2


def _check_response_type(words: frozenset[str], *, client: Client, dialect: Dialect) -> None:
    """Check that the server knows it and the client may use it (RFC6749-3.1.1, 4.1.2.1)."""
    name = " ".join(sorted(words))
    if name not in dialect.response_types:
        raise OAuthError(Fault.RESPONSE_TYPE)
    registered = {" ".join(sorted(entry.split())) for entry in client.response_types}
    # RFC9700-2.1.2: implicit only for a client that is flagged for it.
    is_code = name == "code"
    is_allowed = client.allows_grant_type(GrantType.AUTHORIZATION_CODE) if is_code else client.allow_implicit
    if name not in registered or not is_allowed:
        raise OAuthError(Fault.RESPONSE_TYPE_NOT_ALLOWED, log_detail=f"client={client.pk}")


def _allowed_scopes(
    scopes: Iterable[str], *, response_type: frozenset[str], client: Client, dialect: Dialect
) -> tuple[str, ...]:
    """Keep what the client may have (S12); refuse if nothing is left (RFC6749-3.3).

    OIDCC-3.1.2.1: scopes that are not understood should be ignored.
    """
    asked = list(dict.fromkeys(scopes))
    allowed = client.allowed_scopes | dialect.own_scopes
    wanted = [name for name in asked if name in allowed]
    may_go_offline = response_type == {"code"} and client.allows_grant_type(GrantType.REFRESH_TOKEN)
    if "offline_access" in wanted and not may_go_offline:
        wanted.remove("offline_access")  # OIDCC-11: it is ignored where no refresh token can come of it.
    if not wanted or ("id_token" in response_type and "openid" not in wanted):
        raise OAuthError(Fault.SCOPE_NOT_ALLOWED if asked else Fault.SCOPE)
    return tuple(wanted)
