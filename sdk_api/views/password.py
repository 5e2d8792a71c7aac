"""Passwords that are too old, or soon will be, or are forgotten (OneAccess-3.2.7)."""

from __future__ import annotations

from collections.abc import Sequence

from rest_framework.request import Request as HttpCall
from rest_framework.response import Response

from identity.events import EventType
from identity.models import LoginState
from identity.sign_in import login, password_reset
from identity.sign_in.login import SignInStep
from sdk_api.authentication import read_state_token
from sdk_api.views.base import SDKView
from sdk_api.views.login import answer


class StepView(SDKView):
    """An operation that continues a sign-in, proved by X-state-token."""

    steps: Sequence[LoginState] = ()
    step: SignInStep

    def admit(self) -> None:
        """Find the step that X-state-token proves. Raises ValueRequired (PARAM.0013) and StateInvalid (PARAM.0014)."""
        self.step = self.step_of(read_state_token(self.http, caller=self.caller, steps=self.steps))


class SkipUpdateView(StepView):
    """OneAccess-3.2.7.1. A GET, as documented."""

    event = EventType.LOGIN_SUCCESS
    steps = (LoginState.PASSWORD_WARN,)

    def get(self, request: HttpCall) -> Response:
        """Go on with a password that will expire soon."""
        outcome = login.skip_password_warning(self.step)
        return answer(outcome, step=self.step, caller=self.caller)


class UpdateView(StepView):
    """OneAccess-3.2.7.2."""

    event = EventType.PASSWORD_CHANGE
    steps = (LoginState.PASSWORD_EXPIRED, LoginState.PASSWORD_WARN)

    def post(self, request: HttpCall) -> Response:
        """Take a new password; a refused one leaves the state_token good."""
        body = self.required(old_password="PARAM.0018", new_password="PARAM.0019")
        outcome = login.change_expired_password(
            self.step,
            old_password=body["old_password"],
            new_password=body["new_password"],
        )
        return answer(outcome, step=self.step, caller=self.caller)


class UpdateByMobileView(SDKView):
    """OneAccess-3.2.7.3. It gives no token: the user signs in next."""

    event = EventType.PASSWORD_RESET

    def post(self, request: HttpCall) -> Response:
        """Take a new password on the proof of a code."""
        body = self.required_with_mobile(verify_code="PARAM.0009", password="PWD.0008")
        password_reset.reset_by_mobile(
            tenant=self.caller.tenant,
            mobile=body["mobile"],
            verification_code=body["verify_code"],
            new_password=body["password"],
            context=self.context,
        )
        return Response()
