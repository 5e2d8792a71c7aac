"""Codes by e-mail, through Django's mail settings (SMTP, or the console in development)."""

from __future__ import annotations

from smtplib import SMTPException

from django.core.mail import EmailMessage, get_connection
from django.template.loader import render_to_string
from django.utils import translation

from identity.models import VerificationPurpose
from identity.senders.base import Message, NotSent

TIMEOUT_SECONDS = 5

_TEMPLATES = {
    VerificationPurpose.RESET_PASSWORD: "password_reset",
    VerificationPurpose.VERIFY_EMAIL: "email_verification",
}
_DEFAULT_TEMPLATE = "verification_code"


class MailSender:
    """One plain-text mail in the person's language."""

    def send(self, message: Message) -> None:
        """Send the mail. Raises NotSent."""
        mail = compose(message)
        try:
            mail.connection = get_connection(timeout=TIMEOUT_SECONDS)
            mail.send(fail_silently=False)
        except (SMTPException, OSError) as error:
            raise NotSent(type(error).__name__) from error


def compose(message: Message) -> EmailMessage:
    """Write the mail."""
    template = f"identity/email/{_TEMPLATES.get(message.purpose, _DEFAULT_TEMPLATE)}"
    context = {
        "tenant": message.tenant,
        "verification_code": message.verification_code,
        "valid_minutes": message.valid_minutes,
    }
    with translation.override(message.language):
        # A line break in a subject would begin a header of its own.
        subject = " ".join(render_to_string(f"{template}_subject.txt", context).split())
        body = render_to_string(f"{template}.txt", context)
    return EmailMessage(subject=subject, body=body, to=[message.target])
