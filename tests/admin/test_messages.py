"""What operators do about messages: set up a gateway, try it, write a text, see what was sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from identity import crypto
from identity.context import SYSTEM
from identity.messaging import gateways
from identity.models import AuditEvent, MessageGateway, MessageTemplate, SentMessage, Tenant
from identity.operator_groups import AUDITORS
from tests.admin.conftest import operator_of, sign_in
from tests.factories import make_operator, make_tenant
from tests.support.gateways import AliyunStub

ADD = reverse("admin:identity_messagegateway_add")
NEW = {"channel": "sms", "kind": "aliyun", "name": "Texts", "position": "0"}
SETTINGS = {
    "name": "Texts",
    "position": "1",
    "is_active": "on",
    "base_url": "",
    "setting_access_key_id": AliyunStub.KEY_ID,
    "setting_sign_name": AliyunStub.SIGN_NAME,
    "setting_template_codes": "* = SMS_100\nlogin.ja = SMS_200",
    "setting_international_sign_name": "",
    "setting_international_template_codes": "",
    "setting_code_variable": "code",
    "setting_minutes_variable": "",
    "secret": AliyunStub.SECRET,
}


@pytest.fixture
def cloud() -> Iterator[AliyunStub]:
    with AliyunStub() as stub:
        yield stub


def page(row: Any, name: str = "change") -> str:
    return reverse(f"admin:identity_{row._meta.model_name}_{name}", args=[row.pk])


def make_gateway(tenant: Tenant) -> MessageGateway:
    return gateways.create(tenant=tenant, channel="sms", kind="aliyun", name="Texts", context=SYSTEM)


def test_a_gateway_is_made_and_then_asked_for_what_its_kind_needs(browser: Browser, tenant: Tenant) -> None:
    response = browser.post(ADD, NEW)
    gateway = MessageGateway.objects.get(tenant=tenant)
    assert (response.status_code, response["Location"]) == (302, page(gateway))
    assert not gateway.is_active
    shown = browser.get(page(gateway)).content.decode()
    names = set(re.findall(r'name="([a-z_]+)"', shown))
    assert names >= {name for name in SETTINGS if name != "secret"} | {"secret"}
    refused = browser.post(page(gateway), {**SETTINGS, "setting_template_codes": "nonsense = SMS_1"})
    assert refused.status_code == 200
    assert "“nonsense” is no purpose" in refused.content.decode()
    assert browser.post(page(gateway), SETTINGS).status_code == 302
    gateway.refresh_from_db()
    assert gateway.is_active
    assert gateway.settings["template_codes"] == {"*": "SMS_100", "login.ja": "SMS_200"}
    assert crypto.unseal(gateway.secret_sealed, purpose="messagegateway.secret") == AliyunStub.SECRET


@pytest.mark.security("S41")
def test_a_secret_is_never_shown_and_stays_when_none_is_typed(browser: Browser, tenant: Tenant) -> None:
    gateway = make_gateway(tenant)
    browser.post(page(gateway), SETTINGS)
    assert AliyunStub.SECRET not in browser.get(page(gateway)).content.decode()
    refused = browser.post(page(gateway), {**SETTINGS, "name": "", "secret": "typed but not taken"})
    assert "typed but not taken" not in refused.content.decode()
    gateway.refresh_from_db()
    before = gateway.secret_sealed
    assert browser.post(page(gateway), {**SETTINGS, "secret": "", "name": "Renamed"}).status_code == 302
    gateway.refresh_from_db()
    assert (gateway.name, gateway.secret_sealed) == ("Renamed", before)
    event = AuditEvent.objects.filter(event_type="message_gateway:update").latest("pk")
    assert event.changes == {"name": ["Texts", "Renamed"]}


@pytest.mark.security("S34")
def test_only_a_superuser_lets_a_gateway_have_a_private_address(browser: Browser, tenant: Tenant) -> None:
    gateway = make_gateway(tenant)
    asked = {**SETTINGS, "is_internal": "on", "base_url": "http://10.0.0.9"}
    assert browser.post(page(gateway), asked).status_code == 200
    gateway.refresh_from_db()
    assert (gateway.is_internal, gateway.base_url) == (False, "")
    superuser = sign_in(make_operator(tenant, is_superuser=True))
    assert superuser.post(page(gateway), asked).status_code == 302
    gateway.refresh_from_db()
    assert gateway.is_internal
    # From then on it is the superuser's, or the operator would choose the address after all.
    assert browser.post(page(gateway), {**SETTINGS, "base_url": "http://10.0.0.10"}).status_code == 403
    assert browser.get(page(gateway)).status_code == 200
    gateway.refresh_from_db()
    assert gateway.base_url == "http://10.0.0.9"


def test_a_test_message_shows_what_the_gateway_said(browser: Browser, tenant: Tenant, cloud: AliyunStub) -> None:
    gateway = make_gateway(tenant)
    own = {"access_key_id": cloud.KEY_ID, "sign_name": cloud.SIGN_NAME, "template_codes": "* = SMS_100"}
    gateways.update(
        gateway=gateway,
        settings=own,
        secret=cloud.SECRET,
        base_url=cloud.url,
        is_internal=True,
        may_be_internal=True,
        context=SYSTEM,
    )
    action = page(gateway).replace("change/", "send-test/")
    assert "Number or mailbox" in browser.get(action).content.decode()
    response = browser.post(action, {"confirm": "yes", "target": "13812345678"}, follow=True)
    text = response.content.decode()
    assert "Taken by the gateway" in text
    assert "900619746936498440^0" in text
    assert "138****5678" in text
    cloud.scripted = [cloud.refusal("isv.AMOUNT_NOT_ENOUGH", "账户余额不足")]
    response = browser.post(action, {"confirm": "yes", "target": "13812345678"}, follow=True)
    assert "isv.AMOUNT_NOT_ENOUGH" in response.content.decode()
    response = browser.post(action, {"confirm": "yes", "target": "+447700900123"}, follow=True)
    assert "sends no messages to this number" in response.content.decode()
    assert len(cloud.received) == 1
    assert SentMessage.objects.filter(is_test=True).count() == 2


def test_who_may_only_look_sends_no_test_and_changes_nothing(tenant: Tenant) -> None:
    gateway = make_gateway(tenant)
    auditor = sign_in(operator_of(tenant, AUDITORS))
    assert auditor.get(page(gateway)).status_code == 200
    assert auditor.post(page(gateway), SETTINGS).status_code == 403
    assert auditor.post(page(gateway).replace("change/", "send-test/"), {"target": "1"}).status_code == 403


def test_operators_may_try_gateways_twenty_times_an_hour(browser: Browser, tenant: Tenant) -> None:
    action = page(make_gateway(tenant)).replace("change/", "send-test/")
    for _try in range(20):
        browser.post(action, {"confirm": "yes", "target": "13812345678"})
    assert SentMessage.objects.filter(state="refused").count() == 20
    response = browser.post(action, {"confirm": "yes", "target": "13812345678"}, follow=True)
    assert "COM.0429" in response.content.decode()
    assert SentMessage.objects.count() == 20


def test_a_gateway_is_deleted_and_audited(browser: Browser, tenant: Tenant) -> None:
    gateway = make_gateway(tenant)
    assert browser.post(page(gateway, "delete"), {"post": "yes"}).status_code == 302
    assert not MessageGateway.objects.exists()
    event = AuditEvent.objects.filter(event_type="message_gateway:update").latest("pk")
    assert event.changes == {"name": ["Texts", ""]}


def test_a_text_is_checked_previewed_and_taken_back(browser: Browser, tenant: Tenant) -> None:
    add = reverse("admin:identity_messagetemplate_add")
    data = {"channel": "sms", "purpose": "login", "language": "ja", "subject": "", "text": "{name}"}
    refused = browser.post(add, data)
    assert refused.status_code == 200
    assert "is no placeholder" in refused.content.decode()
    assert browser.post(add, {**data, "text": "<b>{tenant}</b> {code} {minutes}"}).status_code == 302
    row = MessageTemplate.objects.get(tenant=tenant)
    shown = browser.get(page(row)).content.decode()
    assert f"&lt;b&gt;{tenant.name}&lt;/b&gt; 123456 5" in shown
    assert "確認コードは 123456" in shown
    changed = {"purpose": "bind", "language": "en", "subject": "", "text": "{code}!"}
    assert browser.post(page(row), changed).status_code == 302
    row.refresh_from_db()
    assert (row.text, row.purpose, row.language) == ("{code}!", "login", "ja")
    assert browser.post(page(row, "delete"), {"post": "yes"}).status_code == 302
    assert not MessageTemplate.objects.exists()


@pytest.mark.security("S36")
def test_an_operator_makes_gateways_and_texts_of_the_own_tenant_only(browser: Browser, tenant: Tenant) -> None:
    other = make_tenant()
    browser.post(ADD, {**NEW, "tenant": other.pk})
    browser.post(
        reverse("admin:identity_messagetemplate_add"),
        {"tenant": other.pk, "channel": "sms", "purpose": "login", "language": "en", "subject": "", "text": "{code}"},
    )
    assert MessageGateway.objects.get().tenant == tenant
    assert MessageTemplate.objects.get().tenant == tenant


def test_limits_are_set_on_the_tenants_page(browser: Browser, tenant: Tenant) -> None:
    shown = browser.get(reverse("admin:identity_tenant_change", args=[tenant.pk])).content.decode()
    assert 'name="message_policy-0-allowed_countries"' in shown
    assert 'name="message_policy-0-per_tenant_day"' in shown
