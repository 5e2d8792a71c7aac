"""Faults that the vendors' documents do not tell apart, by what is wrong. A fault stands in one group at most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oidc_provider.dialects.base import Refusal
from oidc_provider.errors import Fault

MISSING = (
    Fault.MISSING_PARAMETER,
    Fault.MISSING_CLIENT_ID,
    Fault.MISSING_REDIRECT_URI,
    Fault.MISSING_RESPONSE_TYPE,
    Fault.MISSING_GRANT_TYPE,
    Fault.MISSING_CODE,
    Fault.MISSING_TOKEN,
)
# A parameter that cannot be used, or a request that cannot be read.
UNUSABLE = (
    Fault.REPEATED_PARAMETER,
    Fault.MALFORMED_PARAMETER,
    Fault.CONTENT_TYPE,
    Fault.BODY_TOO_LARGE,
    Fault.METHOD,
    Fault.QUERY_PARAMETERS,
    Fault.PARKED_REQUEST,
    Fault.RESPONSE_MODE,
    Fault.MISSING_NONCE,
    Fault.REQUEST_NOT_SUPPORTED,
    Fault.REQUEST_URI_NOT_SUPPORTED,
    Fault.REGISTRATION_NOT_SUPPORTED,
    Fault.PROMPT,
    Fault.MAX_AGE,
    Fault.CLAIMS,
    Fault.ID_TOKEN_HINT,
    Fault.CLIENT_AUTHENTICATION_TWICE,
    Fault.ACCESS_TOKEN_TWICE,
    Fault.ACCESS_TOKEN_IN_QUERY,
    Fault.POST_LOGOUT_REDIRECT_URI,
)
CHALLENGE = (Fault.CODE_CHALLENGE_MISSING, Fault.CODE_CHALLENGE)
# At the authorization endpoint
CLIENT = (Fault.UNKNOWN_CLIENT, Fault.CLIENT_DISABLED)
RESPONSE_TYPE = (Fault.RESPONSE_TYPE, Fault.RESPONSE_TYPE_NOT_ALLOWED)
SCOPE = (Fault.SCOPE, Fault.SCOPE_NOT_ALLOWED)
# prompt=none: the vendors' own clients do not know it.
INTERACTION = (
    Fault.LOGIN_REQUIRED,
    Fault.SUBJECT_MISMATCH,
    Fault.CONSENT_REQUIRED,
    Fault.INTERACTION_REQUIRED,
    Fault.ACCOUNT_SELECTION_REQUIRED,
)
DENIED = (Fault.ACCESS_DENIED, Fault.CONSENT_REFUSED, Fault.ASSURANCE)
# Where clients prove themselves
CREDENTIALS = (
    Fault.CLIENT_AUTHENTICATION,
    Fault.CLIENT_AUTHENTICATION_MISSING,
    Fault.CLIENT_ASSERTION,
    Fault.CLIENT_ASSERTION_REPLAYED,
)
RIGHTS = (Fault.GRANT_TYPE_NOT_ALLOWED, Fault.INTROSPECTION_NOT_ALLOWED, Fault.REVOCATION_CLIENT)
# At the token endpoint
CODE_OVER = (
    Fault.AUTHORIZATION_CODE_EXPIRED,
    Fault.AUTHORIZATION_CODE_REPLAYED,
    Fault.AUTHORIZATION_CODE_CLIENT,
)
CODE = (Fault.AUTHORIZATION_CODE, *CODE_OVER)
VERIFIER = (Fault.CODE_VERIFIER, Fault.CODE_VERIFIER_MISSING, Fault.CODE_VERIFIER_UNEXPECTED)
VERIFIER_FORM = (Fault.CODE_VERIFIER_MALFORMED, Fault.CODE_VERIFIER_SHORT)
REFRESH_TOKEN = (
    Fault.REFRESH_TOKEN,
    Fault.REFRESH_TOKEN_EXPIRED,
    Fault.REFRESH_TOKEN_REPLAYED,
    Fault.REFRESH_TOKEN_REVOKED,
    Fault.REFRESH_TOKEN_CLIENT,
)
GRANT_OVER = (Fault.SESSION_ENDED, Fault.USER_NOT_USABLE)
# With an access token
TOKEN = (Fault.ACCESS_TOKEN, Fault.INSUFFICIENT_SCOPE)


def spelled(faults: Iterable[Fault], source: str, **spelling: Any) -> dict[Fault, Refusal]:
    """One spelling for several faults."""
    return {fault: Refusal(source=source, **spelling) for fault in faults}
