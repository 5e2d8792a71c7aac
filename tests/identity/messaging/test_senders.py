"""The installation's own gateways and the texts that Monban brings."""

from __future__ import annotations

import pytest
from django.core import mail

from identity.context import RequestContext
from identity.errors import SendFailed
from identity.messaging.senders import texts
from identity.messaging.senders.base import Message, NotSent, Receipt, senders_for
from identity.messaging.senders.console import ConsoleSender
from identity.messaging.senders.mail import MailSender
from identity.models import VerificationChannel, VerificationCode, VerificationPurpose
from identity.sign_in import verification
from tests.factories import make_tenant, make_user

CODE = "123456"


class Broken:
    """A gateway that takes nothing."""

    asked = 0

    def send(self, message: Message) -> Receipt:
        Broken.asked += 1
        raise NotSent("away")


@pytest.fixture
def tenant(db):
    return make_tenant(name="North\r\nBcc: all@example.org")


def message(tenant, purpose=VerificationPurpose.SECOND_FACTOR, language="en") -> Message:
    channel = VerificationChannel.EMAIL
    text = texts.default(texts.Content(tenant, CODE, 5), channel=channel, purpose=purpose, language=language)
    return Message(tenant, channel, purpose, "a@example.org", CODE, 5, language, text.subject, text.body)


def configure(settings, **values) -> None:
    settings.IDENTITY = {**settings.IDENTITY, **values}


@pytest.mark.parametrize("purpose", list(VerificationPurpose))
@pytest.mark.parametrize("language", ["en", "ja", "zh-hans"])
def test_every_purpose_has_a_mail_in_every_language(tenant, purpose, language):
    receipt = MailSender().send(message(tenant, purpose, language))
    sent = mail.outbox[0]
    assert CODE in sent.body
    assert sent.to == ["a@example.org"]
    assert "\n" not in sent.subject
    assert (sent.body.isascii()) is (language == "en")
    assert sent.message()["Message-ID"] == receipt.reference


def test_message_hides_its_code_from_logs(tenant):
    assert CODE not in f"{message(tenant)!r}{message(tenant)}"


def test_server_that_is_away_did_not_take_the_message(tenant, settings):
    settings.EMAIL_BACKEND = "tests.support.mail.BrokenBackend"
    with pytest.raises(NotSent) as caught:
        MailSender().send(message(tenant))
    assert str(caught.value) == "ConnectionRefusedError"


def test_console_prints_with_debug_only(tenant, settings, capsys):
    with pytest.raises(NotSent):
        ConsoleSender().send(message(tenant))
    assert capsys.readouterr().out == ""
    configure(settings, debug=True)
    ConsoleSender().send(message(tenant))
    assert capsys.readouterr().out == f"email to a@example.org: {CODE} (second_factor)\n"


def test_channel_without_a_gateway_sends_nothing(tenant):
    assert senders_for(VerificationChannel.SMS) == []
    target = verification.Target(VerificationChannel.SMS, "13812345678")
    with pytest.raises(SendFailed):
        send(tenant, target)
    # Nobody has the code, so it opens nothing and nobody waits for the next one.
    assert not VerificationCode.objects.filter(consumed_at=None).exists()


def test_next_gateway_is_tried(tenant, settings):
    here = f"{__name__}.Broken"
    configure(settings, email_senders=(here, "identity.messaging.senders.mail.MailSender"))
    Broken.asked = 0
    send(tenant, verification.Target(VerificationChannel.EMAIL, "a@example.org"))
    assert (Broken.asked, len(mail.outbox)) == (1, 1)
    configure(settings, email_senders=(here, here))
    with pytest.raises(SendFailed):
        send(tenant, verification.Target(VerificationChannel.EMAIL, "b@example.org"))
    assert Broken.asked == 3


def send(tenant, target: verification.Target) -> verification.SentCode:
    return verification.send(
        tenant=tenant,
        purpose=VerificationPurpose.SECOND_FACTOR,
        target=target,
        user=make_user(tenant),
        context=RequestContext(tenant=tenant),
    )
