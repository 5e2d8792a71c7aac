"""A sign-in that a page's script drives (Pactera-4.5, decision 18).

A browser follows a 302 with a Location by itself and hides it from the script that asked. The guide's script reads the
target from a header `path` instead, so a scripted request gets that header and no Location. It works for pages of the
same site: SameSite keeps our cookies out of all other requests, and the answer can be read by our own origin, and by
those that the client registered.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urljoin

from django.http import HttpResponse
from django.utils.cache import patch_vary_headers

from identity.http import Request

_SAME_SITE = ("same-origin", "same-site")


def is_scripted(request: Request) -> bool:
    """Whether a script asks, and not the browser's own navigation (FETCH-2.2.5; axios for older browsers)."""
    mode = request.headers.get("Sec-Fetch-Mode", "")
    if mode:
        return mode != "navigate"
    return request.headers.get("X-Requested-With", "") == "XMLHttpRequest"


def wants_json(request: Request) -> bool:
    """Whether a refusal that would be a page is better read as JSON."""
    accept = request.headers.get("Accept", "")
    return "application/json" in accept and "text/html" not in accept


def is_from_site(request: Request, *, is_registered: Callable[[str], bool]) -> bool:
    """Whether the request comes from a page of ours or of a registered origin, on our own site.

    The Origin header is compared as a string (S2). Browsers leave it out of a GET from our own origin only.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in _SAME_SITE:
        return False
    origin = request.headers.get("Origin", "")
    if not origin:
        return request.method in ("GET", "HEAD")
    return origin == _own_origin(request) or is_registered(origin)


def adapt(request: Request, response: HttpResponse, *, is_registered: Callable[[str], bool]) -> HttpResponse:
    """Send the target of a redirect in `path` too, and to a script of the same site only there.

    is_registered: tells an origin whose pages may read it, beside our own.
    """
    target = response.get("Location", "")
    if target:
        with_path(request, response, target)
        # Also after a POST, where we would say 303: the guide's clients wait for 302.
        response.status_code = 302
        if is_scripted(request) and is_from_site(request, is_registered=is_registered):
            del response["Location"]
    return allow_reading(request, response, is_registered=is_registered)


def with_path(request: Request, response: HttpResponse, target: str) -> HttpResponse:
    """Name a target in `path`, as a full address: the script's page may be on another origin."""
    response["path"] = urljoin(f"{_own_origin(request)}/", target)
    return response


def allow_reading(request: Request, response: HttpResponse, *, is_registered: Callable[[str], bool]) -> HttpResponse:
    """Let a page of a registered origin of the same site read the answer (FETCH-3.2)."""
    patch_vary_headers(response, ["Origin", "Sec-Fetch-Mode"])
    origin = request.headers.get("Origin", "")
    if origin and is_registered(origin) and is_from_site(request, is_registered=is_registered):
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Allow-Credentials"] = "true"
        response["Access-Control-Expose-Headers"] = "path"
    return response


def _own_origin(request: Request) -> str:
    origin: str = request.context.origin
    return origin
