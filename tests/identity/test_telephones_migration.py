"""The migration that keeps telephones in one form, over rows as the version before wrote them."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from identity.models import Tenant, User
from tests.factories import make_tenant, make_user

migration = import_module("identity.migrations.0017_telephones_in_e164")

pytestmark = pytest.mark.django_db(transaction=True)


def person(tenant: Tenant, spelling: str, **values: object) -> User:
    """A row whose number is kept as it was written, as it used to be."""
    user = make_user(tenant, **values)
    user.mobile = spelling
    user.save()
    return user


def kept(*users: User) -> list[str]:
    return [User.objects.get(pk=user.pk).mobile for user in users]


def run() -> None:
    class Editor:
        pass

    editor = Editor()
    editor.connection = connection  # type: ignore[attr-defined]
    migration.merge_spellings(apps, editor)


def test_spellings_become_one_form_and_are_found_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "PORTION", 2)
    tenant, japan = make_tenant(), make_tenant(time_zone="Asia/Tokyo")
    users = [person(tenant, number) for number in ("13812345678", "+86-138-1234-5679", "008613812345680", "12345")]
    users.append(person(japan, "090-1234-5678"))
    run()
    assert kept(*users) == ["+8613812345678", "+8613812345679", "+8613812345680", "12345", "+819012345678"]
    for user in users:
        row = User.objects.get(pk=user.pk)
        assert row.mobile_index == User.mobile.index(row.mobile, tenant_id=row.tenant_id)
    run()  # once more changes nothing
    assert kept(users[0]) == ["+8613812345678"]


def test_of_two_with_one_telephone_the_one_who_proved_it_keeps_it_and_the_other_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tenant, other = make_tenant(), make_tenant()
    older = person(tenant, "13812345678")
    proved = person(tenant, "8613812345678", phone_number_verified=True)
    elsewhere = person(other, "13812345678")
    run()
    assert kept(older, proved, elsewhere) == ["13812345678", "+8613812345678", "+8613812345678"]
    assert f"User {older.pk} of tenant {tenant.pk} has the telephone of another user" in capsys.readouterr().out


def test_what_cannot_be_unsealed_is_told_and_holds_up_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    tenant = make_tenant()
    lost, found = person(tenant, "13812345678"), person(tenant, "13812345679")
    User.objects.filter(pk=lost.pk).update(mobile_sealed="s1.00000000.AAAA")
    run()
    assert kept(found) == ["+8613812345679"]
    assert f"User {lost.pk} of tenant {tenant.pk} has a telephone that cannot be unsealed" in capsys.readouterr().out
