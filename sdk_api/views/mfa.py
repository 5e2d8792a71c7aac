"""The second factor (OneAccess-3.2.8)."""

from __future__ import annotations

from rest_framework.request import Request as HttpCall
from rest_framework.response import Response

from identity.events import EventType
from identity.messaging import phone
from identity.models import FactorKind, LoginState, VerificationChannel
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
        response = {"mobile": body["mobile"], "verification_code": body["verify_code"]}
        outcome = login.submit_second_factor(self.step, response, name=VerificationChannel.SMS)
        return answer(outcome, step=self.step, caller=self.caller)


class HeldCodeView(StepView):
    """Ours: a code that the person has at hand, of an authenticator app or of the sheet of recovery codes."""

    event = EventType.LOGIN_SECOND_FACTOR
    steps = (LoginState.MFA_AUTH,)
    factor = ""
    field = ""  # of the factor's form

    def post(self, request: HttpCall) -> Response:
        """Take the code."""
        body = self.required(verify_code="PARAM.0009")
        outcome = login.submit_second_factor(self.step, {self.field: body["verify_code"]}, name=self.factor)
        return answer(outcome, step=self.step, caller=self.caller)


class TOTPView(HeldCodeView):
    """Take a code of an authenticator app."""

    factor, field = FactorKind.TOTP, "verification_code"


class RecoveryCodeView(HeldCodeView):
    """Take a recovery code."""

    factor, field = FactorKind.RECOVERY_CODE, "recovery_code"
