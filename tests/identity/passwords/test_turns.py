"""Turns at hashing: so many hashes at once, a queue that ends, and nothing hashed without a turn."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
from django.conf import settings
from django.test import override_settings

from identity.context import RequestContext
from identity.directory import users
from identity.errors import SystemBusy
from identity.models import User
from identity.passwords import credentials, turns
from identity.passwords.turns import Queue
from tests.factories import PASSWORD, make_tenant, make_user
from tests.support.at_once import at_once, kinds
from tests.support.turns import turns_taken

NEW_PASSWORD = "Silent-Bridge-58"


@pytest.mark.parametrize("places", [1, 2])
def test_no_more_hash_at_once_than_there_are_turns(places: int) -> None:
    queue, running, most, counting = Queue(at_once=places, length=50), 0, 0, threading.Lock()

    def work(_number: int) -> None:
        nonlocal running, most
        with queue.turn(30):
            with counting:
                running += 1
                most = max(most, running)
            threading.Event().wait(0.002)
            with counting:
                running -= 1

    at_once(work, times=40, threads=10)
    assert most <= places


def test_whoever_finds_the_queue_full_is_turned_away_at_once_and_the_others_have_their_turn() -> None:
    queue, go_on = Queue(at_once=1, length=3), threading.Event()
    turned_away = threading.Semaphore(0)

    def work(_number: int) -> str:
        try:
            with queue.turn(30):
                go_on.wait(30)
                return "hashed"
        except SystemBusy:
            turned_away.release()
            raise

    def release() -> None:
        for _one in range(6):
            assert turned_away.acquire(timeout=30)
        go_on.set()

    releasing = threading.Thread(target=release)
    releasing.start()
    results = at_once(work, times=10, refusals=SystemBusy)
    releasing.join()
    assert kinds(results) == {"SystemBusy": 6, "str": 4}
    with queue.turn(0):  # every place is free again
        pass


def test_nobody_waits_longer_than_the_limit_and_the_time_before_counts() -> None:
    with turns_taken(length=5):
        with pytest.raises(SystemBusy), turns.turn():
            pass
        turns.begin_request(0.0)  # long ago
        try:
            with pytest.raises(SystemBusy), turns.turn():
                pass
        finally:
            del turns._here.received_at


def test_a_turn_within_a_turn_is_the_same() -> None:
    changed = {"password_hashes_at_once": 1, "password_queue_length": 0}
    with override_settings(IDENTITY={**settings.IDENTITY, **changed}):
        for _again in range(2):
            with ExitStack() as stack:
                stack.enter_context(turns.turn())
                stack.enter_context(turns.turn())


@pytest.mark.django_db
def test_nothing_is_hashed_or_changed_without_a_turn() -> None:
    tenant = make_tenant()
    user = make_user(tenant, user_name="katrin")
    context, before = RequestContext(tenant=tenant), user.password
    with turns_taken():
        for call in (
            lambda: users.create(tenant=tenant, user_name="li", name="Li", password=NEW_PASSWORD, context=context),
            lambda: credentials.set_password(user=user, password=NEW_PASSWORD, context=context),
            lambda: credentials.check_password(user=user, password=PASSWORD),
            lambda: credentials.check_password(user=None, password=PASSWORD),
        ):
            with pytest.raises(SystemBusy):
                call()
    user.refresh_from_db()
    assert user.password == before
    assert not User.objects.filter(user_name="li").exists()
