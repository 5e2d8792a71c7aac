"""Pumping: what strangers may order at a tenant's cost; numbers and countries; codes by text message."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from identity import policies
from identity.context import SYSTEM, DeviceFacts, RequestContext
from identity.directory import tenants
from identity.errors import IdentityError, TooManyRequests, ValueInvalid, VerificationRefused
from identity.messaging import countries, messages, phone
from identity.messaging.senders.base import Message
from identity.models import (
    AttemptCounter,
    MessagePolicy,
    Tenant,
    VerificationChannel,
    VerificationCode,
    VerificationPurpose,
)
from identity.sign_in import verification
from tests.factories import make_tenant, make_user
from tests.support.at_once import at_once, kinds

LOGIN = VerificationPurpose.LOGIN
SENT: list[Message] = []


class Taker:
    """A gateway that takes everything."""

    def send(self, message: Message) -> None:
        SENT.append(message)


@pytest.fixture(autouse=True)
def taker(settings: Any) -> list[Message]:
    settings.IDENTITY = {**settings.IDENTITY, "sms_senders": (f"{__name__}.Taker",)}
    SENT.clear()
    return SENT


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant(message_policy={"allowed_countries": "*"})


def number(text: str) -> verification.Target:
    return verification.Target(VerificationChannel.SMS, text)


def context_of(tenant: Tenant, *, ip: str = "198.51.100.7", device: str = "") -> RequestContext:
    facts = DeviceFacts(device, "Android 10", "agent") if device else None
    return RequestContext(tenant=tenant, ip=ip, device=facts)


def send(tenant: Tenant, to: str, *, purpose: VerificationPurpose = LOGIN, **context: Any) -> verification.SentCode:
    return verification.send(
        tenant=tenant, purpose=purpose, target=number(to), user=None, context=context_of(tenant, **context)
    )


def wait_for(tenant: Tenant, to: str, **context: Any) -> int:
    """The seconds of Retry-After."""
    with pytest.raises(TooManyRequests) as caught:
        send(tenant, to, **context)
    return caught.value.retry_after_seconds


# Limits ----------------------------------------------------------------------------------------------------


@pytest.mark.security("S31")
def test_one_number_in_many_spellings_is_one_number(tenant):
    now = timezone.now()
    spellings = ("13812345678", "+8613812345678", "86-138-1234-5678", "0086 13812345678", "138 1234 5678")
    for minute, spelling in enumerate(spellings):
        with time_machine.travel(now + timedelta(minutes=2 * minute), tick=False):
            send(tenant, spelling)
    with time_machine.travel(now + timedelta(minutes=10), tick=False):
        assert 3400 < wait_for(tenant, "(138)12345678") <= 3600
    assert {message.target for message in SENT} == {"+8613812345678"}
    assert VerificationCode.objects.filter(consumed_at=None).count() == 1


def test_a_code_sent_to_one_spelling_is_proved_under_another(tenant):
    send(tenant, "13812345678")
    proved = verification.prove(
        tenant=tenant, purpose=LOGIN, target=number("+86-13812345678"), verification_code=SENT[0].verification_code
    )
    verification.spend(proved)
    with pytest.raises(VerificationRefused):
        verification.spend(proved)


def test_a_number_has_a_limit_of_the_day(tenant):
    MessagePolicy.objects.filter(tenant=tenant).update(per_target_hour=2, per_target_day=3)
    tenant = Tenant.objects.get(pk=tenant.pk)
    now = timezone.now()
    for hours in (0, 1, 3):
        with time_machine.travel(now + timedelta(hours=hours), tick=False):
            send(tenant, "13812345678")
    with time_machine.travel(now + timedelta(hours=6), tick=False):
        assert wait_for(tenant, "13812345678") == 18 * 3600
        # A telephone that rings does not care what the message is for.
        assert wait_for(tenant, "13812345678", purpose=VerificationPurpose.REGISTER) == 18 * 3600
    with time_machine.travel(now + timedelta(hours=24, seconds=1), tick=False):
        send(tenant, "13812345678")


def test_a_device_has_a_limit_wherever_it_goes(tenant):
    limit = tenant.message_policy.per_device_hour
    for count in range(limit):
        send(tenant, f"1381234{count:04d}", ip=f"198.51.100.{count}", device="156aysdna213sac")
    assert wait_for(tenant, "13900001111", ip="203.0.113.1", device="156aysdna213sac") <= 3600
    send(tenant, "13900001111", ip="203.0.113.1", device="another")


def test_a_network_address_has_a_limit_whatever_the_device(tenant):
    limit = tenant.message_policy.per_source_hour
    for count in range(limit):
        send(tenant, f"1381234{count:04d}", device=f"device-{count}")
    assert wait_for(tenant, "13900001111", device="fresh") <= 3600
    assert len(SENT) == limit


def test_a_tenant_has_a_limit_of_the_day_that_an_operator_can_raise(tenant):
    tenants.update_policy(policy=tenant.message_policy, per_tenant_day=3, context=SYSTEM)
    for count in range(3):
        send(tenant, f"1381234{count:04d}")
    assert 23 * 3600 < wait_for(tenant, "13900001111") <= 24 * 3600
    # It is the tenant's, so another one's goes on.
    send(make_tenant(), "13900001111")
    tenants.update_policy(policy=tenant.message_policy, per_tenant_day=4, context=SYSTEM)
    send(tenant, "13900001111")
    wait_for(tenant, "13900002222")


def test_what_is_refused_is_not_counted(tenant):
    send(tenant, "13812345678")
    for _try in range(50):
        assert wait_for(tenant, "13812345678") <= 60
    assert set(AttemptCounter.objects.values_list("failures", flat=True)) == {1}


# Countries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "policy", "allowed", "refused"),
    [
        ("Asia/Shanghai", {}, "13812345678", "+85251234567"),
        ("Asia/Tokyo", {}, "090-1234-5678", "+8613812345678"),
        ("Asia/Tokyo", {"country": "CN"}, "13812345678", "+819012345678"),
        ("UTC", {}, "13812345678", "+819012345678"),
        ("Asia/Shanghai", {"allowed_countries": "HK MO"}, "+85251234567", "13812345678"),
        ("America/New_York", {}, "+12125550123", "+18765550123"),  # one calling code, two countries
    ],
)
def test_a_tenant_sends_to_its_own_country_or_to_those_it_names(db, zone, policy, allowed, refused):
    tenant = make_tenant(time_zone=zone, message_policy=policy)
    send(tenant, allowed)
    with pytest.raises(ValueInvalid) as caught:
        send(tenant, refused)
    assert caught.value.error_code == "USER.0038"
    assert len(SENT) == 1


def test_what_is_sent_to_nobody_uses_up_no_day_of_the_tenant(db):
    tenant = make_tenant(message_policy={"per_tenant_day": 1})
    nobodys = {"tenant": tenant, "purpose": LOGIN, "user": None, "is_deliverable": False}
    for last in range(3):
        verification.send(**nobodys, target=number(f"1381234567{last}"), context=context_of(tenant))
    send(tenant, "13812345678")
    assert len(SENT) == 1
    # What is used up is told to nobody and to somebody alike (S33).
    with pytest.raises(TooManyRequests):
        verification.send(**nobodys, target=number("13812345679"), context=context_of(tenant))
    with pytest.raises(TooManyRequests):
        send(tenant, "13912345678")


@pytest.mark.security("S33")
def test_a_refused_country_is_told_for_numbers_of_nobody_too(db):
    tenant = make_tenant()
    for is_deliverable in (True, False):
        with pytest.raises(ValueInvalid):
            verification.send(
                tenant=tenant,
                purpose=LOGIN,
                target=number("+447700900123"),
                user=None,
                context=context_of(tenant),
                is_deliverable=is_deliverable,
            )


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        "12",
        "+",
        "nobody",
        "1-800-FLOWERS",
        "54321",
        "138123456789",  # a telephone's number and a digit more
        "+86138123456",
        "+19005551234",
        "\x00",
        "\ud800",
        "1" * 5000,
        "+8613812345678;ext=5",
    ],
    ids=range(13),
)
def test_what_is_no_number_or_a_paid_one_reaches_nobody(tenant, spelling):
    assert phone.parse(spelling, country="CN") is None
    with pytest.raises(ValueInvalid):
        send(tenant, spelling)


def test_a_number_that_only_the_tenants_rule_knows_is_still_sent_to(tenant):
    # Decision 3: libphonenumber spells numbers, and does not say which ones people may have.
    send(tenant, "12345678901")
    assert SENT[0].target == "+8612345678901"


@pytest.mark.parametrize(
    "values",
    [
        {"country": "cn"},
        {"country": "XX"},
        {"allowed_countries": "CN,HK"},
        {"allowed_countries": "CN ZZ"},
        {"per_target_hour": 0},
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(tenant, values):
    with pytest.raises(ValidationError):
        tenants.update_policy(policy=tenant.message_policy, context=SYSTEM, **values)


def test_a_tenant_without_a_policy_has_the_defaults(tenant):
    MessagePolicy.objects.all().delete()
    bare = Tenant.objects.get(pk=tenant.pk)
    assert policies.message_policy(bare).per_target_hour == 5
    assert phone.country_of(bare) == "CN"
    assert not messages.is_country_allowed("HK", tenant=bare)
    assert not messages.is_country_allowed("", tenant=bare)


# Codes by text message -------------------------------------------------------------------------------------


def prove(tenant: Tenant, code: str, **values: Any) -> verification.Proved:
    return verification.prove(
        **{"tenant": tenant, "purpose": LOGIN, "target": number("13812345678"), "verification_code": code, **values}
    )


@pytest.mark.security("S30")
def test_a_code_by_text_message_has_six_digits_five_tries_and_five_minutes(tenant, monkeypatch):
    monkeypatch.setattr("secrets.randbelow", lambda limit: 7 if limit == 10**6 else 0)
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        send(tenant, "13812345678")
    assert SENT[0].verification_code == "000007"
    row = VerificationCode.objects.get()
    assert "000007" not in str(VerificationCode.objects.values().get())
    with time_machine.travel(now + timedelta(minutes=5), tick=False), pytest.raises(VerificationRefused):
        prove(tenant, "000007")
    with time_machine.travel(now + timedelta(minutes=4, seconds=59), tick=False):
        for _try in range(5):
            with pytest.raises(VerificationRefused):
                prove(tenant, "123456")
        with pytest.raises(VerificationRefused):
            prove(tenant, "000007")
    row.refresh_from_db()
    assert (row.failures, row.consumed_at) == (5, None)


def test_a_code_is_for_one_number_purpose_and_tenant(tenant):
    send(tenant, "13812345678")
    code = SENT[0].verification_code
    for values in (
        {"purpose": VerificationPurpose.REGISTER},
        {"target": number("13812345679")},
        {"target": verification.Target(VerificationChannel.EMAIL, "13812345678")},
        {"tenant": make_tenant()},
        {"user": make_user(tenant)},
    ):
        with pytest.raises(VerificationRefused):
            prove(**{"tenant": tenant, "code": code, **values})
    assert prove(tenant, code)


def test_a_new_code_makes_the_one_before_void_and_leaves_other_purposes(tenant):
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        send(tenant, "13812345678")
        send(tenant, "13812345678", purpose=VerificationPurpose.REGISTER)
    with time_machine.travel(now + timedelta(minutes=1), tick=False):
        send(tenant, "13812345678")
        first, other, second = (message.verification_code for message in SENT)
        assert prove(tenant, other, purpose=VerificationPurpose.REGISTER)
        if first != second:
            with pytest.raises(VerificationRefused):
                prove(tenant, first)
        assert prove(tenant, second)


@pytest.mark.security("S30")
@pytest.mark.django_db(transaction=True)
def test_of_a_hundred_parallel_tries_at_a_text_messages_code_one_wins():
    tenant = make_tenant()
    send(tenant, "13812345678")
    code = SENT[0].verification_code

    def use(_number: int) -> verification.Proved:
        proved = prove(tenant, code)
        verification.spend(proved)
        return proved

    assert kinds(at_once(use, times=100, refusals=IdentityError)) == {"Proved": 1, "VerificationRefused": 99}


@pytest.mark.django_db(transaction=True)
def test_of_a_hundred_parallel_requests_for_a_code_one_sends():
    tenant = make_tenant()
    results = at_once(
        lambda count: send(tenant, "13812345678", ip=f"198.51.100.{count}"), times=100, refusals=IdentityError
    )
    assert kinds(results) == {"SentCode": 1, "TooManyRequests": 99}
    assert len(SENT) == 1


# The list of countries -------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.4.3")
def test_derived_rules_take_the_numbers_that_libphonenumber_gives_as_examples():
    import re

    import phonenumbers
    from phonenumbers import PhoneNumberType

    listed = countries.all_countries()
    assert len({country.code for country in listed}) == len(listed) == 244
    for country in listed[5:]:
        example = phonenumbers.example_number_for_type(country.code, PhoneNumberType.MOBILE)
        national = phonenumbers.national_significant_number(example)
        rule = re.compile(country.mobile_regex)
        assert rule.fullmatch(f"+{country.calling_code}{national}"), country
        assert rule.fullmatch(f"+{country.calling_code}-{national}"), country
        assert not rule.fullmatch(f"+{country.calling_code}{national}{national}"), country
        assert not rule.fullmatch(national), country


def test_names_come_in_the_languages_of_our_pages():
    assert [countries.names(language)["JP"] for language in ("en", "zh-hans", "ja", "fr")] == [
        "Japan",
        "日本",
        "日本",
        "Japan",
    ]
    assert countries.names("ja")["AF"] == "アフガニスタン"
    assert countries.names("zh-hans")["HK"] == "中国香港"


def test_the_list_is_built_once_in_a_process():
    assert countries.wire_entries() is countries.wire_entries()
