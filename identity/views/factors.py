"""Second factors on the account page and in the middle of a sign-in: list, add, rename, remove, recovery codes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

import segno
from django import forms
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from identity import assurance, cookies
from identity.browser import interaction
from identity.browser.interaction import Demands, Step, sign_in_page
from identity.decorators import session_required
from identity.errors import IdentityError, NotFound, StateInvalid
from identity.http import Request, SignedInRequest
from identity.models import FactorKind, LoginTransaction
from identity.sign_in import enrolment, login, reauthentication
from identity.sign_in.factors import recovery_code
from identity.sign_in.forms import FactorNameForm, NewAppForm
from identity.views import errors, stale_forms, steps
from identity.views.messages import add_refusal, set_retry_after, status_of

View = Callable[..., HttpResponse]


def fresh_proof_required(view: View) -> View:
    """Let nobody change factors who has not proved lately, by what there is to prove, that it is them."""

    @wraps(view)
    def checked(request: SignedInRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        session, user = request.sso_session, request.user
        is_form = request.method == "POST"
        back = reverse("identity:factors") if is_form else request.get_full_path()
        if user.factor_kinds and assurance.acr_of(session.amr) != assurance.MULTI_FACTOR:
            # Whatever the tenant asks for: who has a factor proves it before it is changed.
            demands = Demands(required_acr=assurance.MULTI_FACTOR)
            return _sign_in(request, interaction.begin(request, next_url=back, step=Step.STEP_UP, demands=demands))
        if reauthentication.is_fresh(session):
            return view(request, *args, **kwargs)
        if user.has_usable_password():
            return HttpResponseRedirect(f"{reverse('identity:confirm_password')}?{urlencode({'next': back})}")
        step, demands = Step.SIGN_IN_AGAIN, Demands(reauthenticate=True)
        return _sign_in(request, interaction.begin(request, next_url=back, step=step, demands=demands))

    return checked


def _sign_in(request: Request, handle: str) -> HttpResponse:
    return HttpResponseRedirect(sign_in_page(handle))


# The account page ------------------------------------------------------------------------------------------


@never_cache
@require_safe
@session_required
def overview(request: SignedInRequest) -> HttpResponse:
    """Show the person's factors."""
    return _overview(request)


@stale_forms.leads_to(stale_forms.same_page)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@session_required
@fresh_proof_required
def add_app(request: SignedInRequest) -> HttpResponse:
    """Add an authenticator app: its first code proves that it has the secret."""
    user, owner = request.user, enrolment.owner_of(request.sso_session)
    form = NewAppForm(request.POST or None)
    error: IdentityError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            enrolment.finish_totp(user=user, owner=owner, context=request.context, **_typed(form))
        except IdentityError as refusal:
            error = refusal
            add_refusal(form, refusal)
        else:
            handle = enrolment.count_for_session(
                request.sso_session, proved=assurance.ONE_TIME_CODE, context=request.context
            )
            response = _after_adding(request)
            cookies.set_session(response, request, handle)
            return response
    context = {
        "form": form,
        **app_to_add(enrolment.begin_totp(user=user, owner=owner)),
        "factors_url": reverse("identity:factors"),
    }
    status = status_of(error) if error else 400 if form.is_bound else 200
    response = render(request, "identity/factor_totp.html", context, status=status)
    set_retry_after(response, error)
    return response


@stale_forms.leads_to(stale_forms.account_page)
@never_cache
@require_POST
@session_required
@fresh_proof_required
def new_recovery_codes(request: SignedInRequest) -> HttpResponse:
    """Make ten codes and show them, once."""
    try:
        codes = enrolment.make_recovery_codes(user=request.user, context=request.context)
    except IdentityError:
        return HttpResponseRedirect(reverse("identity:factors"))
    return show_codes(request, codes, next_url=reverse("identity:factors"))


@stale_forms.leads_to(stale_forms.same_page)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@session_required
@fresh_proof_required
def rename(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Give a factor another name."""
    found = next((row for row in enrolment.list_of(request.user) if row.public_id == public_id), None)
    if found is None:
        return errors.not_found(request)
    form = FactorNameForm(request.POST or None, initial={"name": found.name})
    if request.method == "POST" and form.is_valid():
        try:
            enrolment.rename(
                user=request.user, public_id=public_id, name=form.cleaned_data["name"], context=request.context
            )
        except NotFound:
            return errors.not_found(request)
        return HttpResponseRedirect(reverse("identity:factors"))
    context = {"form": form, "factor": found, "factors_url": reverse("identity:factors")}
    return render(request, "identity/factor_rename.html", context, status=400 if form.is_bound else 200)


@stale_forms.leads_to(stale_forms.account_page)
@never_cache
@require_POST
@session_required
@fresh_proof_required
def remove(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Take a factor away."""
    try:
        enrolment.remove(user=request.user, public_id=public_id, context=request.context)
    except NotFound:
        return errors.not_found(request)
    except IdentityError as refusal:
        return _overview(request, refusal=refusal)
    return HttpResponseRedirect(reverse("identity:factors"))


def _overview(request: SignedInRequest, *, refusal: IdentityError | None = None) -> HttpResponse:
    user = request.user
    form = forms.Form()
    if refusal is not None:
        add_refusal(form, refusal)
    left = enrolment.recovery_codes_left(user)
    factors = [
        {
            "name": row.name,
            "kind": FactorKind(row.kind).label,
            "created_at": row.created_at,
            "last_used_at": row.last_used_at,
            "rename_url": reverse("identity:rename_factor", args=[row.public_id]),
            "remove_url": reverse("identity:remove_factor", args=[row.public_id]),
        }
        for row in enrolment.list_of(user)
    ]
    context = {
        "form": form,
        "factors": factors,
        "add_app_url": reverse("identity:add_app"),
        "codes_left": left,
        "codes_are_few": bool(factors) and left <= recovery_code.WARN_AT,
        "codes_url": reverse("identity:new_recovery_codes"),
        "account_url": reverse("identity:account"),
    }
    return render(request, "identity/factors.html", context, status=status_of(refusal) if refusal else 200)


def _after_adding(request: SignedInRequest) -> HttpResponse:
    """Show recovery codes to whoever has none yet, else the list."""
    if enrolment.recovery_codes_left(request.user):
        return HttpResponseRedirect(reverse("identity:factors"))
    codes = enrolment.make_recovery_codes(user=request.user, context=request.context)
    return show_codes(request, codes, next_url=reverse("identity:factors"))


def _typed(form: NewAppForm) -> dict[str, Any]:
    return {name: form.cleaned_data[name] for name in ("name", "verification_code")}


def show_codes(request: Request, codes: list[str], *, next_url: str) -> HttpResponse:
    """Show recovery codes. Nobody can show them again."""
    return render(request, "identity/recovery_codes.html", {"codes": codes, "next_url": next_url})


def app_to_add(made: enrolment.NewApp) -> dict[str, Any]:
    """Return what a page shows of an app that is being added: the secret in groups, and the QR code."""
    svg = segno.make(made.uri, error="m").svg_inline(scale=4, border=4, dark="#000", light="#fff", svgclass=None)
    groups = [made.secret[start : start + 4] for start in range(0, len(made.secret), 4)]
    # Nothing of it was typed: segno draws squares.
    return {"secret": " ".join(groups), "qr_code": mark_safe(svg), "app_uri": made.uri}  # noqa: S308


# In the middle of a sign-in --------------------------------------------------------------------------------


def show_enrolment(
    request: Request,
    row: LoginTransaction,
    handle: str,
    *,
    form: NewAppForm | None = None,
    error: IdentityError | None = None,
    status: int = 200,
) -> HttpResponse:
    """Ask somebody who has no second factor to add one (S28: only the state of the transaction leads here)."""
    assert row.user is not None
    context = {
        **app_to_add(enrolment.begin_totp(user=row.user, owner=enrolment.owner_of(row))),
        "application_name": row.application.name if row.application else "",
    }
    form = form or NewAppForm()
    return steps.render_page(
        request, "identity/login_enrol.html", row, handle, form=form, error=error, status=status, **context
    )


def take_enrolment(request: Request, row: LoginTransaction, handle: str) -> login.LoginOutcome | HttpResponse:
    """Add the app, and show the recovery codes where that ends the sign-in."""
    form = NewAppForm(request.POST)
    try:
        if not form.is_valid():
            return show_enrolment(request, row, handle, form=form, status=400)
        outcome = login.submit_enrolment(steps.step(request, handle), **_typed(form))
    except StateInvalid:
        raise
    except IdentityError as error:
        return show_enrolment(request, row, handle, form=form, error=error, status=status_of(error))
    if not outcome.session_handle or outcome.user is None:
        return outcome
    codes = enrolment.make_recovery_codes(user=outcome.user, context=request.context)
    response = show_codes(request, codes, next_url=outcome.next_url or reverse("identity:account"))
    cookies.set_session(response, request, outcome.session_handle)
    return response
