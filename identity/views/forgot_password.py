"""A forgotten password: the same pages, at the same pace, whoever is named (S33)."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from identity import cookies
from identity.errors import IdentityError
from identity.forms import IdentifierForm, ResetPasswordForm
from identity.services import credentials, password_reset
from identity.views.messages import add_refusal, set_retry_after, status_of


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """Ask who it is, and send a code to whoever that is."""
    form = IdentifierForm(request.POST or None)
    error: IdentityError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            handle = password_reset.begin(
                tenant=request.context.tenant,  # type: ignore[attr-defined]
                identifier=form.cleaned_data["identifier"],
                binding=cookies.browser_binding(request),
                context=request.context,  # type: ignore[attr-defined]
            )
        except IdentityError as refusal:
            error = refusal
            add_refusal(form, refusal)
        else:
            address = reverse("identity:forgot_password_code")
            return HttpResponseRedirect(f"{address}?{urlencode({'transaction': handle})}")
    status = status_of(error) if error else 400 if form.is_bound else 200
    context = {"form": form, "login_url": reverse("identity:login")}
    response = render(request, "identity/forgot_password.html", context, status=status)
    set_retry_after(response, error)
    return response


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def enter_code(request: HttpRequest) -> HttpResponse:
    """Take the code and the new password."""
    handle = request.POST.get("transaction", "") or request.GET.get("transaction", "")
    if not handle:
        return HttpResponseRedirect(reverse("identity:forgot_password"))
    form = ResetPasswordForm(request.POST or None, initial={"transaction": handle})
    error: IdentityError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            password_reset.finish(
                handle=handle,
                binding=cookies.browser_binding(request),
                verification_code=form.cleaned_data["verification_code"],
                new_password=form.cleaned_data["new_password"],
                context=request.context,  # type: ignore[attr-defined]
            )
        except IdentityError as refusal:
            error = refusal
            add_refusal(form, refusal)
        else:
            return HttpResponseRedirect(reverse("identity:forgot_password_done"))
    policy = credentials.policy_of(request.context.tenant)  # type: ignore[attr-defined]
    context = {"form": form, "masked_target": "", "rules": credentials.policy_in_words(policy)}
    status = status_of(error) if error else 400 if form.is_bound else 200
    response = render(request, "identity/forgot_password_code.html", context, status=status)
    set_retry_after(response, error)
    return response


@never_cache
@require_safe
def done(request: HttpRequest) -> HttpResponse:
    """Say that the password was set."""
    return render(request, "identity/forgot_password_done.html", {"login_url": reverse("identity:login")})
