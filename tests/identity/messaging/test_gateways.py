"""A tenant's own gateways against servers on loopback that check what they are sent."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from identity import crypto
from identity.context import SYSTEM, RequestContext
from identity.errors import SendFailed, ValueInvalid
from identity.messaging import gateways, messages
from identity.messaging.senders import aliyun, hook
from identity.messaging.senders.base import GatewayFacts, Message, NotSent
from identity.models import (
    AuditEvent,
    MessageGateway,
    SentMessage,
    SentState,
    Tenant,
    VerificationChannel,
    VerificationCode,
    VerificationPurpose,
)
from identity.purging import purge_expired
from identity.sign_in import verification
from tests.factories import make_tenant, make_user
from tests.support.gateways import AliyunStub, HookReceiver, MailServer

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "messages.md"
OTHER_HOOK_SECRET = "whsec_" + base64.b64encode(b"the secret that comes next, of 32").decode()
HOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the sample, and of the specification's example
NUMBER = verification.Target(VerificationChannel.SMS, "138-1234-5678")


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant(name="北方", language="zh-hans", message_policy={"allowed_countries": "CN HK"})


@pytest.fixture
def cloud() -> Iterator[AliyunStub]:
    with AliyunStub() as stub:
        yield stub


@pytest.fixture
def receiver() -> Iterator[HookReceiver]:
    with HookReceiver(sample()["verify"]) as stub:
        yield stub


def sample() -> dict[str, Any]:
    """The verification of calls as docs/messages.md prints it."""
    (source,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(source, str(DOCUMENT), "exec"), names)
    return names


def make_gateway(tenant: Tenant, kind: str, *, secret: str = "", position: int = 0, **values: Any) -> MessageGateway:
    """A gateway that is switched on, made as operators make it."""
    channel = values.pop("channel", "email" if kind == "smtp" else "sms")
    row = gateways.create(tenant=tenant, channel=channel, kind=kind, name=kind, position=position, context=SYSTEM)
    gateways.update(
        gateway=row,
        secret=secret,
        context=SYSTEM,
        may_be_internal=True,
        **{"is_internal": True, "is_active": True, **values},
    )
    return row


def make_aliyun(tenant: Tenant, cloud: AliyunStub, **values: Any) -> MessageGateway:
    settings = {
        "access_key_id": cloud.KEY_ID,
        "sign_name": cloud.SIGN_NAME,
        "template_codes": {"*": "SMS_100", "register.en": "SMS_200"},
        "international_template_codes": "* = SMS_900",
        **values.pop("settings", {}),
    }
    return make_gateway(
        tenant, "aliyun", **{"secret": cloud.SECRET, "base_url": cloud.url, "settings": settings, **values}
    )


def send(tenant: Tenant, target: verification.Target = NUMBER, **values: Any) -> verification.SentCode:
    context = RequestContext(tenant=tenant, ip="198.51.100.7", request_id="r-1", language="zh-hans")
    return verification.send(
        **{
            "tenant": tenant,
            "purpose": VerificationPurpose.LOGIN,
            "target": target,
            "user": make_user(tenant),
            "context": context,
            **values,
        }
    )


def sent() -> SentMessage:
    return SentMessage.objects.latest("pk")


# Aliyun ----------------------------------------------------------------------------------------------------


def test_the_signature_is_that_of_aliyuns_own_example():
    # "V3 request structure and signature", section "Fixed parameter values": credentials, date, nonce and result.
    query = aliyun.canonical_query(
        {"RegionId": "cn-shanghai", "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}
    )
    headers = {
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "user-agent": "is not signed",
    }
    assert aliyun.authorization(
        query=query, headers=headers, key_id="YourAccessKeyId", secret="YourAccessKeySecret"
    ) == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,"
        "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def test_all_but_unreserved_characters_are_encoded():
    # The three that a form's encoding spells otherwise, and one of two bytes and more.
    assert aliyun.canonical_query({"b": " *~/", "a": "签+"}) == "a=%E7%AD%BE%2B&b=%20%2A~%2F"


def test_a_code_goes_through_aliyun(tenant, cloud, monkeypatch):
    monkeypatch.setattr("secrets.randbelow", lambda limit: 42)
    gateway = make_aliyun(tenant, cloud)
    send(tenant)
    assert cloud.received == [
        {
            "PhoneNumbers": "13812345678",
            "SignName": "北方测试",
            "TemplateCode": "SMS_100",
            "TemplateParam": '{"code":"000042"}',
            "variables": {"code": "000042"},
        }
    ]
    row = sent()
    assert (row.state, row.reference, row.error_code) == (SentState.SENT, "900619746936498440^0", "")
    assert (row.gateway, row.gateway_name, row.attempt, row.is_test) == (gateway, "aliyun", 1, False)
    assert (row.channel, row.purpose, row.request_id) == ("sms", "login", "r-1")
    assert row.target_masked == "138-1****5678"
    assert 0 <= row.duration_ms < 2000


def test_aliyun_gets_the_template_and_variables_that_were_set_up(tenant, cloud):
    make_aliyun(tenant, cloud, settings={"code_variable": "number", "minutes_variable": "min"})
    english = RequestContext(tenant=tenant, language="en")
    send(tenant, purpose=VerificationPurpose.REGISTER, context=english)
    abroad = verification.Target(VerificationChannel.SMS, "+852-5123-4567")
    send(tenant, abroad)
    first, second = cloud.received
    assert (first["TemplateCode"], second["TemplateCode"]) == ("SMS_200", "SMS_900")
    assert second["PhoneNumbers"] == "85251234567"
    assert set(first["variables"]) == {"number", "min"}
    assert first["variables"]["min"] == "5"


@pytest.mark.parametrize(
    ("answer", "state", "code"),
    [
        (
            AliyunStub.refusal("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1"),
            SentState.REFUSED,
            "isv.BUSINESS_LIMIT_CONTROL",
        ),
        (AliyunStub.refusal("isv.AMOUNT_NOT_ENOUGH", "账户余额不足"), SentState.REFUSED, "isv.AMOUNT_NOT_ENOUGH"),
        (
            AliyunStub.gateway_error(503, "ServiceUnavailable", "The request has failed due to a temporary failure."),
            SentState.REFUSED,
            "ServiceUnavailable",
        ),
        ((502, b"<html>Bad Gateway</html>"), SentState.REFUSED, "HTTP 502, not JSON"),
        ((200, b'{"Code": "O'), SentState.UNCLEAR, "HTTP 200, not JSON"),
        ((200, b'["OK"]'), SentState.UNCLEAR, "HTTP 200, not JSON"),
        ((200, b'{"Code": {"OK": 1}}'), SentState.UNCLEAR, "HTTP 200, no Code"),
        ((200, b"[" * 100_000), SentState.UNCLEAR, "HTTP 200, not JSON"),
        ((302, b'{"Code": "OK"}'), SentState.REFUSED, "OK"),
    ],
    ids=["limit", "money", "unavailable", "html", "broken", "list", "no-code", "deep", "redirect"],
)
def test_what_aliyun_does_not_take_is_told_and_opens_nothing(tenant, cloud, answer, state, code):
    make_aliyun(tenant, cloud)
    cloud.scripted = [answer]
    with pytest.raises(SendFailed):
        send(tenant)
    row = sent()
    assert (row.state, row.error_code) == (state, code)
    assert not VerificationCode.objects.filter(consumed_at=None).exists()


@pytest.mark.security("S41")
def test_a_wrong_secret_is_told_without_what_aliyun_repeats_of_the_request(tenant, cloud, monkeypatch, caplog):
    monkeypatch.setattr("secrets.randbelow", lambda limit: 314_159)
    make_aliyun(tenant, cloud, secret="another secret, long enough")
    with pytest.raises(SendFailed) as caught:
        send(tenant)
    row = sent()
    assert (row.error_code, row.reference) == ("SignatureDoesNotMatch", "F655A8D5-B967-440B-8683-DAD6FF8DE990")
    kept = f"{list(SentMessage.objects.values())} {list(AuditEvent.objects.values())} {caught.value.log_detail}"
    assert "314159" not in kept + caplog.text
    assert "13812345678" not in kept + caplog.text


def test_a_number_abroad_is_left_to_the_next_gateway_where_there_is_no_template(tenant, cloud, receiver):
    make_aliyun(tenant, cloud, settings={"international_template_codes": {}})
    make_gateway(tenant, "hook", secret=HOOK_SECRET, base_url=receiver.url, position=1)
    send(tenant, verification.Target(VerificationChannel.SMS, "+85251234567"))
    assert cloud.received == []
    assert [call["to"] for call in receiver.received] == ["+85251234567"]
    assert list(SentMessage.objects.order_by("pk").values_list("attempt", "state", "error_code")) == [
        (1, "refused", "no template for this message"),
        (2, "sent", ""),
    ]


# The hook ----------------------------------------------------------------------------------------------------


def test_the_signature_is_that_of_the_specifications_example():
    # Standard Webhooks: the example of its reference libraries.
    body = b'{"test": 2432232314}'
    entry = hook.sign(HOOK_SECRET, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=body)
    assert entry == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_code_goes_through_a_hook_that_checks_it_as_documented(tenant, receiver, monkeypatch):
    monkeypatch.setattr("secrets.randbelow", lambda limit: 123_456)
    make_gateway(tenant, "hook", secret=HOOK_SECRET, base_url=f"{receiver.url}/codes?x=1")
    send(tenant)
    assert receiver.received == [
        {
            "type": "verification_code",
            "tenant": tenant.public_id,
            "channel": "sms",
            "purpose": "login",
            "to": "+8613812345678",
            "language": "zh-hans",
            "subject": "",
            "text": receiver.received[0]["text"],
            "code": "123456",
            "valid_minutes": 5,
        }
    ]
    assert "123456" in receiver.received[0]["text"]
    assert receiver.received[0]["text"].startswith("【北方】")
    assert (sent().state, sent().reference) == (SentState.SENT, "provider-42")


def test_a_recorded_call_an_old_one_and_a_changed_one_are_refused_by_the_sample(tenant, receiver):
    make_gateway(tenant, "hook", secret=HOOK_SECRET, base_url=receiver.url)
    send(tenant)
    ((headers, body),) = receiver.calls
    verify = receiver.verify
    with pytest.raises(ValueError, match="seen before"):
        verify(headers, body)
    fresh = sample()["verify"]
    with pytest.raises(ValueError, match="wrong signature"):
        fresh(headers, body.replace(b"login", b"register"))
    with pytest.raises(ValueError, match="wrong signature"):
        fresh({**headers, "webhook-id": "msg_other"}, body)
    later = str(int(headers["webhook-timestamp"]) + 1)
    with pytest.raises(ValueError, match="wrong signature"):
        fresh({**headers, "webhook-timestamp": later}, body)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)), pytest.raises(ValueError, match="too old"):
        fresh(headers, body)
    fresh(headers, body)


def test_two_secrets_give_two_signatures_during_a_change(tenant, receiver):
    make_gateway(tenant, "hook", secret=f"{OTHER_HOOK_SECRET} {HOOK_SECRET}", base_url=receiver.url)
    send(tenant)
    assert len(receiver.calls[0][0]["webhook-signature"].split()) == 2
    assert sent().state == SentState.SENT


@pytest.mark.parametrize(
    ("answer", "reference"),
    [((500, b"no"), None), ((200, b"thanks"), "msg_"), ((204, b""), "msg_"), ((200, b'{"id": "a\\u0000"}'), "msg_")],
    ids=["500", "no-json", "empty", "odd-id"],
)
def test_any_2xx_takes_the_message_and_nothing_else_does(tenant, receiver, answer, reference):
    make_gateway(tenant, "hook", secret=HOOK_SECRET, base_url=receiver.url)
    receiver.scripted = [answer]
    if reference is None:
        with pytest.raises(SendFailed):
            send(tenant)
        assert (sent().state, sent().error_code) == (SentState.REFUSED, "HTTP 500")
        return
    send(tenant)
    assert sent().state == SentState.SENT
    assert sent().reference.startswith(reference)


# SMTP ------------------------------------------------------------------------------------------------------


def make_smtp(tenant: Tenant, server: MailServer, **values: Any) -> MessageGateway:
    settings = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "from_address": "北方 <no-reply@north.example>",
        **values.pop("settings", {}),
    }
    return make_gateway(tenant, "smtp", **{"settings": settings, **values})


def mailbox(address: str = "a@example.org") -> verification.Target:
    return verification.Target(VerificationChannel.EMAIL, address)


def test_a_mailbox_at_a_domain_in_another_script_gets_its_code(tenant):
    with MailServer() as server:
        make_smtp(tenant, server, settings={"from_address": "no-reply@北方.example"})
        send(tenant, mailbox("a@例子.example"))
    (mail,) = server.mails
    assert mail["from"].startswith("FROM:<no-reply@xn--djro74b.example>")
    assert mail["to"] == ["a@xn--fsqu00a.example"]


def test_a_fault_of_ours_in_one_gateway_does_not_keep_the_next_one_from_being_asked(tenant):
    with AliyunStub() as cloud:
        make_aliyun(tenant, cloud, name="broken", settings={"access_key_id": "钥匙"})
        make_aliyun(tenant, cloud, name="next", position=1)
        send(tenant)
    broken, following = SentMessage.objects.order_by("pk")
    assert (broken.gateway_name, broken.state, broken.error_code) == ("broken", "refused", "UnicodeEncodeError")
    assert (following.gateway_name, following.state) == ("next", "sent")


def test_a_code_goes_through_the_tenants_own_mail_server(tenant):
    with MailServer() as server:
        make_smtp(tenant, server)
        send(tenant, mailbox())
        server.refused_recipients = {"b@example.org"}
        with pytest.raises(SendFailed):
            send(tenant, mailbox("b@example.org"))
    (mail,) = server.mails
    assert mail["from"].startswith("FROM:<no-reply@north.example>")
    assert mail["to"] == ["a@example.org"]
    assert re.search(r"\d{6}", mail["message"].get_content())
    first, second = SentMessage.objects.order_by("pk")
    assert first.reference == mail["message"]["Message-ID"]
    assert (second.state, second.error_code) == (SentState.REFUSED, "SMTP 550")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_account_and_mail_travel_inside_tls(tenant, trusted, security, monkeypatch):
    tls = trusted.context("localhost")
    with MailServer(tls=tls, account=("monban", "a good password")) as server:
        if security == "tls":
            inner = server.server.get_request

            def get_request() -> Any:
                connection, address = inner()
                return tls.wrap_socket(connection, server_side=True), address

            monkeypatch.setattr(server.server, "get_request", get_request)
        own = {"host": "localhost", "security": security, "username": "monban"}
        gateway = make_smtp(tenant, server, settings=own, secret="a good password")
        send(tenant, mailbox())
        assert [mail["is_encrypted"] for mail in server.mails] == [security == "starttls"]
        gateways.update(gateway=gateway, secret="a wrong password", context=SYSTEM, may_be_internal=True)
        with pytest.raises(SendFailed):
            send(tenant, mailbox("b@example.org"))
        assert sent().error_code == "SMTP 535"


def test_a_mail_server_that_nobody_vouches_for_gets_no_password(tenant, authority):
    with MailServer(tls=authority.context("localhost"), account=("monban", "a good password")) as server:
        own = {"host": "localhost", "security": "starttls", "username": "monban"}
        make_smtp(tenant, server, settings=own, secret="a good password")
        with pytest.raises(SendFailed):
            send(tenant, mailbox())
    assert server.mails == []
    assert sent().error_code == "CertificateRefused"


# Failover and time -------------------------------------------------------------------------------------------


def test_a_gateway_that_does_not_answer_costs_its_time_and_the_next_one_sends(tenant, cloud, receiver, settings):
    settings.IDENTITY = {**settings.IDENTITY, "gateway_timeout_seconds": 0.3}
    make_aliyun(tenant, cloud)
    cloud.delay_seconds = 1.0
    make_gateway(tenant, "hook", secret=HOOK_SECRET, base_url=receiver.url, position=1)
    began = time.monotonic()
    send(tenant)
    assert time.monotonic() - began < 1.0
    assert len(receiver.received) == 1
    first, second = SentMessage.objects.order_by("pk")
    assert (first.state, first.error_code) == (SentState.UNCLEAR, "TimedOut")
    assert first.duration_ms >= 290
    assert (second.state, second.attempt) == (SentState.SENT, 2)


def test_a_mail_server_that_does_not_answer_is_cut_off(tenant, settings):
    settings.IDENTITY = {**settings.IDENTITY, "gateway_timeout_seconds": 0.3}
    with MailServer() as server:
        server.delay_seconds = 1.0
        make_smtp(tenant, server)
        began = time.monotonic()
        with pytest.raises(SendFailed):
            send(tenant, mailbox())
        assert time.monotonic() - began < 0.9
    assert sent().state == SentState.UNCLEAR


def test_no_gateway_has_more_than_two_seconds():
    from identity.conf import IdentityConf

    assert IdentityConf().gateway_timeout_seconds == 2.0


def test_gateways_are_asked_by_position_and_those_switched_off_are_not(tenant, cloud, receiver):
    make_aliyun(tenant, cloud, position=2)
    make_gateway(tenant, "hook", secret=HOOK_SECRET, base_url=receiver.url, position=1)
    off = make_gateway(tenant, "hook", secret=HOOK_SECRET, base_url=receiver.url, position=0)
    gateways.update(gateway=off, is_active=False, context=SYSTEM, may_be_internal=True)
    send(tenant)
    assert (len(receiver.received), len(cloud.received)) == (1, 0)


def test_a_gateway_that_cannot_be_made_ready_is_passed_over(tenant, receiver):
    make_gateway(tenant, "hook", secret=HOOK_SECRET, base_url=receiver.url, position=2)
    MessageGateway.objects.create(tenant=tenant, name="gone", kind="pigeon", channel="sms", is_active=True)
    MessageGateway.objects.create(
        tenant=tenant,
        name="unreadable",
        kind="hook",
        channel="sms",
        position=1,
        is_active=True,
        secret_sealed=crypto.seal("x", purpose="another"),
    )
    send(tenant)
    assert list(SentMessage.objects.order_by("pk").values_list("gateway_name", "state")) == [
        ("gone", "refused"),
        ("unreadable", "refused"),
        ("hook", "sent"),
    ]


@pytest.mark.security("S36")
def test_another_tenants_gateways_carry_nothing_of_ours(tenant, cloud):
    make_aliyun(make_tenant(), cloud)
    with pytest.raises(SendFailed):
        send(tenant)
    assert cloud.received == []


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_a_gateway_is_asked(cloud):
    tenant = make_tenant()
    make_aliyun(tenant, cloud)
    seen = []

    def look() -> tuple[int, bytes]:
        seen.append((connection_of_the_sender.in_atomic_block, VerificationCode.objects.count()))
        from django.db import connections

        connections.close_all()
        return cloud.gateway_error(503, "ServiceUnavailable", "")

    connection_of_the_sender = connection
    cloud.scripted = [look]
    with pytest.raises(SendFailed):
        send(tenant)
    # The code is committed, as the server's own thread sees it.
    assert seen == [(False, 1)]
    from django.db import transaction

    with pytest.raises(RuntimeError), transaction.atomic():
        send(tenant)


def test_sending_costs_no_more_statements_than_it_did(tenant, cloud):
    make_aliyun(tenant, cloud)
    user = make_user(tenant)
    send(tenant, user=user)
    other = verification.Target(VerificationChannel.SMS, "13900001111")
    fresh = Tenant.objects.select_related("message_policy").get(pk=tenant.pk)
    with CaptureQueriesContext(connection) as queries:
        send(fresh, other, user=user)
    told = [query["sql"].split()[0] for query in queries if "SAVEPOINT" not in query["sql"]]
    # Text, gateways and the record of the try.
    own = [query["sql"] for query in queries if "identity_message" in query["sql"] or "sentmessage" in query["sql"]]
    assert len(own) == 3
    assert len(told) <= 25


# Setting up ------------------------------------------------------------------------------------------------


def refusals(work: Any, *args: Any, **kwargs: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        work(*args, **kwargs)
    return caught.value.message_dict if hasattr(caught.value, "error_dict") else {"": caught.value.messages}


@pytest.mark.parametrize(
    ("kind", "changes", "place"),
    [
        ("aliyun", {"settings": {"access_key_id": ""}}, "access_key_id"),
        ("aliyun", {"settings": {"template_codes": {}}}, "template_codes"),
        ("aliyun", {"settings": {"template_codes": "nonsense = SMS_1"}}, "template_codes"),
        ("aliyun", {"settings": {"template_codes": "login.fr = SMS_1"}}, "template_codes"),
        ("aliyun", {"settings": {"template_codes": "login = SMS 1"}}, "template_codes"),
        ("aliyun", {"settings": {"template_codes": "login = SMS_1\nlogin = SMS_2"}}, "template_codes"),
        ("aliyun", {"settings": {"template_codes": 5}}, "template_codes"),
        ("aliyun", {"settings": {"code_variable": "${code}"}}, "code_variable"),
        ("aliyun", {"settings": {"sign_name": "a\x00b"}}, "sign_name"),
        ("aliyun", {"settings": {"sign_name": ["x"]}}, "sign_name"),
        ("aliyun", {"settings": {"colour": "x"}}, "colour"),
        ("aliyun", {"base_url": "https://dysmsapi.aliyuncs.com/path"}, "base_url"),
        ("aliyun", {"base_url": "http://dysmsapi.aliyuncs.com"}, "base_url"),
        ("aliyun", {"base_url": "https://127.0.0.1"}, "base_url"),
        ("hook", {"base_url": "https://user@hooks.example.org/"}, "base_url"),
        ("hook", {"base_url": ""}, "base_url"),
        ("hook", {"secret": "whsec_c2hvcnQ="}, "secret"),
        ("hook", {"secret": "a plain word of more than two"}, "secret"),
        ("hook", {"secret": "whsec_%%%"}, "secret"),
        ("smtp", {"settings": {"security": "none"}}, "security"),
        ("smtp", {"settings": {"security": "rot13"}}, "security"),
        ("smtp", {"settings": {"host": "10.0.0.1"}}, "host"),
        ("smtp", {"settings": {"host": "a@b"}}, "host"),
        ("smtp", {"settings": {"port": "70000"}}, "port"),
        ("smtp", {"settings": {"port": "²"}}, "port"),
        ("smtp", {"settings": {"from_address": "nobody"}}, "from_address"),
        ("smtp", {"settings": {"username": "x"}}, "secret"),
        ("smtp", {"base_url": "https://x.example"}, "base_url"),
        ("console", {}, "is_active"),
        ("aliyun", {"is_internal": True}, "is_internal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_work_is_refused_where_it_stands(tenant, kind, changes, place):
    good: dict[str, dict[str, Any]] = {
        "aliyun": {
            "settings": {"access_key_id": "k", "sign_name": "s", "template_codes": "* = SMS_1"},
            "secret": "s" * 30,
        },
        "hook": {"base_url": "https://hooks.example.org/codes", "secret": HOOK_SECRET, "settings": {}},
        "smtp": {"settings": {"host": "mail.example.org", "from_address": "a@example.org"}},
        "console": {"settings": {}},
    }
    channel = "email" if kind == "smtp" else "sms"
    row = gateways.create(tenant=tenant, channel=channel, kind=kind, name="x", context=SYSTEM)
    asked = {**good[kind], **changes, "settings": {**good[kind]["settings"], **changes.get("settings", {})}}
    told = refusals(gateways.update, gateway=row, is_active=True, context=SYSTEM, **asked)
    assert set(told) == {place}
    row.refresh_from_db()
    assert not row.is_active
    if kind != "console":
        assert gateways.update(gateway=row, is_active=True, context=SYSTEM, **good[kind])


@pytest.mark.security("S34")
def test_only_who_answers_for_the_installation_changes_a_gateway_for_private_addresses(tenant, cloud):
    row = make_aliyun(tenant, cloud)
    told = refusals(gateways.update, gateway=row, base_url="http://10.0.0.9", context=SYSTEM)
    assert set(told) == {"is_internal"}
    told = refusals(gateways.update, gateway=row, is_internal=False, context=SYSTEM)
    assert set(told) == {"is_internal"}
    assert gateways.update(gateway=row, name="other", context=SYSTEM, may_be_internal=True) == {
        "name": ["aliyun", "other"]
    }


@pytest.mark.security("S34")
@pytest.mark.parametrize("kind", ["hook", "smtp"])
def test_a_name_that_leads_to_a_private_address_is_not_called(tenant, receiver, kind):
    # Nothing about the name is wrong when it is set up; where it leads, only its look-up tells.
    if kind == "hook":
        row = make_gateway(
            tenant, "hook", secret=HOOK_SECRET, is_internal=False, base_url="https://localhost.example.org"
        )
    else:
        own = {"host": "localhost", "port": 25, "from_address": "a@example.org"}
        row = make_gateway(tenant, "smtp", is_internal=False, settings=own)
    MessageGateway.objects.filter(pk=row.pk).update(
        base_url=receiver.url.replace("http:", "https:") if kind == "hook" else ""
    )
    with pytest.raises(SendFailed):
        send(tenant, NUMBER if kind == "hook" else mailbox())
    assert (sent().state, sent().error_code) == (SentState.REFUSED, "AddressRefused")
    assert receiver.calls == []


@pytest.mark.security("S41")
def test_a_secret_is_sealed_masked_and_kept_when_none_is_given(tenant, cloud):
    row = make_aliyun(tenant, cloud)
    assert cloud.SECRET not in str(MessageGateway.objects.filter(pk=row.pk).values())
    assert cloud.SECRET not in repr(messages.facts_of(row))
    before = row.secret_sealed
    assert gateways.update(gateway=row, secret="", name="x", context=SYSTEM, may_be_internal=True) == {
        "name": ["aliyun", "x"]
    }
    row.refresh_from_db()
    assert row.secret_sealed == before
    trail = json.dumps([event.changes for event in AuditEvent.objects.filter(event_type="message_gateway:update")])
    assert "secret" in trail
    assert cloud.SECRET not in trail


def test_a_kind_carries_its_own_channels_only(tenant):
    told = refusals(gateways.create, tenant=tenant, channel="sms", kind="smtp", name="x", context=SYSTEM)
    assert set(told) == {"kind"}
    told = refusals(gateways.create, tenant=tenant, channel="sms", kind="pigeon", name="x", context=SYSTEM)
    assert set(told) == {"kind"}


# Test messages and what stays --------------------------------------------------------------------------------


def test_a_test_message_opens_nothing_and_tells_what_the_gateway_said(tenant, cloud):
    row = make_aliyun(tenant, cloud)
    gateways.update(gateway=row, is_active=False, context=SYSTEM, may_be_internal=True)
    operator = make_user(tenant)
    context = RequestContext(tenant=tenant)
    found = gateways.send_test(gateway=row, target="13812345678", language="en", context=context, actor=operator)
    assert (found.state, found.is_test, found.target_masked) == (SentState.SENT, True, "+86138****5678")
    assert len(cloud.received) == 1
    assert not VerificationCode.objects.exists()
    assert AuditEvent.objects.filter(event_type="message:test").count() == 1
    cloud.scripted = [cloud.refusal("isv.SMS_TEMPLATE_ILLEGAL", "短信模板不合法")]
    found = gateways.send_test(gateway=row, target="13812345678", language="en", context=context, actor=operator)
    assert (found.state, found.error_code) == (SentState.REFUSED, "isv.SMS_TEMPLATE_ILLEGAL")
    for target in ("12", "+447700900123", "nobody"):
        refusals(gateways.send_test, gateway=row, target=target, language="en", context=context, actor=operator)


def test_what_was_sent_is_deleted_when_nobody_asks_for_it_any_more(tenant, cloud):
    make_aliyun(tenant, cloud)
    send(tenant)
    with time_machine.travel(timezone.now() + timedelta(days=29)):
        purge_expired(now=timezone.now())
        assert SentMessage.objects.count() == 1
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        purge_expired(now=timezone.now())
        assert SentMessage.objects.count() == 0


def test_a_gateway_that_is_deleted_leaves_what_it_sent(tenant, cloud):
    row = make_aliyun(tenant, cloud)
    send(tenant)
    gateways.delete(gateway=row, context=SYSTEM)
    assert (sent().gateway, sent().gateway_name) == (None, "aliyun")


# Texts -----------------------------------------------------------------------------------------------------


def set_text(tenant: Tenant, text: str, **values: Any) -> Any:
    return gateways.set_template(
        **{
            "tenant": tenant,
            "channel": "sms",
            "purpose": "login",
            "language": "zh-hans",
            "text": text,
            "context": SYSTEM,
            **values,
        }
    )


def test_a_tenants_own_text_is_sent_in_its_language_and_monbans_in_the_others(tenant, receiver):
    make_gateway(tenant, "hook", secret=HOOK_SECRET, base_url=receiver.url)
    set_text(tenant, "【{tenant}】{code}，{minutes}分钟有效 {{code}}")
    send(tenant)
    send(
        tenant,
        verification.Target(VerificationChannel.SMS, "13900001111"),
        context=RequestContext(tenant=tenant, language="ja"),
    )
    own, japanese = receiver.received
    assert own["text"] == f"【北方】{own['code']}，5分钟有效 {{{own['code']}}}"
    assert japanese["text"].startswith("【北方】")
    assert japanese["code"] in japanese["text"]
    assert "Give it to nobody" not in japanese["text"]


def test_what_is_filled_in_is_not_read_again(tenant):
    tenant.name = "{code} {minutes}\n"
    text = messages.text_of(
        messages.Content(tenant, "111222", 5),
        channel=VerificationChannel.SMS,
        purpose=VerificationPurpose.LOGIN,
        language="en",
    )
    assert text.body.startswith("{code} {minutes}: 111222 is your code")


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"text": "no placeholder"}, "text"),
        ({"text": "{code} {password}"}, "text"),
        ({"text": "{code} {}"}, "text"),
        ({"text": "{code}" + "x" * 300}, "text"),
        ({"text": "{code}\x00"}, "text"),
        ({"text": "{code}", "subject": "x"}, "subject"),
        ({"text": "{code}", "channel": "email"}, "subject"),
        ({"text": "{code}", "channel": "email", "subject": "{code}"}, "subject"),
        ({"text": "{code}", "channel": "email", "subject": "{name}"}, "subject"),
        ({"text": "{code}", "channel": "email", "subject": "a\nBcc: b"}, "subject"),
        ({"text": "{code}", "language": "fr"}, "language"),
        ({"text": "{code}", "purpose": "spam"}, "purpose"),
        ({"text": "{code}", "channel": "fax"}, "channel"),
    ],
    ids=lambda value: "",
)
def test_a_text_that_could_not_be_sent_is_refused(tenant, values, place):
    assert set(refusals(set_text, tenant, **values)) == {place}


def test_a_preview_shows_the_text_with_a_code_that_was_never_sent(tenant):
    row, changes = set_text(tenant, "{tenant} {code} {minutes}")
    assert changes["text"] == ["", "{tenant} {code} {minutes}"]
    assert gateways.preview(row).body == "北方 123456 5"
    assert "123456" in gateways.default_of(row).body
    assert set_text(tenant, "{tenant} {code} {minutes}")[1] == {}


@pytest.mark.parametrize("purpose", list(VerificationPurpose))
@pytest.mark.parametrize("language", ["en", "ja", "zh-hans"])
def test_every_purpose_has_a_text_message_in_every_language(tenant, purpose, language):
    tenant.name = "North"
    text = messages.text_of(
        messages.Content(tenant, "111222", 5), channel=VerificationChannel.SMS, purpose=purpose, language=language
    )
    assert text.body.count("111222") == 1
    assert "{" not in text.body
    assert (text.body.isascii()) is (language == "en")
    assert (text.subject, "5" in text.body, "North" in text.body) == ("", True, True)


# Senders that are given odd things ---------------------------------------------------------------------------


def test_a_sender_hides_its_secret_and_its_message(tenant):
    facts = GatewayFacts("https://x.example", {}, "the secret", is_internal=False)
    message = Message(
        tenant,
        VerificationChannel.SMS,
        VerificationPurpose.LOGIN,
        "+8613812345678",
        "111222",
        5,
        "en",
        "",
        "111222",
    )
    assert "the secret" not in repr(facts)
    assert "111222" not in f"{message!r}{message}"
    assert NotSent("why").code == "why"


def test_a_country_that_the_tenant_does_not_pay_for_is_refused(tenant, cloud):
    make_aliyun(tenant, cloud)
    for number in ("+447700900123", "+19005551234", "12", "not a number", "+8613812345678;ext=1"):
        with pytest.raises(ValueInvalid) as caught:
            send(tenant, verification.Target(VerificationChannel.SMS, number))
        assert caught.value.error_code == "USER.0038", number
    assert cloud.received == []
    assert not VerificationCode.objects.exists()
