"""A login outcome as its wire status (OneAccess-3.2.5.1). Members without a value are left out."""

from __future__ import annotations

import json
from typing import Any

from identity import policies
from identity.models import LoginState, Tenant
from identity.sign_in.login import LoginOutcome
from sdk_api.authentication import Caller, issue_state_token

_UNDER_WAY = (LoginState.MFA_AUTH, LoginState.PASSWORD_EXPIRED, LoginState.PASSWORD_WARN)
_UNLINKED = (LoginState.SOCIAL_BIND, LoginState.USER_REGISTER)
_ABOUT_PASSWORDS = (LoginState.PASSWORD_EXPIRED, LoginState.PASSWORD_WARN)
# How an account at another provider is linked, as the vendor's apps are told: by a code to the telephone.
_LINK_BY_MOBILE = json.dumps({"socialBindOrRegisterFlow": ["VERIFY_PHONE"]}, separators=(",", ":"))


def spell(outcome: LoginOutcome, *, handle: str, caller: Caller, id_token: str = "") -> dict[str, Any]:
    """Return the body of a step's answer. handle: of the login transaction. id_token: of a new session, "" for none."""
    body: dict[str, Any] = {"status": str(outcome.state)}
    if outcome.state in (*_UNDER_WAY, *_UNLINKED):
        body["state_token"] = issue_state_token(outcome.transaction, handle=handle, caller=caller)
    if outcome.state in _ABOUT_PASSWORDS:
        body["data"] = _password_rule(caller.tenant)
    if outcome.state in _UNLINKED:
        body["data"] = _LINK_BY_MOBILE
    if outcome.state == LoginState.SUCCESS and outcome.session is not None:
        session = outcome.session
        body["session_token"] = outcome.session_handle
        body["expire"] = round((session.expires_at - session.authenticated_at).total_seconds())
        if id_token:
            body["id_token"] = id_token
    return body


def _password_rule(tenant: Tenant) -> str:
    """Return the rule for a new password as JSON text; regEx is what one expression can say of it, its length."""
    policy = policies.password_policy(tenant)
    rule = {
        "maxLength": policy.max_length,
        "minLength": policy.min_length,
        "regEx": f"^.{{{policy.min_length},{policy.max_length}}}$",
    }
    return json.dumps(rule, separators=(",", ":"))
