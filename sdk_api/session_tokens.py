"""Whose session a session_token is that an application's back end brings (OneAccess-3.2.10).

The back end says nothing about itself that it has not proved: the session must be of its own application, opened by a
client that may still do that, on the device that is named.
"""

from __future__ import annotations

from dataclasses import dataclass

from identity import crypto
from identity.errors import CredentialsRefused, IdentityError
from identity.models import SessionKind, SSOSession
from identity.sso import access, devices, sessions
from oidc_provider import public
from oidc_provider.public import Principal
from sdk_api.signature import PROTOCOL

REFUSED = "PARAM.0023"


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and the X-client-id that opened it."""

    session: SSOSession
    client_id: str


def find(session_token: str, *, fingerprint: str, principal: Principal) -> Opened:
    """Find the session. Raises CredentialsRefused (PARAM.0023), whatever is wrong."""
    tenant = principal.tenant
    session = sessions.find_by_handle(handle=session_token, tenant=tenant, kind=SessionKind.SDK)
    if session is None:
        raise CredentialsRefused(REFUSED, log_detail="no such session")
    client_id = sessions.joined_by(session, principal.application, protocol=PROTOCOL)
    if public.find_sdk_application(client_id=client_id, tenant=tenant) is None:
        raise _refused(session, "not of this application, or its client is closed")
    index = devices.index_of(fingerprint, tenant=tenant)
    # D19: what was opened without a device, or before devices were recorded, is handed on to nobody.
    if not session.device_index or not crypto.constant_time_equal(session.device_index, index):
        raise _refused(session, "of another device")
    try:
        access.check(session=session, application=principal.application)  # S49
    except IdentityError as error:
        raise _refused(session, error.log_detail or error.error_code) from error
    return Opened(session, client_id)


def _refused(session: SSOSession, why: str) -> CredentialsRefused:
    return CredentialsRefused(REFUSED, log_detail=f"session={session.pk} {why}")
