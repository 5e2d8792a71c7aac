"""A forgotten password: the same pages, at the same pace, whoever is named (S33).

In the middle of a sign-in the pages carry its handle along, and lead back to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from identity import cookies, policies
from identity.browser.content_security import allow_form_targets
from identity.browser.interaction import sign_in_page
from identity.errors import CaptchaRefused, IdentityError
from identity.http import Request, tenant_of
from identity.models import LoginTransaction
from identity.passwords import credentials
from identity.sign_in import login, password_reset
from identity.sign_in.forms import IdentifierForm, ResetPasswordForm
from identity.views import puzzles, stale_forms, steps
from identity.views.messages import add_refusal, set_retry_after, status_of


@stale_forms.leads_to(stale_forms.same_page, needs_origin=False)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: Request) -> HttpResponse:
    """Ask who it is, and send a code to whoever that is."""
    sign_in = _sign_in(request)
    if _is_done(request, sign_in):
        return HttpResponseRedirect(_back(sign_in))
    form = IdentifierForm(request.POST or None)
    error: IdentityError | None = None
    asked: puzzles.Asked | None = None
    if request.method == "POST" and form.is_valid():
        try:
            handle = password_reset.begin(
                tenant=tenant_of(request),
                identifier=form.cleaned_data["identifier"],
                answer=puzzles.answer_in(request),
                binding=cookies.browser_binding(request),
                context=request.context,
            )
        except CaptchaRefused as refusal:
            asked = puzzles.ask(request, form, refusal)
            error = asked.error
        except IdentityError as refusal:
            error = refusal
        else:
            return HttpResponseRedirect(_address("forgot_password_code", sign_in, transaction=handle))
    if error is not None:
        add_refusal(form, error)
    status = asked.status if asked else status_of(error) if error else 400 if form.is_bound else 200
    context = {"form": form, "login_url": _back(sign_in), "puzzle": asked.puzzle if asked else None}
    response = render(request, "identity/forgot_password.html", context, status=status)
    _allow_way_on(response, sign_in)
    set_retry_after(response, error)
    return response


@stale_forms.leads_to(stale_forms.same_page, needs_origin=False)
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def enter_code(request: Request) -> HttpResponse:
    """Take the code and the new password."""
    sign_in = _sign_in(request)
    if _is_done(request, sign_in):
        return HttpResponseRedirect(_back(sign_in))
    handle = request.POST.get("transaction", "") or request.GET.get("transaction", "")
    if not handle:
        return HttpResponseRedirect(_address("forgot_password", sign_in))
    form = ResetPasswordForm(request.POST or None, initial={"transaction": handle})
    error: IdentityError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            user = password_reset.finish(
                steps.step(request, handle),
                verification_code=form.cleaned_data["verification_code"],
                new_password=form.cleaned_data["new_password"],
            )
        except IdentityError as refusal:
            error = refusal
            add_refusal(form, refusal)
        else:
            if user is None:
                return HttpResponseRedirect(_address("forgot_password_code", sign_in, transaction=handle, step="2"))
            return HttpResponseRedirect(_address("forgot_password_done", sign_in))
    policy = policies.password_policy(tenant_of(request))
    context = {
        "form": form,
        "masked_target": "",
        "is_second_step": request.GET.get("step") == "2",
        "rules": credentials.policy_in_words(policy),
        "start_again_url": _address("forgot_password", sign_in),
    }
    status = status_of(error) if error else 400 if form.is_bound else 200
    response = render(request, "identity/forgot_password_code.html", context, status=status)
    _allow_way_on(response, sign_in)
    set_retry_after(response, error)
    return response


@never_cache
@require_safe
def done(request: Request) -> HttpResponse:
    """Say that the password was set."""
    sign_in = _sign_in(request)
    response = render(request, "identity/forgot_password_done.html", {"login_url": _back(sign_in)})
    _allow_way_on(response, sign_in)
    return response


@dataclass(frozen=True)
class _SignIn:
    """The sign-in in the middle of which the password was forgotten, if this browser began one."""

    handle: str = ""
    row: LoginTransaction | None = None


def _sign_in(request: Request) -> _SignIn:
    handle = request.GET.get(steps.SIGN_IN_PARAMETER, "")
    row = steps.find(request, handle, include_over=True) if handle else None
    return _SignIn(handle, row) if row is not None else _SignIn()


def _is_done(request: Request, sign_in: _SignIn) -> bool:
    """Tell whether another tab of this browser has signed in meanwhile, so that there is nothing to reset for."""
    session = request.sso_session
    return session is not None and sign_in.row is not None and login.is_done_by(session, row=sign_in.row)


def _back(sign_in: _SignIn) -> str:
    return sign_in_page(sign_in.handle) if sign_in.handle else reverse("identity:login")


def _address(route: str, sign_in: _SignIn, **query: str) -> str:
    carried = {steps.SIGN_IN_PARAMETER: sign_in.handle} if sign_in.handle else {}
    address, values = reverse(f"identity:{route}"), {**query, **carried}
    return f"{address}?{urlencode(values)}" if values else address


def _allow_way_on(response: HttpResponse, sign_in: _SignIn) -> None:
    """Allow a form of the page to end at the application."""
    if sign_in.row is not None:
        allow_form_targets(response, sign_in.row.data.get("return_origins") or [])
