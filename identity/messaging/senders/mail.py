"""Codes by e-mail, through Django's mail settings (SMTP, or the console in development)."""

from __future__ import annotations

from email.utils import make_msgid
from smtplib import SMTPException

from django.core.mail import EmailMessage, get_connection
from django.core.mail.utils import DNS_NAME
from django.utils.translation import gettext_lazy as _

from identity.conf import conf
from identity.messaging.senders.base import GatewayKind, Message, NotSent, Receipt
from identity.models import VerificationChannel


class MailSender:
    """One plain-text mail through the installation's own server."""

    def send(self, message: Message) -> Receipt:
        """Send the mail. Raises NotSent."""
        mail = compose(message)
        try:
            mail.connection = get_connection(timeout=conf.gateway_timeout_seconds)
            mail.send(fail_silently=False)
        except (SMTPException, OSError) as error:
            raise NotSent(type(error).__name__, is_unclear=isinstance(error, TimeoutError)) from error
        return Receipt(mail.extra_headers["Message-ID"])


def compose(message: Message, *, sender: str | None = None) -> EmailMessage:
    """Write the mail, with an id by which the server's log can be searched."""
    return EmailMessage(
        subject=message.subject,
        body=message.text,
        from_email=sender,
        to=[message.target],
        headers={"Message-ID": make_msgid(domain=DNS_NAME.get_fqdn())},
    )


KIND = GatewayKind(
    name="mail",
    label=_("This installation's mail server"),
    channels=(VerificationChannel.EMAIL,),
    make=lambda facts: MailSender(),
)
