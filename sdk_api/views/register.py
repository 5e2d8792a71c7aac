"""Registering with a mobile number (OneAccess-3.2.3)."""

from __future__ import annotations

from rest_framework.request import Request as HttpCall
from rest_framework.response import Response

from identity.events import EventType
from identity.sign_in import login
from identity.views.product_api import read_document
from sdk_api import persons
from sdk_api.views.base import SDKView
from sdk_api.views.login import answer


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
