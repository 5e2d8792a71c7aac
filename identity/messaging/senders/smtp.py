"""Codes by e-mail, through a tenant's own mail server.

An operator names the server, so it is treated as any address that comes from outside (S34): it is resolved once and
judged, the connection goes to a judged address and is cut when its time is over, and the mail and the password travel
inside TLS. Only where a superuser marked the gateway internal may it be a private address, or be without TLS.
"""

from __future__ import annotations

import smtplib
import socket
from contextlib import ExitStack
from email.utils import parseaddr
from typing import Any

from django.core.exceptions import ValidationError
from django.core.mail.utils import DNS_NAME
from django.core.validators import validate_email
from django.utils.encoding import punycode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identity import outbound
from identity.conf import conf
from identity.messaging.senders.base import GatewayFacts, GatewayKind, Message, NotSent, Receipt, Setting, read_text
from identity.messaging.senders.mail import compose
from identity.models import VerificationChannel

STARTTLS, TLS, PLAIN = "starttls", "tls", "none"


class SMTPSender:
    """One server and account."""

    def __init__(self, facts: GatewayFacts) -> None:
        self.facts = facts

    def send(self, message: Message) -> Receipt:
        """Deliver the mail to the server. Raises NotSent."""
        own = self.facts.settings
        limits = outbound.Limits.from_settings(total_seconds=conf.gateway_timeout_seconds)
        mail = compose(message, sender=own["from_address"])
        try:
            with outbound.tcp(
                own["host"], own["port"], internal=self.facts.is_internal, limits=limits, share=self.facts.share
            ) as connection:
                self._deliver(connection, to=message.target, mail=mail.message().as_bytes())
        except (outbound.TimedOut, outbound.ConnectionFailed) as gone:
            raise NotSent(type(gone).__name__, is_unclear=True) from gone
        except outbound.OutboundError as error:
            raise NotSent(type(error).__name__) from error
        return Receipt(mail.extra_headers["Message-ID"])

    def _deliver(self, connection: socket.socket, *, to: str, mail: bytes) -> None:
        """Speak SMTP. Its errors end here, as each is an OSError too."""
        own = self.facts.settings
        with ExitStack() as opened:
            if own["security"] == TLS:
                connection = opened.enter_context(
                    outbound.tls_context().wrap_socket(connection, server_hostname=own["host"])
                )
            try:
                server = _Connected(connection, own["host"], own["port"])
                opened.callback(server.close)
                if own["security"] == STARTTLS:
                    server.starttls(context=outbound.tls_context())
                if own["username"]:
                    server.login(own["username"], self.facts.secret)
                server.sendmail(_in_ascii(parseaddr(own["from_address"])[1]), [_in_ascii(to)], mail)
            except smtplib.SMTPResponseException as error:
                raise NotSent("refused by the mail server", code=f"SMTP {error.smtp_code}") from error
            except smtplib.SMTPRecipientsRefused as error:
                ((status, _answer),) = error.recipients.values()
                raise NotSent("refused by the mail server", code=f"SMTP {status}") from error
            except smtplib.SMTPServerDisconnected as gone:
                raise NotSent("ConnectionFailed", is_unclear=True) from gone
            except smtplib.SMTPException as error:
                raise NotSent(type(error).__name__) from error


class _Connected(smtplib.SMTP):
    """smtplib's client over a connection that was made and judged before."""

    def __init__(self, connection: socket.socket, host: str, port: int) -> None:
        self.connection = connection
        super().__init__(host, port, local_hostname=DNS_NAME.get_fqdn())

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self.connection


def _in_ascii(address: str) -> str:
    """Return a mailbox as SMTP names it, whatever script its domain is written in (RFC5891)."""
    name, sign, domain = address.rpartition("@")
    return f"{name}{sign}{punycode(domain)}"


def _read_host(value: Any) -> str:
    host = read_text(value).lower()
    if not host.isascii() or any(sign in host for sign in "/@:%[] "):
        raise ValidationError(_("This is not the name of a host."))
    return host


def _read_port(value: Any) -> int:
    try:
        port = int(str(value)[:6])
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        raise ValidationError(_("This is not a port."))
    return port


def _read_sender(value: Any) -> str:
    text = read_text(value)
    validate_email(parseaddr(text)[1])
    return text


def _check(facts: GatewayFacts) -> None:
    own = facts.settings
    if own["security"] == PLAIN and not facts.is_internal:
        raise ValidationError({"security": _("Without TLS only where a superuser allowed private addresses.")})
    if own["username"] and not facts.secret:
        raise ValidationError({"secret": _("The account needs its password.")})
    try:
        outbound.check_host(own["host"], internal=facts.is_internal)
    except outbound.AddressRefused as error:
        raise ValidationError({"host": str(error)}) from None


KIND = GatewayKind(
    name="smtp",
    label=gettext_lazy("Own mail server (SMTP)"),
    channels=(VerificationChannel.EMAIL,),
    make=SMTPSender,
    secret_label=gettext_lazy("Password"),
    is_secret_required=False,
    check=_check,
    settings=(
        Setting(name="host", label=gettext_lazy("Host"), is_required=True, read=_read_host),
        Setting(name="port", label=gettext_lazy("Port"), is_required=True, default=587, read=_read_port),
        Setting(
            name="security",
            label=gettext_lazy("Encryption"),
            is_required=True,
            default=STARTTLS,
            choices=(
                (STARTTLS, gettext_lazy("STARTTLS (port 587)")),
                (TLS, gettext_lazy("TLS from the start (port 465)")),
                (PLAIN, gettext_lazy("None (private networks only)")),
            ),
        ),
        Setting(name="username", label=gettext_lazy("Account")),
        Setting(
            name="from_address",
            label=gettext_lazy("Sender"),
            help_text=gettext_lazy("Such as `Example <no-reply@example.com>`."),
            is_required=True,
            read=_read_sender,
        ),
    ),
)
