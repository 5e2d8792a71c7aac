"""Sign-in with WeChat and Alipay, and the accounts there that are linked to a user (OneAccess-3.2.5, 3.2.6)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rest_framework.request import Request as HttpCall
from rest_framework.response import Response

from identity.events import EventType
from identity.federation import external_identities, upstreams
from identity.federation.connectors.base import connectors
from identity.models import ExternalIdentity, LoginState
from identity.sign_in import federated
from sdk_api.views.base import SDKView, SignedView
from sdk_api.views.login import answer
from sdk_api.views.password import StepView


class ExternalLoginView(SDKView):
    """A sign-in with the code that a provider's app gave (OneAccess-3.2.5.3, OneAccess-3.2.5.4)."""

    event = EventType.LOGIN_EXTERNAL
    kind = ""  # of connector

    def post(self, request: HttpCall) -> Response:
        """Take the code."""
        body = self.required(code=connectors()[self.kind].refused_code)
        caller = self.caller
        step = self.begin()
        outcome = federated.submit_code(
            step,
            upstream=upstreams.find_for_app(tenant=caller.tenant, kind=self.kind, application=caller.application),
            authorization_code=body["code"],
        )
        return answer(outcome, step=step, caller=caller)


class BindView(StepView):
    """OneAccess-3.2.6.1."""

    event = EventType.EXTERNAL_LINK
    steps = (LoginState.SOCIAL_BIND,)

    def post(self, request: HttpCall) -> Response:
        """Link to the user who has this number."""
        body = self.required_with_mobile(verify_code="PARAM.0009")
        outcome = federated.bind(
            self.step,
            mobile=body["mobile"],
            verification_code=body["verify_code"],
        )
        return answer(outcome, step=self.step, caller=self.caller)


class RegisterBindView(StepView):
    """OneAccess-3.2.6.2."""

    event = EventType.EXTERNAL_LINK
    steps = (LoginState.USER_REGISTER,)

    def post(self, request: HttpCall) -> Response:
        """Link to the user who has this number, or to a new one."""
        body = self.required_with_mobile(verify_code="PARAM.0009")
        outcome = federated.register_and_bind(
            self.step,
            mobile=body["mobile"],
            verification_code=body["verify_code"],
        )
        return answer(outcome, step=self.step, caller=self.caller)


class SocialView(SignedView):
    """OneAccess-3.2.6.3."""

    def get(self, request: HttpCall) -> Response:
        """List the user's linked accounts."""
        user = self.session.user
        zone = ZoneInfo(self.caller.tenant.time_zone)
        links = external_identities.list_of(user)
        return Response({"social": [spell(link, user_id=user.public_id, zone=zone) for link in links]})


class UnbindView(SignedView):
    """OneAccess-3.2.6.4."""

    event: EventType | None = EventType.EXTERNAL_UNLINK

    def post(self, request: HttpCall) -> Response:
        """Unlink an account. An id that is none of this user's is unknown, whoever else has it."""
        body = self.required(id="SOCIAL.0003")
        link = external_identities.get_own(user=self.session.user, public_id=body["id"])
        external_identities.unlink(identity=link, context=self.context)
        return Response()


def spell(link: ExternalIdentity, *, user_id: str, zone: ZoneInfo) -> dict[str, Any]:
    """Spell one linked account, in the contract's mixture of spellings."""
    connector = connectors().get(link.kind)
    openids = [account.openid for account in link.accounts.all()]
    members = {
        "id": link.public_id,
        "userId": user_id,
        "socialType": connector.social_type if connector else link.kind,
        "social_uid": link.subject or next(iter(openids), ""),
        "socialNickname": link.nickname,
        "socialHeadImage": link.picture_url,
        "socialAccountDetails": link.nickname,
        "createdAt": _local(link.created_at, zone),
        "updatedAt": _local(link.updated_at, zone),
    }
    return {name: value for name, value in members.items() if value}


def _local(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}"
