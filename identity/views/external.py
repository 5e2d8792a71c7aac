"""Signing in with an account at another provider: to the provider and back, and the page that links the account.

What goes to the provider as `state` is the handle of a parked request: bound to this browser, to this sign-in and to
this one source, and spent by the first answer that brings it back, so that nobody else's answer fits (S27, S45).
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from identity import cookies, pending_requests, policies
from identity.browser import parking
from identity.browser.interaction import sign_in_page
from identity.decorators import session_required
from identity.errors import (
    AccountDisabled,
    CaptchaRefused,
    ExternalCodeRefused,
    IdentityError,
    NotAllowed,
    NotFound,
    StateInvalid,
    SystemBusy,
)
from identity.federation import external_identities, upstreams
from identity.federation.connectors.base import connectors
from identity.http import Request, SignedInRequest, tenant_of
from identity.models import LoginState, LoginTransaction, Upstream, User
from identity.sign_in import federated, login
from identity.sign_in.forms import LoginForm, MobileForm, TransactionForm, VerificationCodeForm
from identity.views import errors, puzzles, stale_forms, steps
from identity.views.messages import explain, status_of

_STATE_LIFETIME = timedelta(minutes=10)
_MAX_STATE_LENGTH = 128
_BY_PASSWORD = "password"


# To the provider and back ----------------------------------------------------------------------------------


@never_cache
@require_safe
def start(request: Request, upstream_id: str) -> HttpResponse:
    """Send the browser to the provider."""
    handle = request.GET.get("transaction", "")
    row = steps.find(request, handle)
    if row is None or row.state != LoginState.START:
        return HttpResponseRedirect(sign_in_page(handle) if row else reverse("identity:login"))
    try:
        upstream = upstreams.get_for_page(tenant=row.tenant, public_id=upstream_id)
    except NotFound:
        return errors.not_found(request)
    path = _callback_path(upstream)
    parked = parking.keep(request, path, {"transaction": handle}, lifetime=_STATE_LIFETIME)
    # The host was found among the tenant's, and the browser's cookies are this host's.
    redirect_uri = f"{request.context.origin}{path}"
    # In hexadecimal, as WeChat takes letters and digits only.
    return HttpResponseRedirect(
        upstreams.authorization_url(upstream, redirect_uri=redirect_uri, state=parked.encode().hex())
    )


@never_cache
@require_safe
def callback(request: Request, upstream_id: str) -> HttpResponse:
    """Take what the provider sends the browser back with."""
    tenant = tenant_of(request)
    try:
        upstream = upstreams.get_for_page(tenant=tenant, public_id=upstream_id)
    except NotFound:
        return errors.not_found(request)
    if any(len(values) > 1 for _name, values in request.GET.lists()):
        return errors.bad_request(request)  # S45: which one would be meant?
    try:
        parked = pending_requests.consume(
            tenant=tenant,
            path=_callback_path(upstream),
            handle=_handle_in(request.GET.get("state", "")),
            bindings=[cookies.browser_binding(request)],
        )
        handle = parked["transaction"]
        authorization_code = request.GET.get(upstreams.connector_of(upstream).code_parameter, "")
        if not authorization_code:
            return HttpResponseRedirect(sign_in_page(handle, notice="declined"))
        outcome = federated.submit_code(
            steps.step(request, handle),
            upstream=upstream,
            authorization_code=authorization_code,
        )
    except StateInvalid:
        # An old answer, a second one, or one that this browser did not ask for: begin anew.
        return HttpResponseRedirect(f"{reverse('identity:login')}?notice=over")
    except IdentityError as error:
        return HttpResponseRedirect(sign_in_page(handle, notice=_word_for(error)))
    return steps.follow(request, outcome, handle)


def _callback_path(upstream: Upstream) -> str:
    return reverse("identity:external_callback", args=[upstream.public_id])


def _handle_in(state: str) -> str:
    if len(state) > _MAX_STATE_LENGTH:
        return ""
    try:
        return binascii.unhexlify(state).decode()
    except ValueError:  # not hexadecimal, not ASCII, or no text
        return ""


def _word_for(error: IdentityError) -> str:
    words: dict[type[IdentityError], str] = {
        SystemBusy: "busy",
        AccountDisabled: "disabled",
        ExternalCodeRefused: "refused",
    }
    return words.get(type(error), "failed")  # too many tries


@dataclass(frozen=True)
class Offered:
    """A source that a sign-in page offers."""

    name: str
    public_id: str

    def address(self, handle: str) -> str:
        """Return where its button leads in this sign-in."""
        path = reverse("identity:external_login", args=[self.public_id])
        return f"{path}?{urlencode({'transaction': handle})}"


def offered(request: Request, row: LoginTransaction) -> tuple[Offered, ...]:
    """Return the sources that the sign-in page offers to this browser."""
    found = upstreams.list_for_page(tenant=row.tenant, user_agent=request.context.user_agent)
    return tuple(Offered(upstreams.label_of(upstream), upstream.public_id) for upstream in found)


_NOTICES = {
    "declined": gettext_lazy("You did not sign in there. Choose another way, or try again."),
    "refused": gettext_lazy("The sign-in there did not work. Please try again."),
    "busy": gettext_lazy("The other service does not answer. Try again later, or choose another way."),
    "disabled": gettext_lazy("You cannot sign in with this account. Please ask your administrator."),
    "failed": gettext_lazy("Too many attempts. Please wait a little and try again."),
    "over": gettext_lazy("This page is out of date. Please start again."),
}


def notice(request: Request) -> str:
    """Return what the sign-in page says of a sign-in that came to nothing elsewhere."""
    return str(_NOTICES.get(request.GET.get("notice", ""), ""))


# The account page ------------------------------------------------------------------------------------------


def rows_of(user: User) -> list[dict[str, Any]]:
    """Return the linked accounts as the account page shows them."""
    known = connectors()
    return [
        {
            "provider": known[link.kind].label if link.kind in known else link.kind,
            "nickname": link.nickname,
            "linked_at": link.created_at,
            "unlink_url": reverse("identity:unlink_external", args=[link.public_id]),
        }
        for link in external_identities.list_of(user)
    ]


@stale_forms.leads_to(stale_forms.account_page)
@never_cache
@require_POST
@session_required
def unlink(request: SignedInRequest, link_id: str) -> HttpResponse:
    """Take one of the person's own links away, unless nothing else lets them in."""
    try:
        link = external_identities.get_own(user=request.user, public_id=link_id)
    except NotFound:
        return errors.not_found(request)
    try:
        external_identities.unlink(identity=link, context=request.context)
    except NotAllowed as refusal:
        messages.error(request, explain(refusal))
    return HttpResponseRedirect(reverse("identity:account"))


# The page that links ---------------------------------------------------------------------------------------


def show_link(
    request: Request,
    row: LoginTransaction,
    handle: str,
    *,
    form: TransactionForm | None = None,
    error: IdentityError | None = None,
    status: int = 200,
    puzzle: dict[str, Any] | None = None,
) -> HttpResponse:
    """Ask who the person is here: by mobile number and code, or by password."""
    try:
        shown = federated.shown_of(row)
    except StateInvalid:  # the source was switched off meanwhile
        return HttpResponseRedirect(f"{reverse('identity:login')}?notice=over")
    by_password = _is_by_password(request, row)
    target = None if by_password else federated.target_of(row)
    sent = federated.find_sent(row)
    if form is None:
        form = LoginForm() if by_password else VerificationCodeForm() if target else MobileForm()
    context = {
        **shown,
        "by_password": by_password,
        "masked_target": target.masked if target else "",
        **steps.resend(sent.resend_at if sent else None),
        "password_url": sign_in_page(handle, way=_BY_PASSWORD) if _takes_passwords(row) else "",
        "mobile_url": sign_in_page(handle),
        "puzzle": puzzle,
        "is_resending": puzzle is not None and target is not None,
    }
    return steps.render_page(
        request, "identity/login_link.html", row, handle, form=form, error=error, status=status, **context
    )


def take_link(request: Request, row: LoginTransaction, handle: str) -> login.LoginOutcome | HttpResponse:
    """Take a step of linking."""
    form = _form_of(request, row)
    here = HttpResponseRedirect(sign_in_page(handle))
    try:
        if "other_number" in request.POST:
            federated.forget_number(steps.step(request, handle))
            return here
        if "resend" in request.POST:
            federated.send_code_again(steps.step(request, handle), answer=puzzles.answer_in(request))
            return here
        if not form.is_valid():
            return show_link(request, row, handle, form=form, status=400)
        if isinstance(form, MobileForm):
            federated.send_code(
                steps.step(request, handle),
                mobile=form.cleaned_data["mobile"],
                answer=puzzles.answer_in(request),
            )
            return here
        return _submit(form, request, row, handle)
    except StateInvalid:
        raise
    except CaptchaRefused as refusal:
        # Whoever asks for another code types nothing beside the puzzle.
        is_resend = "resend" in request.POST
        around = TransactionForm(request.POST) if is_resend else form
        around.full_clean()
        asked = puzzles.ask(request, around, refusal)
        shown = None if is_resend and asked.puzzle is None else around
        return show_link(request, row, handle, form=shown, error=asked.error, status=asked.status, puzzle=asked.puzzle)
    except IdentityError as error:
        # The question may be another one now: a number that was not taken is asked for again.
        shown = None if "resend" in request.POST else form
        return show_link(request, row, handle, form=shown, error=error, status=status_of(error))


def _form_of(request: Request, row: LoginTransaction) -> LoginForm | VerificationCodeForm | MobileForm:
    if _is_by_password(request, row):
        return LoginForm(request.POST)
    return VerificationCodeForm(request.POST) if federated.target_of(row) else MobileForm(request.POST)


def _takes_passwords(row: LoginTransaction) -> bool:
    return _BY_PASSWORD in policies.sign_in_methods(row.tenant)


def _is_by_password(request: Request, row: LoginTransaction) -> bool:
    return request.GET.get("way") == _BY_PASSWORD and _takes_passwords(row)


def _submit(
    form: LoginForm | VerificationCodeForm, request: Request, row: LoginTransaction, handle: str
) -> login.LoginOutcome:
    if isinstance(form, LoginForm):
        return federated.link_by_password(
            steps.step(request, handle),
            identifier=form.cleaned_data["identifier"],
            password=form.cleaned_data["password"],
        )
    target = federated.target_of(row)
    if target is None:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} has no number")
    link = federated.bind if row.state == LoginState.SOCIAL_BIND else federated.register_and_bind
    return link(
        steps.step(request, handle),
        mobile=target.address,
        verification_code=form.cleaned_data["verification_code"],
    )
