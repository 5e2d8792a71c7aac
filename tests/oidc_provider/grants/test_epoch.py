"""What is made while a person's password or state changes is dead with the change, whatever any clock says (ADR 11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.models import F
from django.utils import timezone

from identity.context import SYSTEM
from identity.directory import users
from identity.models import SessionEndReason, SSOSession, User
from identity.passwords import credentials
from identity.sso import access, sessions
from oidc_provider.models import AccessToken, AuthorizationCode, RefreshToken
from tests.factories import PASSWORD
from tests.factories.oidc import make_session
from tests.pages.conftest import Browser
from tests.support.machine import Machine, refusal

pytestmark = pytest.mark.django_db

INVALID_GRANT = (400, "invalid_grant")
FRESH = "Quiet-Harbour-58"


@contextmanager
def done_before(statement: str, change: Callable[[], object]) -> Iterator[None]:
    """Let somebody else's change be committed right before the first statement that has these words."""
    seen: list[str] = []

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if statement in sql and not seen:
            seen.append(sql)
            change()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield
    assert seen, f"{statement} was not seen"


def raised_before(statement: str, user: User) -> AbstractContextManager[None]:
    """Let a change of the person be that change."""
    return done_before(statement, lambda: User.objects.filter(pk=user.pk).update(epoch=F("epoch") + 1))


@pytest.mark.security("S48")
def test_a_code_that_was_being_made_is_refused(machine: Machine, user: User) -> None:
    with raised_before('INSERT INTO "oidc_provider_authorizationcode"', user):
        code = machine.code(scope="openid offline_access")
    assert refusal(machine.exchange(code)) == INVALID_GRANT


@pytest.mark.security("S48", "S14")
@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token"])
def test_tokens_that_were_being_made_are_dead(machine: Machine, user: User, grant: str) -> None:
    code = machine.code(scope="openid offline_access", prompt="consent")
    if grant == "refresh_token":
        token = machine.exchange(code).json()["refresh_token"]
    with raised_before('INSERT INTO "oidc_provider_accesstoken"', user):
        answer = machine.exchange(code) if grant == "authorization_code" else machine.refresh(token)
    if connection.vendor == "postgresql":
        # The statement that writes them asks for the epoch.
        assert refusal(answer) == INVALID_GRANT
        assert AccessToken.objects.count() == (1 if grant == "refresh_token" else 0)
        return
    body = answer.json()
    assert machine.userinfo(body["access_token"]).status_code == 401
    assert refusal(machine.refresh(body["refresh_token"])) == INVALID_GRANT


@pytest.mark.security("S48", "S14")
@pytest.mark.parametrize("reason", [SessionEndReason.ENDED_BY_USER, SessionEndReason.ENDED_BY_OPERATOR])
def test_an_offline_code_that_was_being_made_while_its_device_was_cut_off_is_refused(
    machine: Machine, user: User, reason: SessionEndReason
) -> None:
    """ADR 13: ending a session from elsewhere takes offline grants along; a plain sign-out leaves them."""
    machine.session = make_session(user)

    def end() -> None:
        session = SSOSession.objects.select_related("user", "tenant").get(pk=machine.session.pk)
        sessions.end(session, reason=reason, context=SYSTEM, actor="system")

    with done_before('INSERT INTO "oidc_provider_authorizationcode"', end):
        code = machine.code(scope="openid offline_access", prompt="consent")
    assert refusal(machine.exchange(code)) == INVALID_GRANT


@pytest.mark.security("S48", "S26")
def test_a_browser_that_was_being_signed_in_is_not(machine: Machine, user: User) -> None:
    browser = Browser()
    browser.client.defaults["HTTP_HOST"] = machine.host
    with raised_before('UPDATE "identity_attemptcounter"', user):  # before the password is looked at
        response = browser.sign_in(user)
    assert response.status_code == 400
    assert not browser.is_signed_in
    assert browser.sign_in(user).status_code == 302
    assert browser.is_signed_in


@pytest.mark.security("S48", "S26")
def test_a_session_of_a_proof_from_before_is_dead(user: User) -> None:
    proved = User.objects.get(pk=user.pk)
    credentials.set_password(user=user, password=FRESH, context=SYSTEM)
    session, handle = sessions.start(user=proved, amr=["pwd"], context=SYSTEM)
    assert sessions.find_by_handle(handle=handle, tenant=user.tenant) is None
    assert sessions.list_open(user) == []
    assert SSOSession.objects.get(pk=session.pk).ended_at is None


@pytest.mark.security("S48")
@pytest.mark.parametrize("change", ["password", "disabled", "operator", "sessions ended"])
def test_every_change_of_password_or_state_raises_the_epoch_once(user: User, change: str) -> None:
    session = make_session(user)
    if change == "password":
        credentials.change_password(user=user, old_password=PASSWORD, new_password=FRESH, context=SYSTEM)
    elif change == "disabled":
        assert users.disable(user=user, context=SYSTEM)
        assert not users.disable(user=user, context=SYSTEM)
        assert users.enable(user=user, context=SYSTEM)
    elif change == "operator":
        assert users.set_operator(user=user, is_operator=True, context=SYSTEM, actor="system")
    else:
        access.revoke_everything(user=user, reason=SessionEndReason.ENDED_BY_OPERATOR, context=SYSTEM)
    assert user.epoch == User.objects.get(pk=user.pk).epoch == session.epoch + 1


def test_a_profile_that_changes_leaves_the_epoch_and_the_sessions(user: User) -> None:
    session = make_session(user)
    assert users.update(user=user, context=SYSTEM, name="Another name")
    assert User.objects.get(pk=user.pk).epoch == session.epoch
    assert sessions.list_open(user) == [session]


@pytest.mark.security("S48")
@pytest.mark.parametrize("seconds", [-20, 20])
def test_clocks_twenty_seconds_apart_change_nothing(machine: Machine, user: User, seconds: int) -> None:
    """F9: one node changes the password, another one's clock differs."""
    now = timezone.now()
    old = machine.tokens(scope="openid offline_access", prompt="consent")
    credentials.set_password(user=user, password=FRESH, context=SYSTEM)
    with time_machine.travel(now + timedelta(seconds=seconds)):
        assert machine.userinfo(old["access_token"]).status_code == 401
        assert refusal(machine.refresh(old["refresh_token"])) == INVALID_GRANT
        machine.session = make_session(User.objects.get(pk=user.pk))
        machine.user = User.objects.get(pk=user.pk)
        new = machine.tokens(scope="openid offline_access", prompt="consent")
        assert machine.userinfo(new["access_token"]).status_code == 200


# The migration ---------------------------------------------------------------------------------------------


class Editor:
    """What a data migration is given."""

    connection = connection


def test_rows_that_only_an_instant_kept_dead_are_ended_and_the_others_live_on(machine: Machine, user: User) -> None:
    dead = machine.tokens(scope="openid offline_access", prompt="consent")
    dead_code, dead_session = machine.code(), machine.session
    machine.session = None
    live = machine.tokens(scope="openid offline_access", prompt="consent")
    live_code, live_session = machine.code(), machine.session
    assert dead_session is not None
    now = timezone.now()
    SSOSession.objects.filter(pk=dead_session.pk).update(created_at=now - timedelta(hours=2))
    for model in (AuthorizationCode, AccessToken, RefreshToken):
        model._base_manager.filter(session=dead_session).update(created=now - timedelta(hours=2))
    run_data_migrations(user, tokens_valid_after=now - timedelta(hours=1))
    assert machine.userinfo(dead["access_token"]).status_code == 401
    assert refusal(machine.refresh(dead["refresh_token"])) == INVALID_GRANT
    assert refusal(machine.exchange(dead_code)) == INVALID_GRANT
    assert sessions.list_open(user) == [live_session]
    assert machine.userinfo(live["access_token"]).status_code == 200
    assert machine.refresh(live["refresh_token"]).status_code == 200
    assert machine.exchange(live_code).status_code == 200


def run_data_migrations(user: User, *, tokens_valid_after: datetime) -> None:
    """Bring the column of the version before back, for the time of this transaction, and migrate its rows."""
    names = {"identity": "0010_end_before_epoch", "oidc_provider": "0005_end_before_epoch"}
    old_apps = MigrationLoader(connection).project_state(list(names.items())).apps
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("ALTER TABLE identity_user ADD COLUMN tokens_valid_after datetime NULL")
    old_apps.get_model("identity", "User")._base_manager.filter(pk=user.pk).update(
        tokens_valid_after=tokens_valid_after
    )
    for app, name in names.items():
        migration = import_module(f"{app}.migrations.{name}")
        work = migration.end_sessions_and_sign_ins if app == "identity" else migration.end_codes_and_tokens
        work(old_apps, Editor)
