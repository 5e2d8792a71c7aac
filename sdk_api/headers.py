"""X-* request headers to DeviceContext (OneAccess-3.2, table 3-187)."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from identity.errors import ValueRequired

_MAX_LENGTH = 300


@dataclass(frozen=True, slots=True)
class DeviceContext:
    """What the app says of the device. It is hearsay: nothing is allowed because of it."""

    os_version: str
    fingerprint: str
    agent: str


def read_device(http: HttpRequest) -> DeviceContext:
    """The device headers. Raises ValueRequired (PARAM.0001)."""
    names = ("X-operating-sys-version", "X-device-fingerprint", "X-agent")
    values = [http.headers.get(name, "").strip() for name in names]
    if not all(values):
        raise ValueRequired("PARAM.0001", log_detail="device headers")
    os_version, fingerprint, agent = values
    agent = "".join(character if character.isprintable() else " " for character in agent[:_MAX_LENGTH])
    return DeviceContext(os_version=os_version, fingerprint=fingerprint, agent=agent)
