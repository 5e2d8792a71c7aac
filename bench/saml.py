"""The measured operation of SAML: a signed-in browser opens an application by the Redirect binding."""

from __future__ import annotations

import base64
import html
import re
import secrets
import zlib
from datetime import UTC, datetime
from urllib.parse import urlencode

from bench.http import Response, check
from bench.worker import Worker

ENTITY_ID = "http://127.0.0.1:9/saml/metadata"
CONSUMER = "http://127.0.0.1:9/saml/acs"
SSO = "/api/v1/saml2/idp/sso"
_FIELD = re.compile(rb'name="SAMLResponse" value="([^"]+)"')


def registration() -> dict[str, object]:
    """A section of `saml_service_providers`: response and assertion signed, as by default."""
    return {
        "entity_id": ENTITY_ID,
        "assertion_consumer_services": [{"location": CONSUMER}],
        "attributes": {"mail": "email", "displayName": "name"},
    }


def request_url(issuer: str) -> str:
    """A new AuthnRequest, unsigned as most providers send it."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    message = (
        '<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Version="2.0"'
        f' ID="_{secrets.token_hex(16)}" IssueInstant="{now}" Destination="{issuer}{SSO}"'
        f' AssertionConsumerServiceURL="{CONSUMER}">'
        f'<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">{ENTITY_ID}</saml:Issuer>'
        "</samlp:AuthnRequest>"
    )
    compressor = zlib.compressobj(wbits=-15)
    deflated = compressor.compress(message.encode()) + compressor.flush()
    return f"{issuer}{SSO}?{urlencode({'SAMLRequest': base64.b64encode(deflated).decode(), 'RelayState': 'here'})}"


async def saml_redirect_sso(worker: Worker) -> Response:
    """Request in, signed response out, in the page that posts it: one request."""
    response = await worker.browser.get(request_url(worker.target.issuer))
    return check_answer(response)


def is_answer(response: Response) -> bool:
    """Whether it is the page that posts a SAML response."""
    return _FIELD.search(response.body) is not None


def check_answer(response: Response) -> Response:
    found = _FIELD.search(response.body)
    check(response.status == 200 and found is not None, "saml sso", response)
    answer = base64.b64decode(html.unescape(found.group(1).decode())) if found else b""
    good = answer.count(b"<ds:SignatureValue>") == 2 and b"status:Success" in answer and b"saml:Assertion" in answer
    check(good, "saml response", response)
    return response
