"""The devices that people sign in from, and which clients may sign people in."""

from __future__ import annotations

import importlib
from datetime import timedelta

import pytest
import time_machine
from django.apps import apps
from django.db import connection
from django.utils import timezone

from identity import registry
from identity.context import SYSTEM, DeviceFacts, RequestContext
from identity.directory import users
from identity.models import Device, SSOSession
from identity.sso import devices
from oidc_provider.clients import registration
from oidc_provider.models import Client
from tests.admin.conftest import sign_in
from tests.factories import make_application, make_tenant
from tests.factories.oidc import make_client
from tests.sdk_api.phone import BackEnd, Phone, make_phone

HIDDEN = "156aysdna213sac"


def test_a_sign_in_records_the_device_with_what_it_says_of_itself(phone: Phone) -> None:
    with time_machine.travel("2026-11-22 09:00:00Z", tick=False) as clock:
        phone.login(X_device_ip="10.10.10.1")
        first = Device.objects.get()
        clock.shift(3600)
        phone.login(X_device_ip="nonsense", X_operating_sys_version="Android 11\x00")
        device = Device.objects.get()
    assert (first.user, first.agent, first.os_version) == (phone.user, phone.device["X-agent"], "Android 10")
    assert (first.ip, first.claimed_ip) == ("127.0.0.1", "10.10.10.1")
    assert (device.os_version, device.claimed_ip) == ("Android 11 ", None)
    assert device.last_seen_at - device.first_seen_at == timedelta(hours=1)
    assert HIDDEN not in str(Device.objects.values()) + str(SSOSession.objects.values())
    assert set(SSOSession.objects.values_list("device_index", flat=True)) == {device.fingerprint_index}


def test_a_refused_sign_in_records_no_device(phone: Phone) -> None:
    phone.login(password="wrong")
    assert not Device.objects.exists()


def test_two_users_and_two_tenants_share_nothing_of_a_device(phone: Phone) -> None:
    phone.sign_in()
    make_phone(make_tenant()).sign_in()
    indexes = set(Device.objects.values_list("fingerprint_index", flat=True))
    assert (Device.objects.count(), len(indexes)) == (2, 2)


def test_an_app_that_makes_up_fingerprints_fills_no_table(phone: Phone) -> None:
    for number in range(devices.PER_USER + 3):
        devices.record(user=phone.user, context=context_of(phone, f"made-up-{number}"))
    kept = set(Device.objects.values_list("fingerprint_index", flat=True))
    assert len(kept) == devices.PER_USER
    assert devices.index_of("made-up-22", tenant=phone.tenant) in kept
    assert devices.index_of("made-up-0", tenant=phone.tenant) not in kept


def test_a_refresh_notes_that_the_device_was_seen(phone: Phone) -> None:
    token = phone.sign_in()
    Device.objects.update(last_seen_at=timezone.now() - timedelta(days=1))
    assert BackEnd(phone.client, phone).refresh(token, operating_sys_version="Android 12").status_code == 200
    device = Device.objects.get()
    assert (device.os_version, timezone.now() - device.last_seen_at < timedelta(minutes=1)) == ("Android 12", True)


def test_the_account_page_shows_the_devices(phone: Phone) -> None:
    phone.sign_in()
    page = sign_in(phone.user).get("/account").content.decode()
    assert "Devices with apps" in page
    assert "Android 10" in page
    assert HIDDEN not in page


def test_devices_go_with_the_user_and_after_a_year(phone: Phone) -> None:
    phone.sign_in()
    now = timezone.now()
    purge = registry.purgers()["devices"]
    assert (purge(now + timedelta(days=364), 10), purge(now + timedelta(days=366), 10)) == (0, 1)
    phone.sign_in()
    users.delete(user=phone.user, context=SYSTEM)
    assert not Device.objects.exists()


# Which clients ---------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.1")
@pytest.mark.security("S12")
def test_a_client_that_was_not_opened_for_it_signs_nobody_in(phone: Phone) -> None:
    signature = phone.sign(phone.sign_in())
    registration.update_client(phone.client, may_use_sdk=False)
    closed = {"error_code": "APP.0003", "error_msg": "Application disabled."}
    assert (phone.login().status_code, phone.login().json()) == (400, closed)
    assert phone.profile(signature).json() == closed
    assert phone.get("captcha").json() == closed
    assert not Client._meta.get_field("may_use_sdk").default


def test_the_migration_keeps_those_in_use_and_closes_all_others(phone: Phone) -> None:
    phone.sign_in()
    unused = make_client(make_application(phone.tenant), may_use_sdk=True)
    Client.objects.update(may_use_sdk=False)
    migration = importlib.import_module("oidc_provider.migrations.0002_client_may_use_sdk")
    migration.keep_those_in_use(apps, Editor)
    open_clients = set(Client.objects.filter(may_use_sdk=True).values_list("client_id", flat=True))
    assert open_clients == {phone.client.client_id}
    assert unused.client_id not in open_clients


class Editor:
    """What the migration asks of a schema editor: its connection. A real one would end the test's transaction."""

    connection = connection


def context_of(phone: Phone, fingerprint: str) -> RequestContext:
    device = DeviceFacts(fingerprint, "Android 10", "App 1")
    return RequestContext(tenant=phone.tenant, device=device)
