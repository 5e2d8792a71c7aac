"""Messages out: the page that posts itself (SAMLBind-3.5) and the redirect (SAMLBind-3.4). Nothing of it is stored."""

from __future__ import annotations

import base64

from django.http import HttpResponse
from django.shortcuts import render

from cas_saml.saml import redirect as query
from cas_saml.saml import signatures, xml
from cas_saml.saml.certificates import Credential
from cas_saml.saml.endpoints import REDIRECT
from cas_saml.saml.messages import REQUEST, RESPONSE
from cas_saml.saml.xml import Element
from identity.http import Request
from identity.views.content_security import allow_form_targets

__all__ = ["REQUEST", "RESPONSE", "auto_post", "form_fields", "go", "protect", "send"]


def auto_post(request: Request, *, address: str, fields: dict[str, str]) -> HttpResponse:
    """A page whose form posts itself to an address of a registration (SAMLBind-3.5.4)."""
    response = protect(render(request, "form_post.html", {"action": address, "fields": list(fields.items())}))
    allow_form_targets(response, [address])
    return response


def form_fields(parameter: str, message: bytes, *, relay_state: str) -> dict[str, str]:
    """The fields of the form. RelayState goes back as it came, and not at all if there was none."""
    fields = {parameter: base64.b64encode(message).decode()}
    return {**fields, "RelayState": relay_state} if relay_state else fields


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
    return auto_post(request, address=address, fields=form_fields(parameter, signed, relay_state=relay_state))


def go(request: Request, address: str) -> HttpResponse:
    """Send the browser on with a GET; the address stays the text that it is."""
    response = HttpResponse(status=303 if request.method == "POST" else 302)
    response["Location"] = address
    return protect(response)


def protect(response: HttpResponse) -> HttpResponse:
    """Keep messages out of caches and Referer headers (SAMLBind-3.4.5.1, SAMLBind-3.5.5.1)."""
    response["Cache-Control"] = "no-cache, no-store"
    response["Pragma"] = "no-cache"
    response["Referrer-Policy"] = "no-referrer"
    return response
