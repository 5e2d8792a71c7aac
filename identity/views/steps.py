"""What every page of a sign-in has in common: the transaction it belongs to, how it is drawn, where it leads."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from identity import assurance, cookies
from identity.browser.content_security import allow_form_targets
from identity.browser.interaction import sign_in_page
from identity.errors import IdentityError
from identity.http import Request
from identity.models import LoginState, LoginTransaction, SignInMethod
from identity.sign_in import login
from identity.sign_in.login import SignInStep
from identity.views import errors
from identity.views.messages import add_refusal, set_retry_after

# What shows itself first of each way to sign in (RFC8176-2), and how the browser's cookie calls that way.
_METHODS = {
    assurance.PASSWORD: SignInMethod.PASSWORD,
    assurance.TEXT_MESSAGE: SignInMethod.SMS,
    assurance.ONE_TIME_CODE: SignInMethod.EMAIL,
    assurance.HARDWARE_KEY: "passkey",
    assurance.SOFTWARE_KEY: "passkey",
}
# The sign-in in the middle of which a password was forgotten.
SIGN_IN_PARAMETER = "sign_in"


def find(request: Request, handle: str, *, include_over: bool = False) -> LoginTransaction | None:
    """Return the sign-in under way with this handle, if this browser began it.

    include_over: or one that is over or finished.
    """
    return login.find(step(request, handle), include_over=include_over)


def step(request: Request, handle: str, row: LoginTransaction | None = None) -> SignInStep:
    """Return this browser's step of the sign-in with this handle; row: of it, where it was found for this request."""
    binding = cookies.browser_binding(request)
    trust = cookies.read(cookies.TRUSTED, request)
    return SignInStep(handle, binding, context=request.context, session=request.sso_session, row=row, trust=trust)


def forgot_password_address(handle: str) -> str:
    """Return where a password is set anew in the middle of this sign-in, which goes on afterwards."""
    return f"{reverse('identity:forgot_password')}?{urlencode({SIGN_IN_PARAMETER: handle})}"


def follow(request: Request, outcome: login.LoginOutcome, handle: str) -> HttpResponse:
    """Go where a step led: to the next page, or out with a session."""
    if outcome.state == LoginState.ACCESS_DENIED:
        # For want of a second factor only: a browser's access to the application is the protocol's to judge.
        return errors.refuse(request, 403, template="403_second_factor.html")
    if outcome.state != LoginState.SUCCESS:
        return HttpResponseRedirect(sign_in_page(handle))
    response = HttpResponseRedirect(outcome.next_url or reverse("identity:account"))
    if outcome.session_handle:
        cookies.set_session(response, request, outcome.session_handle)
        remember_method(request, response, outcome)
        trusted = login.trust_browser(step(request, handle), outcome)
        if trusted is not None:
            cookies.set_trusted(response, request, trusted[0], max_age=trusted[1])
    return with_targets(response, outcome.transaction)


def remember_method(request: Request, response: HttpResponse, outcome: login.LoginOutcome) -> None:
    """Let the browser know by what somebody has signed in here, so that it comes first the next time."""
    cookies.set_method(response, request, _METHODS.get(next(iter(outcome.transaction.amr), ""), ""))


def resend(resend_at: datetime | None) -> dict[str, Any]:
    """Return what `partials/resend.html` shows. resend_at: when another code may be sent; None is now."""
    seconds = math.ceil((resend_at - timezone.now()).total_seconds()) if resend_at else 0
    return {"can_resend": seconds <= 0, "seconds_to_resend": max(seconds, 0)}


def render_page(
    request: Request,
    template: str,
    row: LoginTransaction,
    handle: str,
    *,
    form: forms.Form,
    error: IdentityError | None = None,
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    """Draw a page of the transaction, with the refusal of the step before."""
    form.initial["transaction"] = handle
    if error is not None:
        add_refusal(form, error)
    response = render(request, template, {"form": form, "who": row.user, **context}, status=status)
    set_retry_after(response, error)
    return with_targets(response, row)


def with_targets(response: HttpResponse, row: LoginTransaction) -> HttpResponse:
    """Let the page's forms lead to where the sign-in leads at last."""
    allow_form_targets(response, row.data.get("return_origins") or [])
    return response
