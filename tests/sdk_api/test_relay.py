"""A back end that has proved itself speaks for many people: bad ones among them lock out nobody else (S51)."""

from __future__ import annotations

import pytest

from identity.models import PasswordPolicy, User
from oidc_provider.models import Client
from tests.factories import PASSWORD, make_tenant, make_user
from tests.sdk_api.phone import BackEnd, Phone, make_phone
from tests.tenant_api.world import NEW_PASSWORD, World

pytestmark = [pytest.mark.django_db, pytest.mark.security("S51")]
LIMITS = {"max_failures": 10, "max_failures_per_source": 3}


@pytest.fixture
def phone() -> Phone:
    return make_phone(make_tenant(password_policy=LIMITS))


@pytest.fixture
def bearer(phone: Phone) -> str:
    client = Client.objects.get(client_id=phone.client.client_id)
    client.grant_types = [*client.grant_types, "client_credentials"]
    client.save()
    return f"Bearer {BackEnd(client, phone).token}"


def three_bad_users(phone: Phone, **headers: str) -> list[int]:
    return [
        phone.login(
            user_name=f"nobody{number}", password="wrong", X_device_fingerprint=f"device{number}", **headers
        ).status_code
        for number in range(4)
    ]


def test_three_bad_users_do_not_lock_the_back_end_that_relays_them(phone: Phone, bearer: str) -> None:
    assert 429 not in three_bad_users(phone, Authorization=bearer)
    assert phone.login(Authorization=bearer).json()["status"] == "SUCCESS"


@pytest.mark.parametrize("header", ["", "Bearer nonsense", "Basic YTpi"])
def test_who_proves_nothing_counts_as_one_source(phone: Phone, header: str) -> None:
    headers = {"Authorization": header} if header else {}
    assert three_bad_users(phone, **headers)[-1] == 429
    assert phone.login(**headers).status_code == 429


def test_a_relayed_person_on_a_device_is_counted_all_the_same(phone: Phone, bearer: str) -> None:
    answers = [phone.login(password="wrong", Authorization=bearer).status_code for _ in range(4)]
    assert answers[-1] == 429
    # On another device the account counts, as ever.
    answers = [
        phone.login(password="wrong", Authorization=bearer, X_device_fingerprint=f"d{number}") for number in range(10)
    ]
    assert "locked" in answers[-1].content.decode().lower()


def test_the_tenant_api_counts_each_person_by_itself() -> None:
    world = World(password_policy=LIMITS)

    def change(user: User, old_password: str) -> int:
        body = {"old_password": old_password, "password": NEW_PASSWORD}
        path = f"/api/v2/tenant/users/{user.public_id}/change-password-verify"
        status: int = world.send("PUT", path, body).status_code
        return status

    for _ in range(5):
        assert change(make_user(world.tenant), "wrong") != 429
    assert change(make_user(world.tenant), PASSWORD) == 200


def test_raising_a_limit_lifts_the_lock_that_is_on(phone: Phone) -> None:
    assert three_bad_users(phone)[-1] == 429
    policy = PasswordPolicy.objects.get(tenant=phone.tenant)
    policy.max_failures_per_source = 50
    policy.save()
    assert phone.login().json()["status"] == "SUCCESS"


def test_raising_the_limit_of_an_account_lifts_its_lock() -> None:
    phone = make_phone(make_tenant(password_policy={"max_failures": 2, "max_failures_per_source": 50}))
    for _ in range(3):
        phone.login(password="wrong")
    assert User.objects.get(pk=phone.user.pk).locked_until is not None
    policy = PasswordPolicy.objects.get(tenant=phone.tenant)
    policy.max_failures = 5
    policy.save()
    assert User.objects.get(pk=phone.user.pk).locked_until is None
    assert phone.login(password=PASSWORD).json()["status"] == "SUCCESS"
