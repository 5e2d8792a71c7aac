"""The second factor (OneAccess-3.2.8)."""

from __future__ import annotations

from rest_framework.request import Request as HttpCall
from rest_framework.response import Response

from identity.events import EventType
from identity.messaging import phone
from identity.models import LoginState
from identity.sign_in import login
from sdk_api.views.login import answer
from sdk_api.views.password import StepView


class MobileByTokenView(StepView):
    """OneAccess-3.2.8.1. It spends nothing."""

    event = EventType.LOGIN_SECOND_FACTOR
    steps = (LoginState.MFA_AUTH,)

    def get(self, request: HttpCall) -> Response:
        """Tell the number to which the code goes, in full: sms/send needs it."""
        mobile = login.mobile_of_second_factor(self.step)
        return Response({"mobile": phone.bare(mobile, country=phone.country_of(self.caller.tenant))})


class SecondFactorView(StepView):
    """OneAccess-3.2.8.2."""

    event = EventType.LOGIN_SECOND_FACTOR
    steps = (LoginState.MFA_AUTH,)

    def post(self, request: HttpCall) -> Response:
        """Take the code."""
        body = self.required_with_mobile(verify_code="PARAM.0009")
        outcome = login.submit_second_factor(
            self.step, {"mobile": body["mobile"], "verification_code": body["verify_code"]}
        )
        return answer(outcome, step=self.step, caller=self.caller)
