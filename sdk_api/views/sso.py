"""Handing a sign-in on: SSO tickets, new session_tokens and id_tokens (OneAccess-3.2.10, 3.2.11)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.utils import timezone
from rest_framework.request import Request as HttpCall
from rest_framework.response import Response

from identity.directory.profiles import Profile
from identity.errors import AccessDenied, CredentialsRefused, IdTokenFailed, NotFound, StateInvalid
from identity.events import EventType
from identity.models import Application
from identity.sign_in import sso_tickets
from identity.sso import sessions
from identity.views.product_api import read_document
from oidc_provider import public
from sdk_api import session_tokens
from sdk_api.authentication import device_of
from sdk_api.views.base import BackEndView, SignedView

# In the contract's order. The device is that of the user's sign-in, so it stands in the body.
_DEVICE = {
    "operating_sys_version": "PARAM.0001",
    "device_ip": "PARAM.0001",
    "device_fingerprint": "PARAM.0001",
}


class DeviceView(BackEndView):
    """An operation about a sign-in on a device that the body names."""

    fingerprint = ""

    def read(self, **codes: str) -> dict[str, str]:
        """Read the required texts of the body; the device goes into the context. Raises ValueRequired."""
        body = self.required(**codes, **_DEVICE)
        agent = read_document(self.http).get("agent")
        device = device_of(
            fingerprint=body["device_fingerprint"],
            os_version=body["operating_sys_version"],
            agent=agent if isinstance(agent, str) else "",
            ip=body["device_ip"],
        )
        self.fingerprint = device.fingerprint
        self.context = replace(self.context, device=device)
        return body

    def opened(self) -> session_tokens.Opened:
        """Find the session of the session_token. Raises ValueRequired (PARAM.0022, PARAM.0001), CredentialsRefused."""
        body = self.read(session_token="PARAM.0022")
        return session_tokens.find(body["session_token"], fingerprint=self.fingerprint, principal=self.principal)


class IssueTicketView(DeviceView):
    """OneAccess-3.2.10.1."""

    event = EventType.TICKET_GRANT

    def post(self, request: HttpCall) -> Response:
        """Give a ticket for the caller's application, or for the one that is named."""
        opened = self.opened()
        application, client_id = self._wanted()
        ticket, lifetime = sso_tickets.issue(
            session=opened.session,
            application=application,
            client_id=client_id,
            holder=self.principal.application,
            context=self.context,
        )
        return Response({"expire": int(lifetime.total_seconds()), "sso_ticket": ticket})

    def _wanted(self) -> tuple[Application, str]:
        client_id = read_document(self.http).get("client_id")
        if client_id is None or client_id == "":
            return self.principal.application, self.principal.client_id
        if not isinstance(client_id, str):
            raise NotFound("APP.0001", log_detail="client_id is no text")
        return public.get_application(client_id=client_id, tenant=self.principal.tenant), client_id


class VerifyTicketView(DeviceView):
    """OneAccess-3.2.10.2."""

    event = EventType.TICKET_VALIDATE

    def post(self, request: HttpCall) -> Response:
        """Spend a ticket and tell who it is about, once."""
        body = self.read(sso_ticket="PARAM.0031")
        redeemed = sso_tickets.redeem(
            ticket=body["sso_ticket"],
            fingerprint=self.fingerprint,
            tenant=self.principal.tenant,
            application=self.principal.application,
            context=self.context,
        )
        return Response({"code": "0", "message": "success", "data": {"user": spell(redeemed.profile)}})  # D21


def spell(profile: Profile) -> dict[str, Any]:
    """Return the contract's members, in its order; of those without a value only `email`, as null (table 3-277)."""
    members = {
        "name": profile.name,
        "mobile": profile.bare_phone_number,
        "id": profile.sub,
        "userName": profile.account_name,
        "email": profile.email,
    }
    return {name: value or None for name, value in members.items() if value or name == "email"}


class RefreshView(DeviceView):
    """OneAccess-3.2.10.3."""

    event = EventType.SESSION_REFRESH

    def post(self, request: HttpCall) -> Response:
        """Replace a session_token; the old one is dead at once. A session that would not be opened now is refused."""
        opened = self.opened()
        session, token = opened.session, self.required(session_token="PARAM.0022")["session_token"]
        try:
            sso_tickets.check_sufficient(session=session, application=self.principal.application)
            # Before the change, so that a token that cannot be made leaves everything as it was.
            id_token = public.sign_session_id_token(session=session, client_id=opened.client_id, context=self.context)
            handle = sessions.refresh(session, handle=token, context=self.context)
        except (AccessDenied, StateInvalid) as error:
            raise CredentialsRefused(session_tokens.REFUSED, log_detail=error.log_detail) from error
        expire = round((session.expires_at - timezone.now()).total_seconds())
        body = {"session_token": handle, "expire": expire, "id_token": id_token}
        return Response({name: value for name, value in body.items() if value})


class RefreshIdTokenView(SignedView):
    """OneAccess-3.2.11.1. A POST without a body."""

    event = EventType.TOKEN_GRANT
    is_gated = False  # It asks below, and refuses in its own words.

    def post(self, request: HttpCall) -> Response:
        """Make a new id_token; the session stays as it is. Raises IdTokenFailed (LOGIN.0003).

        As with a new session_token, a session that would not be opened now gives none (S28).
        """
        caller = self.caller
        try:
            sso_tickets.check_sufficient(session=self.session, application=caller.application)
        except AccessDenied as error:
            raise IdTokenFailed(log_detail=error.log_detail) from error
        id_token = public.sign_session_id_token(
            session=self.session, client_id=caller.client_id, context=caller.context
        )
        if not id_token:
            raise IdTokenFailed(log_detail=f"client={caller.client_id} is none of OpenID Connect")
        return Response({"id_token": id_token})
