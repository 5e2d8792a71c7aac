"""Causes of every documented code of the operations that hand a sign-in on (OneAccess-3.2.10, 3.2.11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from identity import copies
from identity.models import KeyPair
from oidc_provider.clients import registration
from tests.factories import make_application
from tests.factories.oidc import make_client
from tests.sdk_api.phone import BackEnd, Phone

Cause = Callable[[Phone], Any]
# Those that a back end calls: no device headers, no X-client-id.
BACK_END = frozenset({"createSsoTicket", "verifySsoTicket", "refreshSessionToken"})
OPERATIONS = BACK_END | {"refreshIdToken"}


def ask(phone: Phone, operation: str, **changes: Any) -> Any:
    """One good request of a back end's operation, but for what the changes say of its body."""
    back_end = BackEnd(phone.client, phone)
    token = phone.sign_in()
    if operation == "verifySsoTicket":
        ticket = back_end.issue(token).json()["sso_ticket"]
        return back_end.verify(**{"sso_ticket": ticket, **changes})
    call = back_end.issue if operation == "createSsoTicket" else back_end.refresh
    return call(**{"session_token": token, **changes})


def lose_signing_keys() -> None:
    """As after a restart with another KEY_ENCRYPTION_KEYS."""
    KeyPair.objects.filter(use="sig").update(private_sealed="s1.00000000.AAAA")
    copies.clear()


def _with(operation: str, **changes: Any) -> Cause:
    return lambda phone: ask(phone, operation, **changes)


def _other_client(phone: Phone, **values: Any) -> str:
    client = make_client(make_application(phone.tenant))
    registration.update_client(client, **values)
    return str(client.client_id)


def _without_keys(phone: Phone) -> Any:
    back_end, token = BackEnd(phone.client, phone), phone.sign_in()
    lose_signing_keys()
    return back_end.refresh(token)


def _refresh_id_token(phone: Phone) -> Any:
    signature = phone.sign(phone.sign_in())
    lose_signing_keys()
    return phone.post("session-token/refresh-id-token", "", X_signature=signature)


def _disabled_target(phone: Phone) -> Any:
    return ask(phone, "createSsoTicket", client_id=_other_client(phone, is_active=False))


CAUSES: dict[tuple[str, str], Cause] = {
    ("createSsoTicket", "PARAM.0022"): _with("createSsoTicket", session_token=""),
    ("createSsoTicket", "PARAM.0023"): _with("createSsoTicket", device_fingerprint="another"),
    ("createSsoTicket", "PARAM.0001"): _with("createSsoTicket", device_ip=None),
    ("createSsoTicket", "APP.0001"): _with("createSsoTicket", client_id="unknown"),
    ("createSsoTicket", "APP.0003"): _disabled_target,
    ("verifySsoTicket", "PARAM.0031"): _with("verifySsoTicket", sso_ticket=""),
    ("verifySsoTicket", "PARAM.0032"): _with("verifySsoTicket", device_fingerprint="another"),
    ("verifySsoTicket", "PARAM.0001"): _with("verifySsoTicket", operating_sys_version=""),
    ("refreshSessionToken", "PARAM.0022"): _with("refreshSessionToken", session_token=""),
    ("refreshSessionToken", "PARAM.0023"): _with("refreshSessionToken", session_token="unknown"),
    ("refreshSessionToken", "PARAM.0001"): _with("refreshSessionToken", device_fingerprint=None),
    ("refreshSessionToken", "LOGIN.0003"): _without_keys,
    ("refreshIdToken", "PARAM.0030"): lambda phone: phone.post("session-token/refresh-id-token", "", X_signature=None),
    ("refreshIdToken", "LOGIN.0003"): _refresh_id_token,
}
