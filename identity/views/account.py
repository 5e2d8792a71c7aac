"""The signed-in person's own page: profile, sessions, consents, mailbox, password."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from identity import cookies, crypto, policies, registry
from identity.decorators import session_required
from identity.errors import CredentialsRefused, IdentityError, NotFound
from identity.http import Request, SignedInRequest, tenant_of
from identity.models import Device, SessionEndReason, SSOSession, User, VerificationPurpose
from identity.passwords import credentials
from identity.sign_in import account, reauthentication, verification
from identity.sign_in.forms import ChangePasswordForm, ConfirmPasswordForm, VerificationCodeForm
from identity.sso import devices, sessions, sign_outs
from identity.views import errors, external, next_urls, stale_forms
from identity.views.logout import leave
from identity.views.messages import add_refusal, set_retry_after, status_of

# What a browser calls itself, roughly; the first that fits. Everything else is "Browser".
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_ENDED_SHOWN_FOR = timedelta(days=1)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@never_cache
@require_safe
@session_required
def overview(request: SignedInRequest) -> HttpResponse:
    """Show the account page."""
    user = request.user
    context = {
        "user": user,
        "profile": _profile(user),
        "email": user.email,
        "email_verified": user.email_verified,
        "sessions": [_session_row(row, request=request) for row in sessions.list_open(user)],
        "devices": [_device_row(row) for row in devices.list_of(user)],
        "ended_sessions": _ended_sessions(user),
        "consents": _consents(user),
        "links": external.rows_of(user),
        "change_password_url": reverse("identity:change_password"),
        # Whoever came by another road has no present password to tell, and sets one as if it was forgotten.
        "set_password_url": "" if user.has_usable_password() else reverse("identity:forgot_password"),
        "verify_email_url": reverse("identity:verify_email"),
        "logout_url": reverse("identity:logout"),
        "password_changed_at": user.password_changed_at,
    }
    return render(request, "identity/account.html", context)


@stale_forms.leads_to(stale_forms.account_page)
@never_cache
@require_POST
@session_required
def end_session(request: SignedInRequest, sid: str) -> HttpResponse:
    """End one of the person's own sessions."""
    try:
        session = sessions.get_own(user=request.user, sid=sid)
    except NotFound:
        return errors.not_found(request)
    if session.pk == request.sso_session.pk:
        return leave(request)
    sessions.end(session, reason=SessionEndReason.ENDED_BY_USER, context=request.context, actor=request.user)
    return HttpResponseRedirect(reverse("identity:account"))


@stale_forms.leads_to(stale_forms.account_page)
@never_cache
@require_POST
@session_required
def withdraw_consent(request: SignedInRequest, source: str, consent_id: str) -> HttpResponse:
    """Withdraw one of the person's own consents, and what it gave."""
    registered = registry.consent_sources().get(source)
    if registered is None or "\x00" in consent_id:
        return errors.not_found(request)
    user = request.user
    if not registered.withdraw(user=user, consent_id=consent_id, context=request.context):
        return errors.not_found(request)
    return HttpResponseRedirect(reverse("identity:account"))


@stale_forms.leads_to(stale_forms.same_page)
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@session_required
def change_password(request: SignedInRequest) -> HttpResponse:
    """Change the password. All other sessions end; this browser gets a new one (S27)."""
    form = ChangePasswordForm(request.POST or None)
    error: IdentityError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            _opened, handle = account.change_password(
                session=request.sso_session,
                old_password=form.cleaned_data["old_password"],
                new_password=form.cleaned_data["new_password"],
                context=request.context,
            )
        except CredentialsRefused as refusal:
            error = refusal
            form.add_error("old_password", _("The present password is not right."))
        except IdentityError as refusal:
            error = refusal
            add_refusal(form, refusal)
        else:
            return _with_session(request, f"{reverse('identity:change_password')}?done=1", handle)
    policy = policies.password_policy(tenant_of(request))
    status = status_of(error) if error else 400 if form.is_bound else 200
    context = {
        "form": form,
        "rules": credentials.policy_in_words(policy),
        "done": request.method != "POST" and "done" in request.GET,
        "account_url": reverse("identity:account"),
    }
    response = render(request, "identity/change_password.html", context, status=status)
    set_retry_after(response, error)
    return response


@stale_forms.leads_to(stale_forms.same_page)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@session_required
def verify_email(request: SignedInRequest) -> HttpResponse:
    """Prove the e-mail address by a mailed code."""
    user = request.user
    if not user.email:
        return HttpResponseRedirect(reverse("identity:account"))
    form = VerificationCodeForm(request.POST if request.method == "POST" and "resend" not in request.POST else None)
    error: IdentityError | None = None
    if request.method == "POST" and not user.email_verified:
        try:
            if "resend" in request.POST:
                account.send_email_code(user=user, context=request.context)
                return HttpResponseRedirect(reverse("identity:verify_email"))
            if form.is_valid():
                code = form.cleaned_data["verification_code"]
                account.verify_email(user=user, verification_code=code, context=request.context)
                return HttpResponseRedirect(reverse("identity:verify_email"))
        except IdentityError as refusal:
            error = refusal
            add_refusal(form, refusal)
    sent = verification.find_open(
        tenant=user.tenant, purpose=VerificationPurpose.VERIFY_EMAIL, target=verification.email_of(user)
    )
    context = {
        "form": form,
        "email": user.email,
        "sent": sent is not None,
        "verified": user.email_verified,
        "account_url": reverse("identity:account"),
    }
    status = status_of(error) if error else 400 if form.is_bound and not user.email_verified else 200
    response = render(request, "identity/verify_email.html", context, status=status)
    set_retry_after(response, error)
    return response


@stale_forms.leads_to(stale_forms.same_page)
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@session_required
def confirm_password(request: SignedInRequest) -> HttpResponse:
    """Ask for the password once more, before something sensitive."""
    form = ConfirmPasswordForm(request.POST or None, initial={"next": next_urls.requested(request)})
    error: IdentityError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            handle = reauthentication.confirm_password(
                session=request.sso_session, password=form.cleaned_data["password"], context=request.context
            )
        except CredentialsRefused as refusal:
            error = refusal
            form.add_error("password", _("The password is not right."))
        except IdentityError as refusal:
            error = refusal
            add_refusal(form, refusal)
        else:
            return _with_session(request, next_urls.requested(request) or reverse("identity:account"), handle)
    status = status_of(error) if error else 400 if form.is_bound else 200
    context = {"form": form, "reason": _REASON}
    response = render(request, "identity/confirm_password.html", context, status=status)
    set_retry_after(response, error)
    return response


_REASON = gettext_lazy("This change is sensitive. Please enter your password again before you go on.")


def _profile(user: User) -> list[tuple[str, str]]:
    """Return rows of the profile. The mobile number is masked: the page may stand open."""
    return [
        (_("Name"), user.name),
        (_("User name"), user.user_name),
        (_("Mobile number"), crypto.mask_mobile(user.mobile) if user.mobile else ""),
        (_("Employee id"), user.employee_id),
    ]


def _session_row(row: SSOSession, *, request: SignedInRequest) -> dict[str, Any]:
    names = {participant.application.name for participant in row.participants.all()}
    return {
        "id": row.sid,
        "is_current": row.pk == request.sso_session.pk,
        "device": device_name(row.user_agent),
        "ip": row.ip or "",
        "started_at": row.authenticated_at,
        "last_seen_at": row.last_seen_at,
        "applications": sorted(names),
        "end_url": reverse("identity:end_session", args=[row.sid]),
    }


def _device_row(row: Device) -> dict[str, Any]:
    return {
        "name": device_name(row.agent),
        "os_version": row.os_version,
        "ip": row.ip or "",
        "first_seen_at": row.first_seen_at,
        "last_seen_at": row.last_seen_at,
    }


def _ended_sessions(user: User) -> list[dict[str, Any]]:
    """Return what the applications of sessions that ended lately have answered."""
    ended = sessions.list_ended(user, since=timezone.now() - _ENDED_SHOWN_FOR)
    reports = sign_outs.report(ended)
    return [
        {
            "device": device_name(row.user_agent),
            "ended_at": row.ended_at,
            "reason": row.get_end_reason_display(),
            "applications": reports[row.pk],
        }
        for row in ended
        if row.pk in reports
    ]


def device_name(user_agent: str) -> str:
    """Return a browser's name for people: "Firefox, Windows"."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser or system:
        return ", ".join(name for name in (browser, system) if name)
    # An unknown browser is shown by the first word of what it calls itself, cut and without signs.
    word = re.sub(r"[^\w./ -]", "", user_agent)[:40].strip()
    return word or str(_("Unknown device"))


def _consents(user: User) -> list[dict[str, Any]]:
    found = [
        (name, consent) for name, source in registry.consent_sources().items() for consent in source.list(user=user)
    ]
    found.sort(key=lambda pair: pair[1].granted_at, reverse=True)
    return [
        {
            "client_name": consent.client_name,
            "scopes": list(consent.scopes),
            "granted_at": consent.granted_at,
            "withdraw_url": reverse("identity:withdraw_consent", args=[name, consent.consent_id]),
        }
        for name, consent in found
    ]


def _with_session(request: Request, path: str, handle: str) -> HttpResponse:
    """Go on, with the session's new handle."""
    response = HttpResponseRedirect(path)
    cookies.set_session(response, request, handle)
    return response
