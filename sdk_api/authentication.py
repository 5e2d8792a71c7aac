"""Who calls: X-client-id to an application of the tenant, X-state-token to a step of a sign-in (decision 25), an
access token to the client of a back end.

The state_token is a JWT, because clients were shown one, around the handle of a LoginTransaction. The row decides: the
envelope adds that it is for one client and one kind of step, and runs out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import jwt

from identity import crypto, throttle
from identity.context import DeviceFacts, RequestContext
from identity.errors import StateInvalid, ValueRequired
from identity.http import Request
from identity.languages import best_language
from identity.models import Application, LoginState, LoginTransaction, Tenant
from identity.views.product_api import with_tenant
from oidc_provider import public
from oidc_provider.errors import OAuthError
from oidc_provider.public import Principal

_ALGORITHM = "HS256"  # the header of the document's example
_PURPOSE = "sdk_api.state_token"
_CLAIMS = ("txn", "step", "aud", "iss", "exp")
MAX_LENGTH = 300  # of what is kept of a device header
RIGHT = "auth_api"  # what a back end must have been granted to hand sign-ins on (decision 45)


@dataclass(frozen=True, slots=True)
class Caller:
    """An application on one device."""

    tenant: Tenant
    application: Application
    client_id: str
    device: DeviceFacts
    context: RequestContext
    binding: str  # what every step of one sign-in must bring again: the same client on the same device


def identify(http: Request) -> Caller:
    """Find who calls, in the contract's order: device headers, X-client-id, tenant, application.

    Raises ValueRequired (PARAM.0001, PARAM.0002), NotFound (APP.0001), ApplicationDisabled (APP.0003).
    """
    device = read_device(http)
    client_id = http.headers.get("X-client-id", "").strip()
    if not client_id:
        raise ValueRequired("PARAM.0002", log_detail="X-client-id")
    context = replace(with_tenant(http), user_agent=device.agent, device=device)
    if language := best_language([http.headers.get("X-L", "").strip()]):
        context = replace(context, language=language)  # of the messages that this call sends
    tenant = context.tenant
    if tenant is None:
        raise LookupError("with_tenant has found one.")
    application = public.get_application(client_id=client_id, tenant=tenant, for_sdk=True)
    if header := http.headers.get("Authorization", ""):
        context = replace(context, relay=_relay(header, client_id=client_id, tenant=tenant))
    binding = f"{client_id}\n{device.fingerprint}"
    return Caller(tenant, application, client_id, device, context, binding)


def identify_back_end(http: Request) -> tuple[Principal, RequestContext]:
    """Find which client's access token came, and count the call where its registration limits them.

    Raises NotFound (APP.0001) for no tenant, OAuthError, TooManyRequests.
    """
    context = with_tenant(http)
    if context.tenant is None:
        raise LookupError("with_tenant has found one.")
    token = public.read_bearer_header(http.headers.get("Authorization", ""))
    principal = public.authenticate_machine(token, tenant=context.tenant, rights=(RIGHT,))
    throttle.limit_client(
        tenant=context.tenant, client_id=principal.client_id, per_minute=principal.requests_per_minute
    )
    return principal, replace(context, relay=principal.client_id)


def _relay(header: str, *, client_id: str, tenant: Tenant) -> str:
    """Return the client_id where the application's own back end hands on what a phone sent, and proves that it is that.

    It may bring the access token by which it calls the tenant API; any other header is an app's, and says nothing.
    """
    try:
        token = public.read_bearer_header(header)
        principal = public.authenticate_machine(token, tenant=tenant, rights=(RIGHT,))
    except OAuthError:
        return ""
    return client_id if principal.client_id == client_id else ""


# Device headers (OneAccess-3.2, table 3-187) ----------------------------------------------------------------


def read_device(http: Request) -> DeviceFacts:
    """Read the device headers. Raises ValueRequired (PARAM.0001)."""
    names = ("X-operating-sys-version", "X-device-fingerprint", "X-agent")
    values = [http.headers.get(name, "").strip() for name in names]
    if not all(values):
        raise ValueRequired("PARAM.0001", log_detail="device headers")
    os_version, fingerprint, agent = (_utf8(value) for value in values)
    ip = http.headers.get("X-device-ip", "").strip()
    return device_of(fingerprint=fingerprint, os_version=os_version, agent=agent, ip=ip)


def device_of(*, fingerprint: str, os_version: str, agent: str, ip: str) -> DeviceFacts:
    """Cut the facts to what is kept of them. The fingerprint is compared, so it stays as it came."""
    return DeviceFacts(fingerprint=fingerprint.strip(), os_version=_cut(os_version), agent=_cut(agent), ip=_cut(ip))


def _utf8(value: str) -> str:
    """WSGI shows a header's bytes as Latin-1; the same text in a body is UTF-8, and the two are compared."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _cut(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:MAX_LENGTH])


# The state_token -------------------------------------------------------------------------------------------


def issue_state_token(row: LoginTransaction, *, handle: str, caller: Caller) -> str:
    """Name the step that comes next, for this client."""
    claims = {
        "txn": handle,
        "step": str(row.state),
        "aud": caller.client_id,
        "iss": caller.tenant.public_id,
        "iat": datetime.now(UTC),
        "exp": row.expires_at,
    }
    return jwt.encode(claims, crypto.envelope_keys(_PURPOSE)[0], algorithm=_ALGORITHM)


def read_state_token(http: Request, *, caller: Caller, steps: Sequence[LoginState]) -> str:
    """Read the handle in X-state-token, if it is for one of these steps.

    Raises ValueRequired (PARAM.0013) and StateInvalid (PARAM.0014). Whether the sign-in is still at that step, and on
    this device, the login service finds out.
    """
    token = http.headers.get("X-state-token", "").strip()
    if not token:
        raise ValueRequired("PARAM.0013", log_detail="X-state-token")
    for key in crypto.envelope_keys(_PURPOSE):
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],  # S42: never what the header says
                audience=caller.client_id,
                issuer=caller.tenant.public_id,
                options={"require": list(_CLAIMS)},
            )
        except jwt.InvalidSignatureError:
            continue  # perhaps signed before the pepper was changed
        except jwt.InvalidTokenError as error:
            raise StateInvalid(log_detail=type(error).__name__) from None
        if claims["step"] not in steps:
            raise StateInvalid(log_detail=f"state_token for {claims['step']}")
        return str(claims["txn"])
    raise StateInvalid(log_detail="forged state_token")
