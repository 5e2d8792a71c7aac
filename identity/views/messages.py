"""Domain errors in words for people, and the status of the page that shows them."""

from __future__ import annotations

from django import forms
from django.forms.utils import ErrorDict
from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from identity.errors import (
    AccessDenied,
    AccountDisabled,
    AccountLocked,
    CredentialsRefused,
    IdentityError,
    PasskeyRefused,
    PasswordRefused,
    SendFailed,
    StateInvalid,
    SystemBusy,
    TooManyRequests,
    ValueRequired,
    VerificationRefused,
)


def explain(error: IdentityError) -> str:
    """Return what a person is told. Never more than the person proved to know (S33)."""
    if isinstance(error, CredentialsRefused | AccountDisabled):
        return _("The user name or the password is not right.")
    if isinstance(error, AccountLocked):
        minutes = _minutes(error)
        return ngettext(
            "Too many failed attempts. Try again in %(count)d minute.",
            "Too many failed attempts. Try again in %(count)d minutes.",
            minutes,
        ) % {"count": minutes}
    if isinstance(error, TooManyRequests):
        return _("Too many attempts. Please wait a little and try again.")
    if isinstance(error, SystemBusy):
        return _("Too many people are signing in right now. Please try again in a few seconds.")
    if isinstance(error, PasskeyRefused):
        return _("This passkey was not accepted. Try again, or choose another way.")
    if isinstance(error, VerificationRefused):
        return _("The code is not right, or it is no longer valid.")
    if isinstance(error, SendFailed):
        return _("The code could not be sent. Please try again later.")
    if isinstance(error, StateInvalid):
        return _("This page is out of date. Please start again.")
    if isinstance(error, AccessDenied):
        return _("You may not use this application.")
    if error.error_code in _BY_CODE:
        return str(_BY_CODE[error.error_code])
    if isinstance(error, PasswordRefused | ValueRequired):
        return explain_password(error)
    return _("Something went wrong. Please try again later.")


# Codes that several kinds of refusals share, each with one meaning on our pages.
_BY_CODE = {
    "MFA.0001": gettext_lazy("This is your last second factor, and one is needed here. Add another one first."),
    "MFA.0002": gettext_lazy("You have as many of these as anybody may have. Remove one first."),
    "MFA.0003": gettext_lazy("This kind of second step is not allowed here. Choose another one."),
    "MFA.0004": gettext_lazy("This way of signing in is not offered here. Choose another one."),
    "RIGHT.0004": gettext_lazy("This password is not reset in this way. Ask another administrator."),
    "SOCIAL.0001": gettext_lazy(
        "This account, or another one of the same provider, is linked already. Unlink it first."
    ),
    "SOCIAL.0002": gettext_lazy("This is your last way to sign in. Set a password first."),
    "USER.0001": gettext_lazy("Nobody here has this mobile number. Choose another one, or use your password."),
    "USER.0010": gettext_lazy("Enter a mobile number."),
    "USER.0038": gettext_lazy("This is no mobile number that a code can be sent to."),
}


def explain_password(error: IdentityError) -> str:
    """Return why a new password was refused."""
    texts = {
        "PWD.0001": _("This password was used before. Choose another one."),
        "PWD.0002": _("The password must not be the user name backwards."),
        "PWD.0003": _("The password must not contain your user name, name, mobile number or e-mail address."),
        "PWD.0004": _("Many people use this password. Choose another one."),
        "PWD.0005": _("The password is not varied enough. Mix letters, digits and other characters."),
        "PWD.0006": _("One character is repeated too often in the password."),
        "PWD.0007": _("The length of the password is not allowed."),
        "PWD.0008": _("Enter a password."),
        "PARAM.0020": _("The new password is the same as the present one."),
    }
    return texts.get(error.error_code) or _("The password was refused.")


def status_of(error: IdentityError) -> int:
    """Return the status of the page: 429 or 503 where waiting helps, else 400."""
    if isinstance(error, SystemBusy):
        return 503
    return 429 if isinstance(error, AccountLocked | TooManyRequests) else 400


def retry_after_seconds(error: IdentityError) -> int | None:
    """Return how long to wait, where waiting helps."""
    if isinstance(error, TooManyRequests | SystemBusy):
        return error.retry_after_seconds
    if isinstance(error, AccountLocked):
        minutes, seconds = error.params
        return int(str(minutes)) * 60 + int(str(seconds))
    return None


def _minutes(error: AccountLocked) -> int:
    return -(-(retry_after_seconds(error) or 0) // 60)


def add_refusal(form: forms.Form, error: IdentityError) -> None:
    """Put a refusal into a form, also into one that nobody has filled in yet."""
    if not form.is_bound:
        form._errors = ErrorDict()  # type: ignore[attr-defined]
        form.cleaned_data = {}
    form.add_error(None, explain(error))


def set_retry_after(response: HttpResponse, error: IdentityError | None) -> None:
    """Say when to come back, where waiting helps."""
    seconds = retry_after_seconds(error) if error is not None else None
    if seconds is not None:
        response["Retry-After"] = str(seconds)
