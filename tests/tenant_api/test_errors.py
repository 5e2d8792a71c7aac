"""The renderer of refusals: complete, audited, and silent about what it must not tell."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.http import HttpRequest
from django.test import override_settings

from identity import errors as domain
from identity.directory import users
from identity.errors import IdentityError
from identity.models import AuditEvent
from identity.views.product_api import STATUSES
from tenant_api.views import base
from tests.support.turns import turns_taken
from tests.tenant_api.world import Call, World, new_user


def families() -> list[type[IdentityError]]:
    return [kind for kind in vars(domain).values() if isinstance(kind, type) and issubclass(kind, IdentityError)]


def test_every_domain_error_has_a_status() -> None:
    # Its own, or that of the family it belongs to.
    without = [kind for kind in families() if kind is not IdentityError and set(kind.__mro__).isdisjoint(STATUSES)]
    assert without == []
    assert set(STATUSES.values()) == {400, 403, 415, 429, 503}


@pytest.mark.django_db
def test_an_unmapped_error_is_a_fault_of_ours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unmapped(IdentityError):
        """Of a family that nobody mapped."""

    def broken(**arguments: Any) -> None:
        raise Unmapped("USER.0001")

    assert world.token
    monkeypatch.setattr(users, "enable", broken)
    with pytest.raises(Unmapped):
        world.call("enableUser")


@pytest.mark.django_db
def test_a_refused_write_is_audited_after_the_rollback(world: World) -> None:
    answer = world.call("createUser", Call(body=new_user(user_name="zhangsan")))
    assert answer.status_code == 400
    event = AuditEvent.objects.get(event_type="user:create")
    assert (event.outcome, event.reason) == ("refused", "USER.0029")
    assert (event.actor_type, event.actor_id) == ("client", world.client.client_id)
    assert "zhangsan" not in str(event.details) + str(event.changes)


@pytest.mark.django_db
def test_a_refused_question_is_not_audited(world: World) -> None:
    assert world.token
    before = AuditEvent.objects.count()
    assert world.call("getUserById", Call({"user_id": "nobody"})).status_code == 400
    assert AuditEvent.objects.count() == before


@pytest.mark.django_db
def test_a_database_that_is_lost_in_the_middle_is_told_as_busy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(**arguments: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly at 10.0.0.7")

    assert world.token
    monkeypatch.setattr(users, "create", lost)
    answer = world.call("createUser")
    text = "System busy. Please try again later."
    assert (answer.status_code, answer.json()) == (503, {"error_code": "COM.0002", "error_msg": text})
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.django_db
def test_a_body_that_turns_out_too_large_is_told_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Usually its length is known, and it comes to no view."""

    def too_large(http: HttpRequest) -> None:
        raise RequestDataTooBig("beyond the limit")

    assert world.token
    monkeypatch.setattr(base, "read_document", too_large)
    answer = world.call("createUser")
    body = {"error": "invalid_request", "error_description": "The body is too large."}
    assert (answer.status_code, answer.json()) == (413, body)


@pytest.mark.django_db
def test_secrets_are_neither_logged_nor_audited(world: World, caplog: pytest.LogCaptureFixture) -> None:
    secret = "Purple-Anchor-93"
    token = world.token
    with caplog.at_level("DEBUG"):
        world.call("createUser", Call(body=new_user(password=secret)))
        world.call("createUser", Call(body=new_user(password=secret, user_name="two words")))
        world.call("changeUserPassword", Call({"user_id": world.user.public_id}, body={"password": secret}))
        world.ask_for_token(client_secret=secret)
        world.call("getUserById", token=secret)
    logged = " ".join(str(vars(record)) for record in caplog.records if record.name != "django.db.backends")
    audited = " ".join(str(row) for row in AuditEvent.objects.values_list("details", "changes", "personal", "reason"))
    for hidden in (secret, token, "12345678903"):
        assert hidden not in logged
        assert hidden not in audited


@pytest.mark.parametrize(
    ("settings", "identifier"),
    [
        ({"token_livetime": timedelta(minutes=1)}, "tenant_api.E001"),
        ({"token_lifetime": 1800}, "tenant_api.E002"),
        ({"token_lifetime": timedelta(0)}, "tenant_api.E002"),
    ],
)
@pytest.mark.django_db  # other checks compare the secrets with the database
def test_a_wrong_setting_is_reported_by_name(settings: dict[str, Any], identifier: str) -> None:
    with override_settings(TENANT_API=settings):
        assert identifier in {message.id for message in run_checks()}


@pytest.mark.django_db
def test_a_user_is_made_when_there_is_a_turn_at_hashing_and_else_told_to_come_back(world: World) -> None:
    assert world.token
    with turns_taken():
        response = world.call("createUser")
    assert (response.status_code, response.json()["error_code"], response["Retry-After"]) == (503, "COM.0002", "5")
    event = AuditEvent.objects.latest("pk")
    assert (event.event_type, event.outcome, event.reason) == ("user:create", "refused", "COM.0002")
    assert world.call("createUser").status_code == 201
