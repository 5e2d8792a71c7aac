"""Every way to be refused by OAuth 2.0 and OpenID Connect, and the source of each.

`Fault` says what was wrong; `ROWS` says which code and status the standards give it, and where. A dialect may spell
and deliver a fault otherwise (`Dialect.errors`), but which fault was found is the same for all of them.

The caller gets the row's fixed text: ASCII, and no value of a request, a row or a secret (RFC6749-5.2).
`log_detail` goes to the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from identity.errors import (
    AccessDenied,
    AccountDisabled,
    AccountLocked,
    AlreadyExists,
    ApplicationDisabled,
    AuthorityRefused,
    BodyUnreadable,
    CaptchaRefused,
    ContentCodingUnsupported,
    CredentialsRefused,
    ExternalCodeRefused,
    IdentityError,
    IdTokenFailed,
    NotAllowed,
    NotFound,
    PasskeyRefused,
    PasswordRefused,
    SendFailed,
    StateInvalid,
    SystemBusy,
    TooManyRequests,
    ValueInvalid,
    ValueRequired,
    VerificationRefused,
)


class Fault(Enum):
    """What was wrong with a request."""

    # The shape of the request
    REPEATED_PARAMETER = "repeated_parameter"
    MALFORMED_PARAMETER = "malformed_parameter"
    MISSING_PARAMETER = "missing_parameter"
    CONTENT_TYPE = "content_type"
    BODY_TOO_LARGE = "body_too_large"
    METHOD = "method"
    QUERY_PARAMETERS = "query_parameters"
    # The authorization request, before anything may be redirected
    MISSING_CLIENT_ID = "missing_client_id"
    UNKNOWN_CLIENT = "unknown_client"
    CLIENT_DISABLED = "client_disabled"
    REDIRECT_URI = "redirect_uri"
    MISSING_REDIRECT_URI = "missing_redirect_uri"
    PARKED_REQUEST = "parked_request"
    # The authorization request, sent back to the client
    MISSING_RESPONSE_TYPE = "missing_response_type"
    RESPONSE_TYPE = "response_type"
    RESPONSE_TYPE_NOT_ALLOWED = "response_type_not_allowed"
    RESPONSE_MODE = "response_mode"
    SCOPE = "scope"
    SCOPE_NOT_ALLOWED = "scope_not_allowed"
    CODE_CHALLENGE_MISSING = "code_challenge_missing"
    CODE_CHALLENGE = "code_challenge"
    CODE_CHALLENGE_METHOD = "code_challenge_method"
    MISSING_NONCE = "missing_nonce"
    REQUEST_NOT_SUPPORTED = "request_not_supported"
    REQUEST_URI_NOT_SUPPORTED = "request_uri_not_supported"
    REGISTRATION_NOT_SUPPORTED = "registration_not_supported"
    PROMPT = "prompt"
    MAX_AGE = "max_age"
    CLAIMS = "claims"
    ID_TOKEN_HINT = "id_token_hint"
    SUBJECT_MISMATCH = "subject_mismatch"
    LOGIN_REQUIRED = "login_required"
    CONSENT_REQUIRED = "consent_required"
    INTERACTION_REQUIRED = "interaction_required"
    ACCOUNT_SELECTION_REQUIRED = "account_selection_required"
    ACCESS_DENIED = "access_denied"
    CONSENT_REFUSED = "consent_refused"
    ASSURANCE = "assurance"
    # Client authentication
    CLIENT_NOT_FOUND = "client_not_found"
    CLIENT_AUTHENTICATION = "client_authentication"
    CLIENT_AUTHENTICATION_MISSING = "client_authentication_missing"
    CLIENT_AUTHENTICATION_TWICE = "client_authentication_twice"
    CLIENT_ASSERTION = "client_assertion"
    CLIENT_ASSERTION_REPLAYED = "client_assertion_replayed"
    # The token request
    MISSING_GRANT_TYPE = "missing_grant_type"
    GRANT_TYPE = "grant_type"
    GRANT_TYPE_NOT_ALLOWED = "grant_type_not_allowed"
    MISSING_CODE = "missing_code"
    AUTHORIZATION_CODE = "authorization_code"
    AUTHORIZATION_CODE_EXPIRED = "authorization_code_expired"
    AUTHORIZATION_CODE_REPLAYED = "authorization_code_replayed"
    AUTHORIZATION_CODE_CLIENT = "authorization_code_client"
    CODE_REDIRECT_URI = "code_redirect_uri"
    CODE_VERIFIER = "code_verifier"
    CODE_VERIFIER_MALFORMED = "code_verifier_malformed"
    CODE_VERIFIER_SHORT = "code_verifier_needs_flag_short_verifiers"
    CODE_VERIFIER_MISSING = "code_verifier_missing"
    CODE_VERIFIER_UNEXPECTED = "code_verifier_unexpected"
    REFRESH_TOKEN = "refresh_token"
    REFRESH_TOKEN_EXPIRED = "refresh_token_expired"
    REFRESH_TOKEN_REPLAYED = "refresh_token_replayed"
    REFRESH_TOKEN_REVOKED = "refresh_token_revoked"
    REFRESH_TOKEN_CLIENT = "refresh_token_client"
    SCOPE_WIDENED = "scope_widened"
    SESSION_ENDED = "session_ended"
    USER_NOT_USABLE = "user_not_usable"
    # Protected resources, introspection, revocation
    ACCESS_TOKEN_MISSING = "access_token_missing"
    ACCESS_TOKEN_TWICE = "access_token_twice"
    ACCESS_TOKEN_IN_QUERY = "access_token_in_query"
    ACCESS_TOKEN = "access_token"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    INTROSPECTION_NOT_ALLOWED = "introspection_not_allowed"
    MISSING_TOKEN = "missing_token"
    REVOCATION_CLIENT = "revocation_client"
    UNKNOWN_KEY = "unknown_key"
    # Mini programs
    APP_SESSION = "app_session"
    HOST_APPLICATION = "host_application"
    HOST_NETWORK = "host_network"
    # Logout
    POST_LOGOUT_REDIRECT_URI = "post_logout_redirect_uri"
    # Ourselves
    SERVER_ERROR = "server_error"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """How the standards spell one fault."""

    error: str  # RFC code
    status: int  # where it is answered with a body; redirected ones ignore it
    source: str
    text: str  # ASCII; goes into error_description and WWW-Authenticate


# dialects.md 23: what is wrong with a proof is not told.
_NO_APP_SESSION = ErrorSpec("unauthorized_client", 401, "Pactera-3.6", "There is no app session of this user.")

ROWS: Mapping[Fault, ErrorSpec] = MappingProxyType(
    {
        Fault.REPEATED_PARAMETER: ErrorSpec(
            "invalid_request", 400, "RFC6749-3.1", "A parameter was sent more than once."
        ),
        Fault.MALFORMED_PARAMETER: ErrorSpec(
            "invalid_request", 400, "RFC6749-A", "A parameter holds characters that are not allowed, or is too long."
        ),
        Fault.MISSING_PARAMETER: ErrorSpec("invalid_request", 400, "RFC6749-5.2", "A required parameter is missing."),
        Fault.CONTENT_TYPE: ErrorSpec(
            "invalid_request", 400, "RFC6749-3.2", "The body must be application/x-www-form-urlencoded."
        ),
        Fault.BODY_TOO_LARGE: ErrorSpec("invalid_request", 413, "RFC9110-15.5.14", "The body is too large."),
        Fault.METHOD: ErrorSpec("invalid_request", 405, "RFC6749-3.2", "This method is not allowed here."),
        Fault.QUERY_PARAMETERS: ErrorSpec(
            "invalid_request", 400, "RFC6749-2.3.1", "Parameters must be sent in the body, not in the address."
        ),
        Fault.MISSING_CLIENT_ID: ErrorSpec("invalid_request", 400, "RFC6749-4.1.1", "client_id is missing."),
        Fault.UNKNOWN_CLIENT: ErrorSpec("invalid_request", 400, "RFC6749-4.1.2.1", "client_id is not registered."),
        Fault.CLIENT_DISABLED: ErrorSpec("invalid_request", 400, "RFC6749-4.1.2.1", "client_id is not registered."),
        Fault.REDIRECT_URI: ErrorSpec(
            "invalid_request", 400, "RFC6749-3.1.2.4", "redirect_uri is not registered for this client."
        ),
        Fault.MISSING_REDIRECT_URI: ErrorSpec("invalid_request", 400, "RFC6749-3.1.2.3", "redirect_uri is missing."),
        Fault.PARKED_REQUEST: ErrorSpec(
            "invalid_request", 400, "OIDCC-3.1.2.2", "This request has expired or was already answered."
        ),
        Fault.MISSING_RESPONSE_TYPE: ErrorSpec("invalid_request", 400, "RFC6749-3.1.1", "response_type is missing."),
        Fault.RESPONSE_TYPE: ErrorSpec(
            "unsupported_response_type", 400, "RFC6749-4.1.2.1", "response_type is not supported."
        ),
        Fault.RESPONSE_TYPE_NOT_ALLOWED: ErrorSpec(
            "unauthorized_client", 400, "RFC6749-4.1.2.1", "This client may not use this response_type."
        ),
        Fault.RESPONSE_MODE: ErrorSpec(
            "invalid_request", 400, "OAuthMultiple-2.1", "response_mode is not supported for this response_type."
        ),
        Fault.SCOPE: ErrorSpec("invalid_scope", 400, "RFC6749-3.3", "scope is missing or malformed."),
        Fault.SCOPE_NOT_ALLOWED: ErrorSpec(
            "invalid_scope", 400, "RFC6749-3.3", "scope names something this client may not ask for."
        ),
        Fault.CODE_CHALLENGE_MISSING: ErrorSpec("invalid_request", 400, "RFC7636-4.4.1", "code_challenge is required."),
        Fault.CODE_CHALLENGE: ErrorSpec("invalid_request", 400, "RFC7636-4.2", "code_challenge is malformed."),
        Fault.CODE_CHALLENGE_METHOD: ErrorSpec(
            "invalid_request", 400, "RFC7636-4.4.1", "code_challenge_method must be S256."
        ),
        Fault.MISSING_NONCE: ErrorSpec(
            "invalid_request", 400, "OIDCC-3.2.2.1", "nonce is required for this response_type."
        ),
        Fault.REQUEST_NOT_SUPPORTED: ErrorSpec(
            "request_not_supported", 400, "OIDCC-3.1.2.6", "The request parameter is not supported."
        ),
        Fault.REQUEST_URI_NOT_SUPPORTED: ErrorSpec(
            "request_uri_not_supported", 400, "OIDCC-3.1.2.6", "The request_uri parameter is not supported."
        ),
        Fault.REGISTRATION_NOT_SUPPORTED: ErrorSpec(
            "registration_not_supported", 400, "OIDCC-3.1.2.6", "The registration parameter is not supported."
        ),
        Fault.PROMPT: ErrorSpec("invalid_request", 400, "OIDCC-3.1.2.1", "prompt is not supported."),
        Fault.MAX_AGE: ErrorSpec("invalid_request", 400, "OIDCC-3.1.2.1", "max_age must be a number of seconds."),
        Fault.CLAIMS: ErrorSpec("invalid_request", 400, "OIDCC-5.5", "claims is not a usable JSON object."),
        Fault.ID_TOKEN_HINT: ErrorSpec(
            "invalid_request", 400, "OIDCC-3.1.2.2", "id_token_hint is not an ID token of this server."
        ),
        Fault.SUBJECT_MISMATCH: ErrorSpec(
            "login_required", 400, "OIDCC-3.1.2.2", "Another user than the requested one is signed in."
        ),
        Fault.LOGIN_REQUIRED: ErrorSpec("login_required", 400, "OIDCC-3.1.2.6", "The user must sign in."),
        Fault.CONSENT_REQUIRED: ErrorSpec("consent_required", 400, "OIDCC-3.1.2.6", "The user must consent."),
        Fault.INTERACTION_REQUIRED: ErrorSpec(
            "interaction_required", 400, "OIDCC-3.1.2.6", "The user must do something first."
        ),
        Fault.ACCOUNT_SELECTION_REQUIRED: ErrorSpec(
            "account_selection_required", 400, "OIDCC-3.1.2.6", "The user must choose an account."
        ),
        Fault.ACCESS_DENIED: ErrorSpec(
            "access_denied", 403, "RFC6749-4.1.2.1", "The user may not use this application."
        ),
        Fault.CONSENT_REFUSED: ErrorSpec("access_denied", 403, "RFC6749-4.1.2.1", "The user refused."),
        Fault.ASSURANCE: ErrorSpec(
            "access_denied", 403, "OIDCC-5.5.1.1", "The required authentication context was not reached."
        ),
        Fault.CLIENT_NOT_FOUND: ErrorSpec("invalid_client", 401, "RFC6749-5.2", "Client authentication failed."),
        Fault.CLIENT_AUTHENTICATION: ErrorSpec("invalid_client", 401, "RFC6749-5.2", "Client authentication failed."),
        Fault.CLIENT_AUTHENTICATION_MISSING: ErrorSpec(
            "invalid_client", 401, "RFC6749-3.2.1", "Client authentication is missing."
        ),
        Fault.CLIENT_AUTHENTICATION_TWICE: ErrorSpec(
            "invalid_request", 400, "RFC6749-2.3", "More than one client authentication method was used."
        ),
        Fault.CLIENT_ASSERTION: ErrorSpec("invalid_client", 401, "RFC7523-3", "client_assertion is not valid."),
        Fault.CLIENT_ASSERTION_REPLAYED: ErrorSpec(
            "invalid_client", 401, "RFC7523-3", "client_assertion was used before."
        ),
        Fault.MISSING_GRANT_TYPE: ErrorSpec("invalid_request", 400, "RFC6749-4.1.3", "grant_type is missing."),
        Fault.GRANT_TYPE: ErrorSpec("unsupported_grant_type", 400, "RFC6749-5.2", "grant_type is not supported."),
        Fault.GRANT_TYPE_NOT_ALLOWED: ErrorSpec(
            "unauthorized_client", 400, "RFC6749-5.2", "This client may not use this grant_type."
        ),
        Fault.MISSING_CODE: ErrorSpec("invalid_request", 400, "RFC6749-4.1.3", "code is missing."),
        Fault.AUTHORIZATION_CODE: ErrorSpec("invalid_grant", 400, "RFC6749-5.2", "code is not valid."),
        Fault.AUTHORIZATION_CODE_EXPIRED: ErrorSpec("invalid_grant", 400, "RFC6749-4.1.2", "code is not valid."),
        Fault.AUTHORIZATION_CODE_REPLAYED: ErrorSpec("invalid_grant", 400, "RFC6749-4.1.2", "code is not valid."),
        Fault.AUTHORIZATION_CODE_CLIENT: ErrorSpec("invalid_grant", 400, "RFC6749-4.1.3", "code is not valid."),
        Fault.CODE_REDIRECT_URI: ErrorSpec(
            "invalid_grant", 400, "RFC6749-4.1.3", "redirect_uri is not that of the authorization request."
        ),
        Fault.CODE_VERIFIER: ErrorSpec("invalid_grant", 400, "RFC7636-4.6", "code_verifier is not valid."),
        Fault.CODE_VERIFIER_MALFORMED: ErrorSpec("invalid_grant", 400, "RFC7636-4.1", "code_verifier is not valid."),
        Fault.CODE_VERIFIER_SHORT: ErrorSpec("invalid_grant", 400, "RFC7636-4.1", "code_verifier is not valid."),
        Fault.CODE_VERIFIER_MISSING: ErrorSpec("invalid_grant", 400, "RFC7636-4.5", "code_verifier is missing."),
        Fault.CODE_VERIFIER_UNEXPECTED: ErrorSpec(
            "invalid_grant", 400, "RFC9700-2.1.1", "code_verifier was sent although there was no code_challenge."
        ),
        Fault.REFRESH_TOKEN: ErrorSpec("invalid_grant", 400, "RFC6749-5.2", "refresh_token is not valid."),
        Fault.REFRESH_TOKEN_EXPIRED: ErrorSpec("invalid_grant", 400, "RFC6749-5.2", "refresh_token is not valid."),
        Fault.REFRESH_TOKEN_REPLAYED: ErrorSpec("invalid_grant", 400, "RFC9700-4.14.2", "refresh_token is not valid."),
        Fault.REFRESH_TOKEN_REVOKED: ErrorSpec("invalid_grant", 400, "RFC7009-2.1", "refresh_token is not valid."),
        Fault.REFRESH_TOKEN_CLIENT: ErrorSpec("invalid_grant", 400, "RFC6749-6", "refresh_token is not valid."),
        Fault.SCOPE_WIDENED: ErrorSpec(
            "invalid_scope", 400, "RFC6749-6", "scope names something that was not granted."
        ),
        Fault.SESSION_ENDED: ErrorSpec("invalid_grant", 400, "RFC6749-5.2", "The grant is no longer valid."),
        Fault.USER_NOT_USABLE: ErrorSpec("invalid_grant", 400, "RFC6749-5.2", "The grant is no longer valid."),
        Fault.ACCESS_TOKEN_MISSING: ErrorSpec("", 401, "RFC6750-3.1", ""),
        Fault.ACCESS_TOKEN_TWICE: ErrorSpec(
            "invalid_request", 400, "RFC6750-2", "The access token was sent in more than one way."
        ),
        Fault.ACCESS_TOKEN_IN_QUERY: ErrorSpec(
            "invalid_request", 400, "RFC9700-4.3.2", "The access token must not be sent in the address."
        ),
        Fault.ACCESS_TOKEN: ErrorSpec("invalid_token", 401, "RFC6750-3.1", "The access token is not valid."),
        Fault.INSUFFICIENT_SCOPE: ErrorSpec(
            "insufficient_scope", 403, "RFC6750-3.1", "The access token does not grant the required scope."
        ),
        Fault.INTROSPECTION_NOT_ALLOWED: ErrorSpec(
            "unauthorized_client", 403, "RFC7662-2.1", "This client may not introspect tokens."
        ),
        Fault.MISSING_TOKEN: ErrorSpec("invalid_request", 400, "RFC7009-2.1", "token is missing."),
        Fault.REVOCATION_CLIENT: ErrorSpec(
            "invalid_grant", 400, "RFC7009-2.1", "The token was issued to another client."
        ),
        Fault.UNKNOWN_KEY: ErrorSpec("invalid_request", 404, "RFC9110-15.5.5", "There is no key with this kid."),
        Fault.APP_SESSION: _NO_APP_SESSION,
        Fault.HOST_APPLICATION: _NO_APP_SESSION,
        Fault.HOST_NETWORK: _NO_APP_SESSION,
        Fault.POST_LOGOUT_REDIRECT_URI: ErrorSpec(
            "invalid_request", 400, "OIDCRIL-3", "post_logout_redirect_uri is not registered for this client."
        ),
        Fault.SERVER_ERROR: ErrorSpec(
            "server_error", 500, "RFC6749-4.1.2.1", "The server met an unexpected condition."
        ),
        Fault.TEMPORARILY_UNAVAILABLE: ErrorSpec(
            "temporarily_unavailable", 503, "RFC6749-4.1.2.1", "The server is too busy. Try again later."
        ),
    }
)


# The parameter that a fault is about, where it is always the same one.
_ABOUT: Mapping[Fault, tuple[str, ...]] = MappingProxyType(
    {
        Fault.MISSING_CLIENT_ID: ("client_id",),
        Fault.MISSING_RESPONSE_TYPE: ("response_type",),
        Fault.MISSING_REDIRECT_URI: ("redirect_uri",),
        Fault.MISSING_GRANT_TYPE: ("grant_type",),
        Fault.MISSING_CODE: ("code",),
        Fault.MISSING_TOKEN: ("token",),
        Fault.ACCESS_TOKEN_MISSING: ("Authorization",),
    }
)


@dataclass(frozen=True, slots=True)
class RedirectTarget:
    """Where a refused authorization request is sent: known only once client and redirect_uri were found good (S6)."""

    redirect_uri: str
    response_mode: str  # query, fragment or form_post
    state: str
    issuer: str  # RFC9207-2
    client_id: str = field(default="")  # for the audit
    is_asked_for: bool = False  # the client is flagged to hear of refusals where its dialect would not tell it


class OAuthError(Exception):
    """A request was refused. `redirect` is None until there is an address that may be trusted."""

    def __init__(
        self,
        fault: Fault,
        *,
        log_detail: str = "",
        redirect: RedirectTarget | None = None,
        client_id: str = "",
        scope: str = "",
        names: tuple[str, ...] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        """client_id: of the client that was found, for the audit. scope: what would have been enough (RFC6750-3).

        names: of the parameters it is about; names only, never values. retry_after_seconds: too much was asked; the
        answer is then a 429 (RFC6585-4), whatever the fault's own status is.
        """
        self.fault = fault
        self.log_detail = log_detail
        self.redirect = redirect
        self.client_id = client_id
        self.scope = scope
        self.retry_after_seconds = retry_after_seconds
        self.names = names or _ABOUT.get(fault, ())
        # Facts that a dialect may use in its text; set by the caller that knows them.
        self.state = ""  # of an authorization request, if it was sent once and is sound
        self.grant_type = ""  # of a token request
        self.is_openid = False  # whether the client may ask for openid
        super().__init__(fault.value)

    @property
    def spec(self) -> ErrorSpec:
        """The row of the catalogue."""
        return ROWS[self.fault]


# What identity's rules mean here. An unmapped error is server_error, and a test forbids it.
FROM_DOMAIN: Mapping[type[IdentityError], Fault] = MappingProxyType(
    {
        NotFound: Fault.ACCESS_DENIED,
        ValueRequired: Fault.MISSING_PARAMETER,
        ValueInvalid: Fault.MALFORMED_PARAMETER,
        ExternalCodeRefused: Fault.MALFORMED_PARAMETER,
        AlreadyExists: Fault.MALFORMED_PARAMETER,
        NotAllowed: Fault.ACCESS_DENIED,
        PasswordRefused: Fault.INTERACTION_REQUIRED,
        CredentialsRefused: Fault.LOGIN_REQUIRED,
        AccountLocked: Fault.LOGIN_REQUIRED,
        AccountDisabled: Fault.LOGIN_REQUIRED,
        AccessDenied: Fault.ACCESS_DENIED,
        ApplicationDisabled: Fault.ACCESS_DENIED,
        StateInvalid: Fault.PARKED_REQUEST,
        VerificationRefused: Fault.LOGIN_REQUIRED,
        PasskeyRefused: Fault.LOGIN_REQUIRED,
        CaptchaRefused: Fault.LOGIN_REQUIRED,
        BodyUnreadable: Fault.MALFORMED_PARAMETER,
        ContentCodingUnsupported: Fault.MALFORMED_PARAMETER,
        SendFailed: Fault.TEMPORARILY_UNAVAILABLE,
        IdTokenFailed: Fault.SERVER_ERROR,
        AuthorityRefused: Fault.ACCESS_DENIED,
        TooManyRequests: Fault.TEMPORARILY_UNAVAILABLE,
        SystemBusy: Fault.TEMPORARILY_UNAVAILABLE,
    }
)


def from_domain(error: IdentityError) -> OAuthError:
    """Turn a domain error into a refusal."""
    for kind in type(error).__mro__:
        fault = FROM_DOMAIN.get(kind)
        if fault is not None:
            seconds = error.retry_after_seconds if isinstance(error, TooManyRequests) else None
            return OAuthError(fault, log_detail=error.log_detail or error.error_code, retry_after_seconds=seconds)
    return OAuthError(Fault.SERVER_ERROR, log_detail=f"unmapped {type(error).__name__}")
