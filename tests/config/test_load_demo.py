"""`manage.py load_demo`: made once, with passwords that nobody could know before."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from django.core.management import call_command

from config import demo
from identity.context import SYSTEM
from identity.directory import lists, tenants, users
from identity.models import Tenant, User
from identity.passwords import credentials
from oidc_provider.models import Client
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "demo.json"
    monkeypatch.setattr(demo, "PEOPLE_FILE", path)
    return path


def passwords() -> dict[str, str]:
    return {person.user_name: person.password for person in demo.people()}


def test_the_demo_has_an_operator_and_a_user_who_can_sign_in(file: Path) -> None:
    call_command("load_demo")
    tenant = Tenant.objects.get()
    assert (tenant.is_default, tenants.has_demo_data()) == (True, True)
    assert [person.role for person in demo.people()] == ["Operator", "User"]
    for name, password in passwords().items():
        user = lists.get_user_by_name(tenant=tenant, user_name=name)
        assert credentials.check_password(user=user, password=password)
        assert user.is_superuser is (name == "operator")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Client.objects.get().client_id == "demo"


def test_passwords_are_made_for_this_machine(file: Path) -> None:
    call_command("load_demo")
    first = passwords()
    file.unlink()
    call_command("load_demo")
    every = [*first.values(), *passwords().values()]
    assert len(set(every)) == 4
    assert all(len(password) >= 20 for password in every)


def test_a_second_start_changes_nothing() -> None:
    call_command("load_demo")
    before = passwords(), User.objects.count()
    call_command("load_demo")
    assert (passwords(), User.objects.count()) == before


def test_lost_passwords_are_made_anew(file: Path) -> None:
    call_command("load_demo")
    before = passwords()
    file.unlink()
    users.delete(user=User.objects.get(user_key="alice"), context=SYSTEM)
    call_command("load_demo")
    assert set(passwords()) == {"operator"}
    assert passwords()["operator"] != before["operator"]
    operator = User.objects.get(user_key="operator")
    assert credentials.check_password(user=operator, password=passwords()["operator"])


def test_a_database_in_use_is_left_alone(file: Path) -> None:
    make_tenant(code="acme")
    call_command("load_demo")
    assert not tenants.has_demo_data()
    assert not file.exists()
    assert not User.objects.exists()
