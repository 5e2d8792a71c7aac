"""The forms of our pages: shape and spelling only. The rules are in the services."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from identity.sign_in.authentication import MAX_IDENTIFIER_LENGTH

MAX_PASSWORD_LENGTH = 1024
MAX_HANDLE_LENGTH = 128


class TransactionForm(forms.Form):
    """A step of something under way on the server."""

    transaction = forms.CharField(required=False, max_length=MAX_HANDLE_LENGTH, widget=forms.HiddenInput)


class LoginForm(TransactionForm):
    """Name and password."""

    identifier = forms.CharField(
        label=_("User name, e-mail or mobile number"),
        max_length=MAX_IDENTIFIER_LENGTH,
        widget=forms.TextInput(
            attrs={
                "autocomplete": "username webauthn",  # WebAuthn, "Autofill": passkeys stand among the names
                "autocapitalize": "none",
                "spellcheck": "false",
                "autofocus": True,
            }
        ),
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=MAX_PASSWORD_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.initial.get("identifier"):
            # The name is known already (OIDCC-3.1.2.1 login_hint): the password is what is left to type.
            self.fields["identifier"].widget.attrs.pop("autofocus")
            self.fields["password"].widget.attrs["autofocus"] = True


class PasswordForm(TransactionForm):
    """The password alone, of somebody who is known already."""

    password = forms.CharField(
        label=_("Password"),
        max_length=MAX_PASSWORD_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )


class NewPasswordForm(TransactionForm):
    """A new password, twice."""

    new_password = forms.CharField(
        label=_("New password"),
        max_length=MAX_PASSWORD_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    repeat_password = forms.CharField(
        label=_("New password again"),
        max_length=MAX_PASSWORD_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        """Refuse two different passwords."""
        data: dict[str, Any] = super().clean() or {}
        first, second = data.get("new_password"), data.get("repeat_password")
        if first and second and first != second:
            self.add_error("repeat_password", _("The two passwords are not the same."))
        return data


class ChangePasswordForm(NewPasswordForm):
    """The old password and a new one."""

    old_password = forms.CharField(
        label=_("Present password"),
        max_length=MAX_PASSWORD_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    field_order = ("old_password", "new_password", "repeat_password")


def _code_field() -> forms.CharField:
    return forms.CharField(
        label=_("Verification code"),
        max_length=40,  # of six digits, however they are spaced
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )


class VerificationCodeForm(TransactionForm):
    """A code that was sent."""

    verification_code = _code_field()


class FactorNameForm(forms.Form):
    """What a person calls a factor."""

    name = forms.CharField(label=_("Name"), max_length=100)


class NewAppForm(VerificationCodeForm):
    """An authenticator app that is being added: its first code, and what to call it."""

    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        required=False,
        help_text=_("So that you know it again, such as the name of your telephone."),
    )

    field_order = ("verification_code", "name")


class PasskeyForm(TransactionForm):
    """What a passkey answered: the JSON that the browser makes of it."""

    credential = forms.CharField(max_length=32_768, strip=False, widget=forms.HiddenInput)


class NewPasskeyForm(PasskeyForm):
    """A passkey that is being added, and what to call it."""

    name = forms.CharField(
        label=_("Name"), max_length=100, required=False, help_text=_("Empty: what its maker calls it.")
    )


class RecoveryCodeForm(TransactionForm):
    """A code from the sheet."""

    recovery_code = forms.CharField(
        label=_("Recovery code"),
        max_length=40,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false", "autofocus": True}
        ),
    )


class MobileForm(TransactionForm):
    """A mobile number. Whether it is one is the tenant's rule."""

    mobile = forms.CharField(
        label=_("Mobile number"),
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "tel", "inputmode": "tel", "autofocus": True}),
    )


class MailboxForm(TransactionForm):
    """An e-mail address. Any text with an @ in it is one; whether anybody has it is not told."""

    email = forms.CharField(
        label=_("E-mail address"),
        max_length=MAX_IDENTIFIER_LENGTH,
        validators=[RegexValidator(r"[^@\s]@[^@\s]", _("Enter an e-mail address."))],
        widget=forms.TextInput(
            attrs={
                "autocomplete": "email webauthn",
                "inputmode": "email",
                "autocapitalize": "none",
                "spellcheck": "false",
                "autofocus": True,
            }
        ),
    )


class IdentifierForm(forms.Form):
    """Whose password was forgotten."""

    identifier = forms.CharField(
        label=_("User name, e-mail or mobile number"),
        max_length=MAX_IDENTIFIER_LENGTH,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
        ),
    )


class ResetPasswordForm(NewPasswordForm):
    """The mailed code and a new password."""

    verification_code = _code_field()
    field_order = ("verification_code", "new_password", "repeat_password")


class ConfirmPasswordForm(forms.Form):
    """The password once more."""

    password = forms.CharField(
        label=_("Password"),
        max_length=MAX_PASSWORD_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )
    next = forms.CharField(required=False, max_length=8000, widget=forms.HiddenInput)


class NoFieldsForm(forms.Form):
    """A question that is answered by a button."""
