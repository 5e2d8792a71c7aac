"""Signing in. One address; the transaction's state on the server says which page it is (S28, S29)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from identity import budgets, cookies, policies
from identity.browser import interaction
from identity.browser.interaction import sign_in_page
from identity.browser.kept_pages import KeptPage
from identity.budgets import Budget
from identity.errors import CaptchaRefused, IdentityError, NotAllowed, StateInvalid
from identity.http import Request
from identity.languages import prefer
from identity.models import LoginState, LoginTransaction, SignInMethod
from identity.passwords import credentials
from identity.sign_in import first_codes, login
from identity.sign_in.forms import NewPasswordForm, TransactionForm
from identity.views import codes, errors, external, factors, methods, next_urls, puzzles, stale_forms, steps
from identity.views.messages import status_of
from identity.views.steps import follow

Page = Callable[..., HttpResponse]


@stale_forms.leads_to(stale_forms.same_page, needs_origin=False)
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: Request) -> HttpResponse:
    """Show the page of the transaction's state, or take its answer."""
    handle = request.POST.get("transaction", "") or request.GET.get("transaction", "")
    if not handle and request.method != "POST":
        return _begin(request)
    row = steps.find(request, handle)
    if row is None:
        return _expired_page(request, handle)
    session = request.sso_session
    try:
        if session is not None and login.is_done_by(session, row=row):
            # Another tab of this browser has signed in meanwhile.
            return follow(request, login.finish_with(row, session=session), handle)
        _use_requested_language(request, row)
        if request.method != "POST":
            return PAGES[_page_of(row, request)](request, row, handle)
        if "start_over" in request.POST:
            login.start_over(steps.step(request, handle, row))
            return HttpResponseRedirect(sign_in_page(handle))
        outcome = ANSWERS[_page_of(row, request)](request, row, handle)
    except StateInvalid:
        return _expired_page(request, handle)
    return outcome if isinstance(outcome, HttpResponse) else follow(request, outcome, handle)


# Pages -----------------------------------------------------------------------------------------------------


def show_start(
    request: Request,
    row: LoginTransaction,
    handle: str,
    *,
    form: TransactionForm | None = None,
    error: IdentityError | None = None,
    status: int = 200,
    signals: str = "",
    puzzle: dict[str, Any] | None = None,
) -> HttpResponse:
    """Ask for name and password, or for where a code is to go.

    signals: what password managers are told (see `factors.unknown_passkey`). puzzle: see `puzzles.ask`.
    """
    application_name = row.application.name if row.application else ""
    offered, notice = external.offered(request, row), external.notice(request)
    ways = methods.ways(request, row)
    login_hint = row.data.get("login_hint", "")
    if form is None and error is None and not login_hint and not notice:
        page = _START_PAGE.answer(request, (application_name, offered, ways), (handle,))
        return steps.with_targets(page, row)
    context = {**_start_page(application_name, offered, ways, handle), "notice": notice, "signals": signals}
    context |= {"form": form or methods.form_of(ways.chosen, login_hint=login_hint), "puzzle": puzzle}
    return steps.render_page(request, _START_PAGE.template, row, handle, error=error, status=status, **context)


def _start_page(
    application_name: str, offered: tuple[external.Offered, ...], ways: methods.Ways, handle: str
) -> dict[str, Any]:
    takes_password = ways.chosen == SignInMethod.PASSWORD
    return {
        "form": methods.form_of(ways.chosen, transaction=handle),
        "application_name": application_name,
        "method": ways.chosen,
        "is_by_password": takes_password,
        "methods": methods.links(ways, handle),
        "mail_url": methods.mail_address(ways, handle),
        "has_passkeys": ways.has_passkeys,
        "passkey_first": ways.passkey_first,
        "forgot_password_url": steps.forgot_password_address(handle) if takes_password else "",
        "upstreams": [{"name": each.name, "url": each.address(handle)} for each in offered],
    }


_START_PAGE = KeptPage("identity/login.html", _start_page)


def show_second_factor(
    request: Request,
    row: LoginTransaction,
    handle: str,
    *,
    form: TransactionForm | None = None,
    error: IdentityError | None = None,
    status: int = 200,
) -> HttpResponse:
    """Ask for the factor, and begin with it where that is still to be done."""
    assert row.user is not None
    factor, user = login.second_factor(row), row.user
    begun = login.begun_second_factor(row)
    if begun is None and error is None:
        try:
            begun = login.begin_second_factor(steps.step(request, handle))
        except IdentityError as refusal:
            error, status = refusal, status_of(refusal)
    context = {
        "masked_target": factor.hint(user),
        "is_sent": begun is not None,
        "others": [{"channel": other.name, "label": other.choice(user)} for other in login.other_second_factors(row)],
        **steps.resend(begun.resend_at if begun else None),
        "trust_days": login.trust_offered(row),
        **((begun.data if begun else None) or {}),
    }
    form = form or factor.form()
    return steps.render_page(request, factor.template, row, handle, form=form, error=error, status=status, **context)


def show_new_password(
    request: Request,
    row: LoginTransaction,
    handle: str,
    *,
    form: NewPasswordForm | None = None,
    error: IdentityError | None = None,
    status: int = 200,
) -> HttpResponse:
    """Ask for a new password."""
    assert row.user is not None
    age = credentials.password_age(user=row.user)
    if row.state == LoginState.PASSWORD_WARN:
        reason = "warning"
    else:
        reason = "must_change" if age.must_change else "expired"
    context = {
        "rules": credentials.policy_in_words(policies.password_policy(row.tenant)),
        "reason": reason,
        "days_left": age.days_left,
        "can_skip": row.state == LoginState.PASSWORD_WARN,
    }
    form = form or NewPasswordForm()
    return steps.render_page(
        request, "identity/login_change_password.html", row, handle, form=form, error=error, status=status, **context
    )


def show_accounts(request: Request, row: LoginTransaction, handle: str, *, status: int = 200) -> HttpResponse:
    """Ask whether to go on as the signed-in person."""
    context: dict[str, Any] = {
        "user": request.user,
        "application_name": row.application.name if row.application else "",
    }
    return steps.render_page(
        request, "identity/select_account.html", row, handle, form=TransactionForm(), status=status, **context
    )


# Answers ---------------------------------------------------------------------------------------------------


def take_start(request: Request, row: LoginTransaction, handle: str) -> login.LoginOutcome | HttpResponse:
    """Check name and password, order a code, or take what a passkey has answered in their place."""
    if request.POST.get("credential"):
        try:
            return factors.take_passkey(request, handle)
        except StateInvalid:
            raise
        except IdentityError as error:
            signals = factors.unknown_passkey(request, error)
            return show_start(request, row, handle, error=error, status=status_of(error), signals=signals)
    method = methods.sent(request)
    form = methods.form_of(method, request.POST)
    try:
        if not form.is_valid():
            login.check_offered(row, method)
            return show_start(request, row, handle, form=form, status=400)
        step = steps.step(request, handle, row)
        if method == SignInMethod.PASSWORD:
            return login.submit_password(
                step, identifier=form.cleaned_data["identifier"], password=form.cleaned_data["password"]
            )
        address = form.cleaned_data[methods.ADDRESS_FIELDS[method]]
        first_codes.order(step, method=method, address=address, answer=puzzles.answer_in(request))
        return HttpResponseRedirect(sign_in_page(handle))
    except StateInvalid:
        raise
    except CaptchaRefused as refusal:
        asked = puzzles.ask(request, form, refusal)
        return show_start(request, row, handle, form=form, error=asked.error, status=asked.status, puzzle=asked.puzzle)
    except IdentityError as error:
        # A form that is not offered is not shown again.
        shown = None if isinstance(error, NotAllowed) else form
        return show_start(request, row, handle, form=shown, error=error, status=status_of(error))


def take_second_factor(request: Request, row: LoginTransaction, handle: str) -> login.LoginOutcome | HttpResponse:
    """Check the response, or begin anew, or choose another factor."""
    form_of = login.second_factor(row).form
    form = form_of(request.POST)
    try:
        if "send_to" in request.POST:
            login.choose_second_factor(steps.step(request, handle, row), name=request.POST["send_to"])
            return HttpResponseRedirect(sign_in_page(handle))
        if "resend" in request.POST:
            login.begin_second_factor(steps.step(request, handle, row))
            return HttpResponseRedirect(sign_in_page(handle))
        if not form.is_valid():
            return show_second_factor(request, row, handle, form=form, status=400)
        is_wished = "trust_browser" in request.POST
        return login.submit_second_factor(steps.step(request, handle, row), form.cleaned_data, trust_browser=is_wished)
    except StateInvalid:
        raise
    except IdentityError as error:
        shown = form_of() if "resend" in request.POST else form
        return show_second_factor(request, row, handle, form=shown, error=error, status=status_of(error))


def take_new_password(request: Request, row: LoginTransaction, handle: str) -> login.LoginOutcome | HttpResponse:
    """Change the password, or go on without where that is allowed."""
    form = NewPasswordForm(request.POST)
    try:
        if "skip" in request.POST:
            return login.skip_password_warning(steps.step(request, handle, row))
        if not form.is_valid():
            return show_new_password(request, row, handle, form=form, status=400)
        return login.change_expired_password(
            steps.step(request, handle, row), new_password=form.cleaned_data["new_password"]
        )
    except StateInvalid:
        raise
    except IdentityError as error:
        return show_new_password(request, row, handle, form=form, error=error, status=status_of(error))


def take_account(request: Request, row: LoginTransaction, handle: str) -> login.LoginOutcome | HttpResponse:
    """Take the choice of account."""
    choice = request.POST.get("choice")
    if choice not in {"continue", "other"}:
        return show_accounts(request, row, handle, status=400)
    return login.choose_account(steps.step(request, handle, row), goes_on=choice == "continue")


PAGES: dict[str, Page] = {
    "start": show_start,
    "code": codes.show_code,
    "account": show_accounts,
    "second_factor": show_second_factor,
    "new_password": show_new_password,
    "enrol": factors.show_enrolment,
    "link": external.show_link,
}
ANSWERS: dict[str, Callable[[Request, LoginTransaction, str], login.LoginOutcome | HttpResponse]] = {
    "start": take_start,
    "code": codes.take_code,
    "account": take_account,
    "second_factor": take_second_factor,
    "new_password": take_new_password,
    "enrol": factors.take_enrolment,
    "link": external.take_link,
}
_STATE_PAGES = {
    LoginState.MFA_AUTH: "second_factor",
    LoginState.FACTOR_ENROL: "enrol",
    LoginState.SOCIAL_BIND: "link",
    LoginState.USER_REGISTER: "link",
    LoginState.PASSWORD_WARN: "new_password",
    LoginState.PASSWORD_EXPIRED: "new_password",
}


def _page_of(row: LoginTransaction, request: Request) -> str:
    if row.state == LoginState.START and row.data.get("select_account") and request.sso_session is not None:
        return "account"
    if row.state == LoginState.START and methods.is_waiting_for_code(request, row):
        return "code"
    return _STATE_PAGES.get(LoginState(row.state), "start")


# Edges -----------------------------------------------------------------------------------------------------


def _begin(request: Request) -> HttpResponse:
    """Begin a sign-in of our own making, for whoever opens the page."""
    next_url = next_urls.requested(request)
    if interaction.is_signed_in(request):
        if next_url:
            return HttpResponseRedirect(next_url)
        context = {"account_url": reverse("identity:account"), "logout_url": reverse("identity:logout")}
        return render(request, "identity/signed_in.html", {"user": request.user, **context})
    budgets.spend(Budget.PARKED, tenant=request.context.tenant, context=request.context)
    return _fresh(request, next_url=next_url)


def _fresh(request: Request, *, next_url: str, error: IdentityError | None = None, status: int = 200) -> HttpResponse:
    handle = interaction.begin(request, next_url=next_url, login_hint=request.GET.get("login_hint", ""))
    return _show(request, handle, error=error, status=status)


def _show(request: Request, handle: str, *, error: IdentityError | None, status: int) -> HttpResponse:
    """Show the first page of a sign-in that was begun just now."""
    row = steps.find(request, handle)
    if row is None:
        return errors.bad_request(request)
    _use_requested_language(request, row)
    return PAGES[_page_of(row, request)](request, row, handle, error=error, status=status)


def _expired_page(request: Request, handle: str) -> HttpResponse:
    """Send a browser with an old or foreign page the right way."""
    row = steps.find(request, handle, include_over=True)
    session = request.sso_session
    if row is None or row.finished_at is not None:
        # What was finished has been followed once already: its target may be spent.
        if session is not None:
            return HttpResponseRedirect(reverse("identity:account"))
        return _fresh(request, next_url="", error=StateInvalid(), status=400)
    if session is not None and login.is_done_by(session, row=row):
        return HttpResponseRedirect(row.next_url or reverse("identity:account"))
    handle = login.begin_again(row, binding=cookies.browser_binding(request), session=session)
    return _show(request, handle, error=StateInvalid(), status=400)


def _use_requested_language(request: Request, row: LoginTransaction) -> None:
    """Use the language that the application asked for, unless the page's own address says another one."""
    if "ui_locales" not in request.GET:
        prefer(request, str(row.data.get("ui_locales", "")).split())
