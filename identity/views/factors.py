"""Second factors on the account page and in the middle of a sign-in: list, add, rename, remove, recovery codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial, wraps
from typing import Any
from urllib.parse import urlencode

import segno
from django import forms
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from identity import assurance, cookies, origins, policies
from identity.browser import interaction
from identity.browser.interaction import Demands, Step, sign_in_page
from identity.decorators import of_a_tenant, session_required
from identity.errors import IdentityError, NotFound, PasskeyRefused, StateInvalid
from identity.http import Request, SignedInRequest
from identity.models import FactorKind, LoginState, LoginTransaction, SignInMethod, User
from identity.sign_in import enrolment, login, reauthentication, webauthn
from identity.sign_in.factors import ceremonies, kinds, passkey, recovery_code, table
from identity.sign_in.forms import FactorNameForm, NewAppForm, NewPasskeyForm, PasskeyForm
from identity.sso import trusted_devices
from identity.views import account, errors, stale_forms, steps
from identity.views.messages import add_refusal, set_retry_after, status_of

View = Callable[..., HttpResponse]


def fresh_proof_required(view: View) -> View:
    """Let nobody change factors who has not proved lately, by what there is to prove, that it is them."""

    @wraps(view)
    def checked(request: SignedInRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        session, user = request.sso_session, request.user
        is_form = request.method == "POST"
        back = reverse("identity:factors") if is_form else request.get_full_path()
        if table.is_lacking(session):
            # Whatever the tenant asks for: who has a factor, a proved number or mailbox included, proves it before any
            # is added or changed. One that the password alone adds would stand in for it everywhere (S28).
            demands = Demands(required_acr=assurance.MULTI_FACTOR)
            return _sign_in(request, interaction.begin(request, next_url=back, step=Step.STEP_UP, demands=demands))
        if reauthentication.is_fresh(session):
            return view(request, *args, **kwargs)
        if user.has_usable_password() and SignInMethod.PASSWORD in policies.sign_in_methods(user.tenant):
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
    owner = ceremonies.owner_of(request.sso_session)
    return _add(
        request,
        partial(enrolment.finish_totp, user=request.user, owner=owner, context=request.context),
        NewAppForm(request.POST or None),
        "identity/factor_totp.html",
        lambda: app_to_add(enrolment.begin_totp(user=request.user, owner=owner)),
    )


@stale_forms.leads_to(stale_forms.same_page)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@session_required
@fresh_proof_required
def add_passkey(request: SignedInRequest) -> HttpResponse:
    """Add a passkey: what it answers to our challenge proves that it has the key."""
    user, owner, context = request.user, ceremonies.owner_of(request.sso_session), request.context
    return _add(
        request,
        partial(enrolment.finish_passkey, user=user, owner=owner, context=context),
        NewPasskeyForm(request.POST or None),
        "identity/factor_passkey.html",
        lambda: {"options": json.dumps(enrolment.begin_passkey(user=user, owner=owner, context=context))},
    )


def _add(
    request: SignedInRequest,
    add: Callable[..., enrolment.Added],
    form: NewAppForm | NewPasskeyForm,
    template: str,
    begin: Callable[[], dict[str, Any]],
) -> HttpResponse:
    """Show the page that adds a factor, or take its answer. begin: makes what the page shows of a new one."""
    error: IdentityError | None = None
    if form.is_bound and form.is_valid():
        try:
            added = add(**_typed(form))
        except IdentityError as refusal:
            error = refusal
            add_refusal(form, refusal)
        else:
            handle = enrolment.count_for_session(request.sso_session, proved=added.methods, context=request.context)
            response = _codes_once(request, request.user, next_url=reverse("identity:factors"))
            cookies.set_session(response, request, handle)
            return response
    status = status_of(error) if error else 400 if form.is_bound else 200
    context = {"form": form, "factors_url": reverse("identity:factors"), **begin()}
    response = render(request, template, context, status=status)
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


@stale_forms.leads_to(stale_forms.account_page)
@never_cache
@require_POST
@session_required
def end_trust(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Trust a browser no longer. It takes no fresh proof: whoever does it has less afterwards."""
    try:
        trusted_devices.end(user=request.user, public_id=public_id, context=request.context)
    except NotFound:
        return errors.not_found(request)
    return HttpResponseRedirect(reverse("identity:factors"))


def _overview(request: SignedInRequest, *, refusal: IdentityError | None = None) -> HttpResponse:
    user = request.user
    form = forms.Form()
    if refusal is not None:
        add_refusal(form, refusal)
    left, kinds = enrolment.recovery_codes_left(user), enrolment.may_add(user)
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
        "add_app_url": reverse("identity:add_app") if FactorKind.TOTP in kinds else "",
        "add_passkey_url": reverse("identity:add_passkey") if FactorKind.PASSKEY in kinds else "",
        "signals": json.dumps(_signals(request)),
        "codes_left": left,
        "has_codes": FactorKind.RECOVERY_CODE in kinds,
        "codes_are_few": bool(factors) and left <= recovery_code.WARN_AT,
        "codes_url": reverse("identity:new_recovery_codes"),
        "trusted": [
            {
                "name": account.device_name(row.user_agent),
                "created_at": row.created_at,
                "expires_at": row.expires_at,
                "last_used_at": row.last_used_at,
                "end_url": reverse("identity:end_trust", args=[row.public_id]),
            }
            for row in trusted_devices.list_of(user)
        ],
        "account_url": reverse("identity:account"),
    }
    return render(request, "identity/factors.html", context, status=status_of(refusal) if refusal else 200)


def _signals(request: SignedInRequest) -> dict[str, Any]:
    """Return what password managers are told of the person's passkeys (WebAuthn, Signal API)."""
    user = request.user
    has_any = FactorKind.PASSKEY in kinds.of(user)
    return {
        "rpId": passkey.rp_id(request.context),
        "userId": webauthn.encode(user.public_id.encode()),
        "ids": [row.credential_id for row in enrolment.passkeys_of(user)] if has_any else [],
        "name": user.user_name,
        "displayName": user.name or user.user_name,
    }


def _codes_once(request: Request, user: User, *, next_url: str) -> HttpResponse:
    """Show recovery codes to whoever has none yet and may have some; else go on."""
    if enrolment.recovery_codes_left(user) or FactorKind.RECOVERY_CODE not in enrolment.may_add(user):
        return HttpResponseRedirect(next_url)
    codes = enrolment.make_recovery_codes(user=user, context=request.context)
    return show_codes(request, codes, next_url=next_url)


def _typed(form: NewAppForm | NewPasskeyForm) -> dict[str, Any]:
    return {name: value for name, value in form.cleaned_data.items() if name != "transaction"}


def show_codes(request: Request, codes: list[str], *, next_url: str) -> HttpResponse:
    """Show recovery codes. Nobody can show them again."""
    return render(request, "identity/recovery_codes.html", {"codes": codes, "next_url": next_url})


def app_to_add(made: enrolment.NewApp) -> dict[str, Any]:
    """Return what a page shows of an app that is being added: the secret in groups, and the QR code."""
    svg = segno.make(made.uri, error="m").svg_inline(scale=4, border=4, dark="#000", light="#fff", svgclass=None)
    groups = [made.secret[start : start + 4] for start in range(0, len(made.secret), 4)]
    # Nothing of it was typed: segno draws squares.
    return {"secret": " ".join(groups), "qr_code": mark_safe(svg), "app_uri": made.uri}  # noqa: S308


# Signing in without a name ---------------------------------------------------------------------------------


@never_cache
@require_POST
def sign_in_options(request: Request) -> HttpResponse:
    """Make a challenge for the sign-in whose page a script is on, for a passkey in place of name and password."""
    row = steps.find(request, request.POST.get("transaction", ""))
    if row is None or row.state != LoginState.START or not passkey.is_allowed(row.tenant):
        return JsonResponse({"error": "not_here"}, status=400)
    return JsonResponse(passkey.sign_in_options(row, context=request.context))


def take_passkey(request: Request, handle: str) -> login.LoginOutcome:
    """Take what a passkey answered on the page that asks for name and password. Raises IdentityError."""
    form = PasskeyForm(request.POST)
    if not form.is_valid():
        raise PasskeyRefused("malformed", log_detail="form")
    return login.submit_passkey(steps.step(request, handle), credential=form.cleaned_data["credential"])


def unknown_passkey(request: Request, error: IdentityError) -> str:
    """Return what a password manager is told of a passkey that nobody here has; "" after every other refusal."""
    if not isinstance(error, PasskeyRefused) or error.reason != "unknown_credential":
        return ""
    answer = webauthn.read(request.POST["credential"])
    return json.dumps({"rpId": passkey.rp_id(request.context), "unknown": answer.credential_id})


# What others may ask of us ---------------------------------------------------------------------------------


@of_a_tenant
@require_safe
def related_origins(request: Request) -> HttpResponse:
    """Name the origins that use the passkeys of this RP ID (WebAuthn, "Related Origins")."""
    return JsonResponse({"origins": sorted(origins.all_origins(request.context))})


@of_a_tenant
@require_safe
def passkey_endpoints(request: Request) -> HttpResponse:
    """Tell password managers where passkeys are made and managed (W3C, Passkey Endpoints)."""
    origin = origins.origin(request.context)
    return JsonResponse(
        {"enroll": f"{origin}{reverse('identity:add_passkey')}", "manage": f"{origin}{reverse('identity:factors')}"}
    )


@of_a_tenant
@require_safe
def change_password_address(request: Request) -> HttpResponse:
    """Lead password managers to where the password is changed (W3C, Change Password URL)."""
    return HttpResponseRedirect(reverse("identity:change_password"))


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
    user, owner = row.user, ceremonies.owner_of(row)
    kinds = login.enrollable(row)
    context: dict[str, Any] = {"grace": login.grace_of(row)}
    if FactorKind.PASSKEY in kinds:
        made = enrolment.begin_passkey(user=user, owner=owner, context=request.context)
        context["options"] = json.dumps(made)
    if FactorKind.TOTP in kinds:
        context |= app_to_add(enrolment.begin_totp(user=user, owner=owner))
    form = form or NewAppForm()
    return steps.render_page(
        request, "identity/login_enrol.html", row, handle, form=form, error=error, status=status, **context
    )


def take_enrolment(request: Request, row: LoginTransaction, handle: str) -> login.LoginOutcome | HttpResponse:
    """Add an app or a passkey, and show the recovery codes where that ends the sign-in."""
    is_passkey = bool(request.POST.get("credential"))
    form = NewPasskeyForm(request.POST) if is_passkey else NewAppForm(request.POST)
    shown = None if isinstance(form, NewPasskeyForm) else form
    try:
        if "skip" in request.POST:
            return login.skip_enrolment(steps.step(request, handle))
        if not form.is_valid():
            error = PasskeyRefused("malformed") if is_passkey else None
            return show_enrolment(request, row, handle, form=shown, error=error, status=400)
        outcome = login.submit_enrolment(steps.step(request, handle), **_typed(form))
    except StateInvalid:
        raise
    except IdentityError as refusal:
        return show_enrolment(request, row, handle, form=shown, error=refusal, status=status_of(refusal))
    if not outcome.session_handle or outcome.user is None:
        return outcome
    next_url = outcome.next_url or reverse("identity:account")
    response = _codes_once(request, outcome.user, next_url=next_url)
    cookies.set_session(response, request, outcome.session_handle)
    steps.remember_method(request, response, outcome)
    return response
