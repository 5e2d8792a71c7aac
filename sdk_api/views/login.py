"""Registration (OneAccess-3.2.3), sign-in by password or text message, and sign-out (OneAccess-3.2.5)."""

from __future__ import annotations

import json
from typing import Any

from rest_framework.request import Request as HttpCall
from rest_framework.response import Response

from identity import policies
from identity.errors import IdTokenFailed
from identity.events import EventType
from identity.models import LoginState, SessionEndReason, Tenant, VerificationChannel
from identity.sign_in import login
from identity.sign_in.login import LoginOutcome, SignInStep
from identity.sso import sessions
from identity.views.product_api import read_document
from oidc_provider import public
from sdk_api import persons, signature
from sdk_api.authentication import Caller, issue_state_token
from sdk_api.views.base import SDKView, SignedView

_UNDER_WAY = (LoginState.MFA_AUTH, LoginState.PASSWORD_EXPIRED, LoginState.PASSWORD_WARN)
_UNLINKED = (LoginState.SOCIAL_BIND, LoginState.USER_REGISTER)
_ABOUT_PASSWORDS = (LoginState.PASSWORD_EXPIRED, LoginState.PASSWORD_WARN)
# How an account at another provider is linked, as the vendor's apps are told: by a code to the telephone.
_LINK_BY_MOBILE = json.dumps({"socialBindOrRegisterFlow": ["VERIFY_PHONE"]}, separators=(",", ":"))


def answer(outcome: LoginOutcome, *, step: SignInStep, caller: Caller) -> Response:
    """Spell an outcome. A new session is tied to the application: only its X-client-id can use it.

    Raises IdTokenFailed (LOGIN.0003); then there is no session either, for nobody was told of it.
    """
    session, id_token = outcome.session, ""
    if session is not None:
        sessions.join(session, caller.application, protocol=signature.PROTOCOL, client_ref=caller.client_id)
        try:
            id_token = public.sign_session_id_token(session=session, client_id=caller.client_id, context=caller.context)
        except IdTokenFailed:
            sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=caller.context, actor=session.user)
            raise
    return Response(_spell(outcome, handle=step.handle, caller=caller, id_token=id_token))


def _spell(outcome: LoginOutcome, *, handle: str, caller: Caller, id_token: str = "") -> dict[str, Any]:
    """Return the body of a step's answer (OneAccess-3.2.5.1), without members that have no value.

    handle: of the login transaction. id_token: of a new session, "" for none.
    """
    body: dict[str, Any] = {"status": str(outcome.state)}
    if outcome.state in (*_UNDER_WAY, *_UNLINKED):
        body["state_token"] = issue_state_token(outcome.transaction, handle=handle, caller=caller)
    if outcome.state == LoginState.MFA_AUTH:
        methods = login.second_factors(outcome.transaction)
        if methods != [VerificationChannel.SMS]:  # which is the only one that the document knows
            body["mfa_methods"] = methods
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


class LoginView(SDKView):
    """OneAccess-3.2.5.1."""

    event = EventType.LOGIN_PASSWORD

    def post(self, request: HttpCall) -> Response:
        """Take name and password."""
        body = self.required(user_name="PARAM.0010", password="PWD.0008")
        step = self.begin()
        outcome = login.submit_password(
            step,
            identifier=body["user_name"],
            password=body["password"],
        )
        return answer(outcome, step=step, caller=self.caller)


class MobileLoginView(SDKView):
    """OneAccess-3.2.5.2."""

    event = EventType.LOGIN_MOBILE

    def post(self, request: HttpCall) -> Response:
        """Take a mobile number and the code that was sent to it."""
        body = self.required_with_mobile(verify_code="PARAM.0009")
        step = self.begin()
        outcome = login.submit_mobile_code(
            step,
            mobile=body["mobile"],
            verification_code=body["verify_code"],
        )
        return answer(outcome, step=step, caller=self.caller)


class LogoutView(SignedView):
    """OneAccess-3.2.5.5. A GET, as documented."""

    event = EventType.LOGOUT_REQUEST
    is_gated = False  # Whoever may come in no more may still sign out.

    def get(self, request: HttpCall) -> Response:
        """End the session; every application that joined it is told."""
        sessions.end(self.session, reason=SessionEndReason.SIGNED_OUT, context=self.context, actor=self.session.user)
        return Response()


class RegisterView(SDKView):
    """OneAccess-3.2.3.1."""

    event = EventType.USER_CREATE

    def post(self, request: HttpCall) -> Response:
        """Make a user and sign them in; it never answers with a state_token."""
        body = self.required_with_mobile(verify_code="PARAM.0009")
        document = read_document(self.http)
        step = self.begin()
        outcome = login.submit_registration(
            step,
            mobile=body["mobile"],
            verification_code=body["verify_code"],
            email=document.get("email"),
            password=persons.read_password(document),
            **persons.read(document),
        )
        return answer(outcome, step=step, caller=self.caller)
