"""Messages out: the page that posts itself (SAMLBind-3.5) and the redirect (SAMLBind-3.4). Nothing of it is stored."""

from __future__ import annotations

import base64
from types import MappingProxyType

from django.http import HttpResponse

from cas_saml.saml import redirect as query
from cas_saml.saml import signatures, xml
from cas_saml.saml.certificates import Credential
from cas_saml.saml.endpoints import REDIRECT
from cas_saml.saml.messages import REQUEST, RESPONSE
from cas_saml.saml.xml import Element
from identity.browser import answers
from identity.http import Request

__all__ = ["CACHING", "REQUEST", "RESPONSE", "go", "post", "protect", "send"]

# SAMLBind-3.4.5.1, SAMLBind-3.5.5.1
CACHING = MappingProxyType({"Cache-Control": "no-cache, no-store", "Pragma": "no-cache"})


def post(request: Request, *, address: str, parameter: str, message: bytes, relay_state: str) -> HttpResponse:
    """Return a page whose form posts the message to an address of a registration (SAMLBind-3.5.4).

    RelayState goes back as it came, and not at all if there was none.
    """
    fields = {parameter: base64.b64encode(message).decode()}
    if relay_state:
        fields["RelayState"] = relay_state
    return answers.post_form(request, address, fields.items(), caching=CACHING)


def send(
    request: Request,
    *,
    binding: str,
    address: str,
    parameter: str,
    message: Element,
    relay_state: str,
    credential: Credential,
    algorithm: str,
) -> HttpResponse:
    """Sign a message and send the browser with it to an address of a registration."""
    if binding == REDIRECT:
        return go(
            request,
            query.encode(
                address,
                parameter=parameter,
                message=message,
                relay_state=relay_state or None,
                credential=credential,
                algorithm=algorithm,
            ),
        )
    signed = xml.serialize(signatures.sign(message, credential, algorithm=algorithm))
    return post(request, address=address, parameter=parameter, message=signed, relay_state=relay_state)


def go(request: Request, address: str) -> HttpResponse:
    """Send the browser on with a GET."""
    return answers.redirect(request, address, caching=CACHING)


def protect(response: HttpResponse) -> HttpResponse:
    """Keep messages out of caches and Referer headers."""
    return answers.protect(response, caching=CACHING)
