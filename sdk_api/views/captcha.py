"""The puzzle, its check, and the codes that it lets send (OneAccess-3.2.4)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rest_framework.request import Request as HttpCall
from rest_framework.response import Response

from identity.errors import NotAllowed
from identity.events import EventType
from identity.models import VerificationPurpose
from identity.sign_in import captcha, mobile_codes
from identity.sign_in.captcha import DrawnCaptcha
from sdk_api.views.base import SDKView

# x-sms-types: each type is good for one kind of call. UPDATE_MOBILE_SMS is not among them: no operation of the document
# spends such a code, so ordering it would only make a telephone ring.
PURPOSES: Mapping[str, VerificationPurpose] = MappingProxyType(
    {
        "REGISTER_SMS": VerificationPurpose.REGISTER,
        "LOGIN_SMS": VerificationPurpose.LOGIN,
        "FORGET_PWD_SMS": VerificationPurpose.RESET_PASSWORD,
        "BIND_MOBILE_SMS": VerificationPurpose.BIND,
        "OTP_REST_SMS": VerificationPurpose.SECOND_FACTOR,
    }
)


def spell(drawn: DrawnCaptcha) -> dict[str, Any]:
    """Return the fifteen members of AJ-Captcha's CaptchaVO, those without a value too."""
    return {
        "captchaId": None,
        "projectCode": None,
        "captchaOriginalPath": None,
        "captchaFontType": None,
        "captchaFontSize": None,
        "secretKey": drawn.secret_key,
        "originalImageBase64": base64.b64encode(drawn.original_png).decode(),
        "point": None,
        "jigsawImageBase64": base64.b64encode(drawn.piece_png).decode(),
        "wordList": None,
        "pointList": None,
        "pointJson": None,
        "token": drawn.token,
        "result": False,
        "captchaVerification": None,
    }


class CaptchaView(SDKView):
    """OneAccess-3.2.4.1."""

    def get(self, request: HttpCall) -> Response:
        """Draw a puzzle."""
        caller = self.caller
        drawn = captcha.draw(tenant=caller.tenant, binding=caller.binding, context=caller.context)
        return Response(spell(drawn))


class VerifyView(SDKView):
    """OneAccess-3.2.4.2."""

    def post(self, request: HttpCall) -> Response:
        """Check where the piece was left, once."""
        body = self.required(point_json="PARAM.0004", token="PARAM.0005", sender="PARAM.0006")
        captcha_token = captcha.check(tenant=self.caller.tenant, binding=self.caller.binding, **body)
        return Response({"captcha_token": captcha_token})


class SendView(SDKView):
    """OneAccess-3.2.4.4."""

    event = EventType.VERIFICATION_SEND

    def post(self, request: HttpCall) -> Response:
        """Send a code to a telephone."""
        body = self.required_with_mobile(type="PARAM.0007", captcha_token="PARAM.0008")
        purpose = PURPOSES.get(body["type"])
        if purpose is None:
            raise NotAllowed("CAPTCHA.0005", log_detail="unknown type")
        mobile_codes.order(
            tenant=self.caller.tenant,
            purpose=purpose,
            mobile=body["mobile"],
            captcha_token=body["captcha_token"],
            binding=self.caller.binding,
            context=self.context,
        )
        return Response()
