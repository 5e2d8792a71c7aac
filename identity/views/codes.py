"""The page that takes the code by which a sign-in begins. It is the same whether anybody has the address (S33)."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect

from identity import policies
from identity.browser.interaction import sign_in_page
from identity.errors import CaptchaRefused, IdentityError, StateInvalid
from identity.http import Request
from identity.models import LoginTransaction, SignInMethod, VerificationChannel
from identity.sign_in import first_codes, login
from identity.sign_in.forms import TransactionForm, VerificationCodeForm
from identity.views import methods, puzzles, steps
from identity.views.messages import status_of


def show_code(
    request: Request,
    row: LoginTransaction,
    handle: str,
    *,
    form: TransactionForm | None = None,
    error: IdentityError | None = None,
    status: int = 200,
    puzzle: dict[str, Any] | None = None,
) -> HttpResponse:
    """Ask for the code. puzzle: to be solved for another one, in place of the field for the code."""
    ordered = first_codes.find(row)
    if ordered is None:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} has ordered no code")
    sent, channel = ordered.sent, ordered.target.channel
    offered = policies.sign_in_methods(row.tenant)
    others = [method for method in offered if method != channel]
    context = {
        "masked_target": ordered.target.masked,
        **steps.resend(sent.resend_at if sent else None),
        "puzzle": puzzle,
        "code_url": sign_in_page(handle),
        "mail_url": methods.address(SignInMethod.EMAIL, handle) if SignInMethod.EMAIL in others else "",
        "address_url": methods.address(channel, handle),
        "is_by_sms": channel == VerificationChannel.SMS,
        "other_url": methods.address(others[0], handle) if others else "",
    }
    form = form or VerificationCodeForm()
    return steps.render_page(
        request, "identity/login_code.html", row, handle, form=form, error=error, status=status, **context
    )


def take_code(request: Request, row: LoginTransaction, handle: str) -> login.LoginOutcome | HttpResponse:
    """Check the code, or send another one."""
    is_resend = "resend" in request.POST
    # Whoever asks for another code types nothing beside the puzzle.
    form = TransactionForm(request.POST) if is_resend else VerificationCodeForm(request.POST)
    try:
        if is_resend:
            first_codes.order_again(steps.step(request, handle, row), answer=puzzles.answer_in(request))
            return HttpResponseRedirect(sign_in_page(handle))
        if not form.is_valid():
            return show_code(request, row, handle, form=form, status=400)
        verification_code = form.cleaned_data["verification_code"]
        return first_codes.submit(steps.step(request, handle, row), verification_code=verification_code)
    except StateInvalid:
        raise
    except CaptchaRefused as refusal:
        form.full_clean()
        asked = puzzles.ask(request, form, refusal)
        shown = form if asked.puzzle is not None else None
        return show_code(request, row, handle, form=shown, error=asked.error, status=asked.status, puzzle=asked.puzzle)
    except IdentityError as error:
        shown = None if is_resend else form
        return show_code(request, row, handle, form=shown, error=error, status=status_of(error))
