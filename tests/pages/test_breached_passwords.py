"""A password known from a breach is refused on every road on which one is set, and looked up at a good time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse

from identity import copies
from identity.models import AuditEvent, PasswordPolicy, Tenant, User
from identity.passwords import breaches, turns
from tests.admin.conftest import sign_in
from tests.factories import PASSWORD, make_operator, make_tenant
from tests.pages.conftest import Browser, handle_in
from tests.pages.forgot_password import ask, mailed_code, wrong
from tests.pages.forgot_password import reset as reset_by_mail
from tests.sdk_api.mobile import MOBILE, OTHER_MOBILE, inbox, receive, register, reset, told
from tests.sdk_api.phone import make_phone
from tests.support.breaches import RangeService
from tests.tenant_api.world import Call, World, new_user

__all__ = ["inbox"]

pytestmark = pytest.mark.django_db(transaction=True)

KNOWN, FRESH = "Amber-Meadow-77", "Silent-Bridge-58"


@pytest.fixture
def service(settings: Any) -> Iterator[RangeService]:
    with RangeService({KNOWN: 4000}) as service:
        settings.IDENTITY = {**settings.IDENTITY, "breached_passwords": service.url}
        yield service


@pytest.fixture
def roads(service: RangeService, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was looked up, each without a transaction and without a turn at hashing."""
    looked_up: list[str] = []
    plain = breaches.count

    def count(password: str) -> int:
        assert not connection.in_atomic_block
        assert not getattr(turns._here, "has_turn", False)
        looked_up.append(password)
        return plain(password)

    monkeypatch.setattr(breaches, "count", count)
    return looked_up


def demand(tenant: Tenant) -> None:
    PasswordPolicy.objects.filter(tenant=tenant).update(refuse_breached=True)
    copies.clear()


def test_the_account_page_refuses_it(roads: list[str], browser: Browser, alice: User) -> None:
    demand(alice.tenant)
    browser.sign_in(alice)
    for password, status in ((KNOWN, 400), (FRESH, 302)):
        form = {"old_password": PASSWORD, "new_password": password, "repeat_password": password}
        assert browser.post("/account/password", form).status_code == status
    assert roads == [KNOWN, FRESH]
    assert AuditEvent.objects.get(event_type="password:change", outcome="refused").reason == "PWD.0004"


def test_a_change_that_a_sign_in_demands_refuses_it(roads: list[str], browser: Browser, alice: User) -> None:
    demand(alice.tenant)
    User.objects.filter(pk=alice.pk).update(password_must_change=True)
    handle = handle_in(browser.sign_in(alice))
    for password, status in ((KNOWN, 400), (FRESH, 302)):
        form = {"transaction": handle, "new_password": password, "repeat_password": password}
        assert browser.post("/login", form).status_code == status
    assert roads == [KNOWN, FRESH]


def test_a_reset_by_mail_refuses_it_and_its_code_stays_good(roads: list[str], browser: Browser, alice: User) -> None:
    demand(alice.tenant)
    handle = ask(browser, "alice")
    code = mailed_code()
    assert reset_by_mail(browser, handle, wrong(code), KNOWN).status_code == 400
    assert roads == []  # nobody is asked before the proof
    assert reset_by_mail(browser, handle, code, KNOWN).status_code == 400
    assert reset_by_mail(browser, handle, code, FRESH).status_code == 302
    assert roads == [KNOWN, FRESH]


@pytest.mark.usefixtures("inbox")
def test_a_reset_and_a_registration_in_an_app_refuse_it(roads: list[str]) -> None:
    phone = make_phone(make_tenant(allow_registration=True), mobile=MOBILE, phone_number_verified=True)
    demand(phone.tenant)
    code = receive(phone, "FORGET_PWD_SMS")
    assert told(reset(phone, code, KNOWN)) == (400, "PWD.0004")
    assert reset(phone, code, FRESH).status_code == 200
    code = receive(phone, "REGISTER_SMS", OTHER_MOBILE)
    assert told(register(phone, code, user_name="bob", pwd=KNOWN)) == (400, "PWD.0004")
    assert register(phone, code, user_name="bob", pwd=FRESH).json()["status"] == "SUCCESS"
    assert roads == [KNOWN, FRESH, KNOWN, FRESH]


def test_what_an_api_sets_is_refused(roads: list[str]) -> None:
    world = World()
    demand(world.tenant)
    assert told(world.call("createUser", Call(body=new_user(password=KNOWN)))) == (400, "PWD.0004")
    assert world.call("createUser", Call(body=new_user(password=FRESH))).status_code == 201
    assert roads == [KNOWN, FRESH]
    for operation in ("changeUserPassword", "changeUserPasswordWithVerification"):
        call = world.good(operation)
        call = replace(call, body={**call.body, "password": KNOWN})
        assert told(world.call(operation, call)) == (400, "PWD.0004"), operation
    assert roads == [KNOWN, FRESH, KNOWN, KNOWN]


def test_what_an_operator_types_is_refused_at_its_field(roads: list[str]) -> None:
    tenant = make_tenant()
    demand(tenant)
    browser = sign_in(make_operator(tenant, is_superuser=True))
    for password, is_made in ((KNOWN, False), (FRESH, True)):
        form = {"tenant": tenant.pk, "user_name": "bob", "password": password, "address": "{}", "extension": "{}"}
        answer = browser.post(reverse("admin:identity_user_add"), form)
        errors = answer.context["adminform"].form.errors if answer.context else {}
        assert list(errors) == ([] if is_made else ["password"]), errors
        assert User.objects.filter(user_name="bob").exists() is is_made
    assert roads == [KNOWN, FRESH]
