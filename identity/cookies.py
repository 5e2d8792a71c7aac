"""Our cookies: the session's handle, and the handles that bind steps under way to one browser.

Where the request came by https their names carry `__Host-`, so that no neighbouring host can plant them, and then
only those names are read (decision 23, S27). Deployed below a path, they go to that path only and carry `__Secure-`:
the applications beside it are not shown a session (ADR 21).
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase
from django.middleware.csrf import rotate_token

from identity import crypto
from identity.http import Request

SESSION = "monban_session"
BROWSER = "monban_browser"
# A POST from another site comes without cookies, so it cannot be bound by BROWSER: setting that one anew would break
# every step under way in the browser's other tabs. It gets a short-lived one of its own.
PARKED = "monban_parked"
# The sign-in that a login request waits for, for a form that does not carry its handle. Worthless in another browser.
WAITING = "monban_waiting"
# A browser in which its person need not prove the second factor. Worthless in another browser, and of another person.
TRUSTED = "monban_trusted"
# By what somebody last signed in at this browser, in a word (`METHODS`): its page comes first. It tells of nobody.
METHOD = "monban_method"
METHODS = frozenset({"password", "sms", "email", "passkey"})

_MAX_HANDLE_LENGTH = 128
_BROWSER_MAX_AGE_SECONDS = 365 * 24 * 3600


def name_of(cookie: str, request: Request) -> str:
    """Return the cookie's name under the scheme of this request."""
    if not request.is_secure():
        return cookie
    return f"__Secure-{cookie}" if settings.FORCE_SCRIPT_NAME else f"__Host-{cookie}"


def read(cookie: str, request: Request) -> str:
    """Return the handle that the browser sent, or the empty string."""
    value = request.COOKIES.get(name_of(cookie, request), "")
    return value if len(value) <= _MAX_HANDLE_LENGTH else ""


def browser_binding(request: Request) -> str:
    """Return the browser's own handle; a browser without one is given one with this answer.

    SSOSessionMiddleware sets the cookie, so a caller only asks.
    """
    known: str = getattr(request, "_browser_binding", "") or read(BROWSER, request)
    if not known:
        known = crypto.new_handle()
        request._new_browser_binding = known
    request._browser_binding = known
    return known


def send_browser_binding(request: Request, response: HttpResponseBase) -> None:
    """Set the binding cookie if this request gave the browser a new one."""
    new = getattr(request, "_new_browser_binding", "")
    if new:
        _set(response, BROWSER, new, request, max_age=_BROWSER_MAX_AGE_SECONDS)


def set_session(response: HttpResponseBase, request: Request, handle: str) -> None:
    """Give the browser the handle of its session. Without an age the browser forgets it when it closes.

    Forms of the time before are void, as a token could have been planted then (S27).
    """
    rotate_token(request)
    _set(response, SESSION, handle, request)
    request._session_cookie_set = True


def was_set(request: Request) -> bool:
    """Tell whether this answer carries a new session already."""
    return getattr(request, "_session_cookie_set", False)


def clear_session(response: HttpResponseBase, request: Request) -> None:
    """Take the session's handle back."""
    response.delete_cookie(name_of(SESSION, request), path=_path(), samesite="Lax")
    response.cookies[name_of(SESSION, request)]["httponly"] = True
    if request.is_secure():
        # Browsers refuse a cookie of that name without Secure, the removing one too.
        response.cookies[name_of(SESSION, request)]["secure"] = True


def set_parked(response: HttpResponseBase, request: Request, handle: str, *, max_age: int) -> None:
    """Bind a parked cross-site POST to the browser that sent it. max_age in seconds."""
    _set(response, PARKED, handle, request, max_age=max_age)


def set_waiting(response: HttpResponseBase, request: Request, handle: str, *, max_age: int) -> None:
    """Remember the handle of the sign-in under way. max_age in seconds."""
    _set(response, WAITING, handle, request, max_age=max_age)


def set_trusted(response: HttpResponseBase, request: Request, handle: str, *, max_age: timedelta) -> None:
    """Let the browser be known again as one that its person trusts."""
    _set(response, TRUSTED, handle, request, max_age=int(max_age.total_seconds()))


def last_method(request: Request) -> str:
    """Return by what somebody last signed in at this browser, "" where that is not known."""
    value = read(METHOD, request)
    return value if value in METHODS else ""


def set_method(response: HttpResponseBase, request: Request, method: str) -> None:
    """Remember by what somebody has signed in. Nothing is sent where the browser knows it."""
    if method in METHODS and method != last_method(request):
        _set(response, METHOD, method, request, max_age=_BROWSER_MAX_AGE_SECONDS)


def _set(response: HttpResponseBase, cookie: str, value: str, request: Request, **extra: Any) -> None:
    response.set_cookie(
        name_of(cookie, request),
        value,
        path=_path(),
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
        **extra,
    )


def _path() -> str:
    return f"{settings.FORCE_SCRIPT_NAME or ''}/"
