"""X-* request headers to DeviceFacts (OneAccess-3.2, table 3-187)."""

from __future__ import annotations

from identity.context import DeviceFacts
from identity.errors import ValueRequired
from identity.http import Request

MAX_LENGTH = 300


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
