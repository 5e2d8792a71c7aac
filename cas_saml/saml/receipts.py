"""What a provider answers when our server, and no browser, brings it a LogoutRequest (SAMLProf-4.4.3.4).

Only a LogoutResponse to that very request is a receipt: people read on their page that the application has confirmed.
TLS says whose answer it is.
"""

from __future__ import annotations

import re
from html import unescape

from cas_saml.saml import redirect, xml
from cas_saml.saml.errors import SUCCESS
from cas_saml.saml.messages import RESPONSE
from cas_saml.saml.xml import Element
from identity.delivery import DeliveryFailed
from identity.outbound import Response

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
# No value of such a field has these two marks in it, so this looks at each character once.
_FIELD = re.compile(r"<input\b[^<>]*>", re.IGNORECASE)
_NAME = re.compile(rf"\sname\s*=\s*[\"']?{RESPONSE}[\"'\s/>]", re.IGNORECASE)
_VALUE = re.compile(r"\svalue\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)


def is_success(response: Element) -> bool:
    """Tell whether a response says that it was done."""
    status = xml.find(response, "samlp:Status")
    code = xml.find(status, "samlp:StatusCode") if status is not None else None
    return code is not None and code.get("Value") == SUCCESS


def check_soap(body: bytes, message_id: str) -> None:
    """Take what stands in an envelope for a receipt (SAMLBind-3.2.2), or raise DeliveryFailed."""
    try:
        found = xml.parse(body).findall(f"{{{ENVELOPE}}}Body/{xml.qname('samlp:LogoutResponse')}")
        _check(found[0] if len(found) == 1 else None, message_id)
    except xml.Refused as error:
        raise _unreadable(error) from error


def check_page(response: Response, message_id: str) -> None:
    """Take what a browser would carry back, by Redirect or in a form, for a receipt, or raise DeliveryFailed.

    An application that knows its user by a cookie alone shows its sign-in page instead. It has not signed anybody out.
    """
    if response.status >= 400:
        raise DeliveryFailed(f"status {response.status}", status=response.status)
    try:
        found = _in_redirect(response) or _in_form(response)
        if found is None:
            raise DeliveryFailed("the answer confirms nothing", status=response.status, is_final=True)
        _check(found[0], message_id)
    except xml.Refused as error:
        raise _unreadable(error) from error


def _in_redirect(response: Response) -> tuple[Element] | None:
    query = response.headers.get("location", "").partition("?")[2].partition("#")[0]
    return (redirect.decode(query).element,) if f"{RESPONSE}=" in query else None


def _in_form(response: Response) -> tuple[Element] | None:
    for field in _FIELD.findall(response.body.decode("utf-8", errors="replace")):
        value = _VALUE.search(field) if _NAME.search(field) else None
        if value is not None:
            return (xml.parse_base64(unescape(value[1] or value[2] or "")),)
    return None


def _check(answer: Element | None, message_id: str) -> None:
    is_answer = answer is not None and xml.is_named(answer, "samlp:LogoutResponse")
    if answer is None or not is_answer or answer.get("InResponseTo") != message_id or not is_success(answer):
        raise DeliveryFailed("the answer is no success")


def _unreadable(error: xml.Refused) -> DeliveryFailed:
    return DeliveryFailed(f"the answer cannot be read ({error.reason})")
