"""How attacks are sent, and what their refusal looks like."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from cas_saml.models import SAMLSession
from cas_saml.saml import redirect
from identity.models import AuditEvent, AuditOutcome
from tests.specs.saml_party import SSO, Party

JSON = {"accept": "application/json"}


def post(party: Party, data: bytes | str, *, path: str = SSO, parameter: str = "SAMLRequest", **fields: str) -> Any:
    octets = data.encode() if isinstance(data, str) else data
    form = {parameter: base64.b64encode(octets).decode(), **fields}
    return party.api.post(path, form, secure=True, headers=JSON)


def get(party: Party, url: str) -> Any:
    return party.api.get(url, secure=True, headers=JSON)


def get_message(party: Party, data: bytes | str, *, path: str = SSO, **params: str) -> Any:
    """By the Redirect binding, unsigned."""
    octets = redirect.deflate(data.encode() if isinstance(data, str) else data)
    query: Mapping[str, str] = {"SAMLRequest": base64.b64encode(octets).decode(), **params}
    return party.api.get(path, query, secure=True, headers=JSON)


def check_refused(response: Any, *reasons: str) -> None:
    """Refused on our page: nothing goes anywhere, the reason is one of these, and the refusal is on record."""
    body = response.json()
    assert response.status_code == 400, body
    assert response.headers.get("Location") is None
    assert body["error_code"] == "SAML.0001"
    reason = body["error_msg"].removeprefix("SAML message refused: ").removesuffix(".")
    assert body["error_msg"] == f"SAML message refused: {reason}."
    assert reason in reasons
    recorded = AuditEvent.objects.filter(outcome=AuditOutcome.REFUSED).order_by("-pk").values_list("reason", flat=True)
    assert recorded.first() == reason
    assert not SAMLSession.objects.exclude(ended_at=None).exists()
