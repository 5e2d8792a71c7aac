"""What a message says: a tenant's own template, or the text that Monban brings in each of its languages.

A template is plain text with three placeholders. It is filled in one pass, so that what is put in is never read again,
and nothing in it is code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from identity.models import Tenant, VerificationChannel, VerificationPurpose

CODE, MINUTES, TENANT = "code", "minutes", "tenant"
PLACEHOLDERS = (CODE, MINUTES, TENANT)
MAX_SMS_CHARACTERS = 300
MAX_MAIL_CHARACTERS = 5000
MAX_SUBJECT_CHARACTERS = 150

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

_MAILS = {
    VerificationPurpose.RESET_PASSWORD: "password_reset",
    VerificationPurpose.VERIFY_EMAIL: "email_verification",
}
_DEFAULT_MAIL = "verification_code"

_SMS = {
    VerificationPurpose.RESET_PASSWORD: gettext_noop(
        "{tenant}: {code} is your code for setting a new password, valid for {minutes} minutes. Give it to nobody."
    ),
    VerificationPurpose.REGISTER: gettext_noop(
        "{tenant}: {code} is your code for opening an account, valid for {minutes} minutes. Give it to nobody."
    ),
    VerificationPurpose.BIND: gettext_noop(
        "{tenant}: {code} is your code for linking your account, valid for {minutes} minutes. Give it to nobody."
    ),
    VerificationPurpose.VERIFY_MOBILE: gettext_noop(
        "{tenant}: {code} is your code for verifying this number, valid for {minutes} minutes. Give it to nobody."
    ),
}
_DEFAULT_SMS = gettext_noop(
    "{tenant}: {code} is your code for signing in, valid for {minutes} minutes. Give it to nobody."
)


@dataclass(frozen=True, slots=True)
class Content:
    """What goes into one message."""

    tenant: Tenant
    verification_code: str
    valid_minutes: int


@dataclass(frozen=True, slots=True)
class Text:
    """A template, or what became of it."""

    subject: str  # "" for text messages
    body: str


def default(content: Content, *, channel: VerificationChannel, purpose: VerificationPurpose, language: str) -> Text:
    """Return the text that Monban brings."""
    with translation.override(language):
        if channel == VerificationChannel.SMS:
            return fill(Text("", translation.gettext(_SMS.get(purpose, _DEFAULT_SMS))), content)
        name = f"identity/email/{_MAILS.get(purpose, _DEFAULT_MAIL)}"
        context = {
            "tenant": content.tenant,
            "verification_code": content.verification_code,
            "valid_minutes": content.valid_minutes,
        }
        # A line break in a subject would begin a header of its own.
        subject = " ".join(render_to_string(f"{name}_subject.txt", context).split())
        return Text(subject, render_to_string(f"{name}.txt", context))


def fill(template: Text, content: Content) -> Text:
    """Put code, minutes and the tenant's name in their places."""
    values = {
        CODE: content.verification_code,
        MINUTES: str(content.valid_minutes),
        TENANT: " ".join(content.tenant.name.split()),
    }

    def value(match: re.Match[str]) -> str:
        return values.get(match.group(1), match.group(0))

    return Text(_PLACEHOLDER.sub(value, template.subject), _PLACEHOLDER.sub(value, template.body))


def check(template: Text, *, channel: VerificationChannel) -> None:
    """Refuse a template that could not be sent, or would not say the code. Raises ValidationError."""
    is_mail = channel == VerificationChannel.EMAIL
    _check_placeholders("text", template.body)
    if f"{{{CODE}}}" not in template.body:
        raise ValidationError({"text": _("The text does not say the code: {code} is missing.")})
    longest = MAX_MAIL_CHARACTERS if is_mail else MAX_SMS_CHARACTERS
    if len(template.body) > longest:
        raise ValidationError({"text": _("The text is longer than %(count)d characters.") % {"count": longest}})
    if any(not (sign.isprintable() or sign in "\r\n") for sign in template.body):
        raise ValidationError({"text": _("The text holds characters that cannot be seen.")})
    if not is_mail:
        if template.subject:
            raise ValidationError({"subject": _("Text messages have no subject.")})
        return
    _check_placeholders("subject", template.subject)
    if not template.subject.strip():
        raise ValidationError({"subject": _("A mail needs a subject.")})
    if f"{{{CODE}}}" in template.subject:
        # Subjects stand in the logs of mail servers and on locked screens.
        raise ValidationError({"subject": _("The code does not belong in the subject, which servers log.")})
    if len(template.subject) > MAX_SUBJECT_CHARACTERS or not template.subject.isprintable():
        raise ValidationError({"subject": _("The subject is too long, or has more than one line.")})


def _check_placeholders(name: str, text: str) -> None:
    for found in _PLACEHOLDER.findall(text):
        if found not in PLACEHOLDERS:
            raise ValidationError(
                {name: _("{%(found)s} is no placeholder. There are {code}, {minutes} and {tenant}.") % {"found": found}}
            )
