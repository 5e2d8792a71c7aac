"""Requests parked on the server."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from identity import pending_requests
from identity.errors import StateInvalid
from identity.models import PendingRequest, Tenant
from identity.upkeep.purgers import purge_pending_requests
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db

PAYLOAD = {"params": {"state": "見える"}}


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant()


@pytest.fixture
def handle(tenant: Tenant) -> str:
    return pending_requests.park(tenant=tenant, path="/a", payload=PAYLOAD, binding="browser-one")


def test_a_parked_request_is_found_and_spent_once(tenant: Tenant, handle: str) -> None:
    key = {"tenant": tenant, "path": "/a", "handle": handle, "bindings": ["other", "browser-one"]}
    assert pending_requests.peek(**key) == PAYLOAD  # type: ignore[arg-type]
    assert pending_requests.consume(**key) == PAYLOAD  # type: ignore[arg-type]
    for again in (pending_requests.peek, pending_requests.consume):
        with pytest.raises(StateInvalid):
            again(**key)  # type: ignore[arg-type]


@pytest.mark.security("S44")
@pytest.mark.parametrize(
    "change",
    [
        {"path": "/b"},
        {"handle": "x"},
        {"handle": ""},
        {"bindings": []},
        {"bindings": ["browser-two"]},
        {"bindings": [""]},
    ],
)
def test_anything_else_finds_nothing_and_leaves_it(tenant: Tenant, handle: str, change: dict[str, object]) -> None:
    key = {"tenant": tenant, "path": "/a", "handle": handle, "bindings": ["browser-one"]}
    with pytest.raises(StateInvalid):
        pending_requests.consume(**{**key, **change})  # type: ignore[arg-type]
    assert pending_requests.consume(**key) == PAYLOAD  # type: ignore[arg-type]


@pytest.mark.security("S36")
def test_another_tenant_finds_nothing(tenant: Tenant, handle: str) -> None:
    with pytest.raises(StateInvalid):
        pending_requests.consume(tenant=make_tenant(), path="/a", handle=handle, bindings=["browser-one"])


@pytest.mark.security("S40")
def test_neither_handle_nor_payload_is_readable_in_the_row(tenant: Tenant, handle: str) -> None:
    row = PendingRequest.objects.get()
    text = repr(row.__dict__)
    assert handle not in text
    assert "browser-one" not in text
    assert "見える" not in text
    assert "params" not in row.payload_sealed
    with pytest.raises(StateInvalid):
        pending_requests.consume(tenant=tenant, path="/a", handle=handle[:-1], bindings=["browser-one"])


def test_it_expires_and_is_deleted_afterwards(tenant: Tenant, handle: str) -> None:
    later = timezone.now() + pending_requests.LIFETIME + timedelta(seconds=1)
    assert purge_pending_requests(timezone.now(), 10) == 0
    with time_machine.travel(later):
        with pytest.raises(StateInvalid):
            pending_requests.consume(tenant=tenant, path="/a", handle=handle, bindings=["browser-one"])
        assert purge_pending_requests(later, 10) == 0
    # For whoever can begin it anew it is kept for a while.
    assert purge_pending_requests(later + pending_requests.KEPT_FOR, 10) == 1
    assert PendingRequest.objects.count() == 0


def test_what_is_over_may_be_taken_up_once_to_begin_anew(tenant: Tenant, handle: str) -> None:
    key = {"tenant": tenant, "path": "/a", "handle": handle, "bindings": ["browser-one"]}
    with time_machine.travel(timezone.now() + pending_requests.LIFETIME + timedelta(seconds=1)):
        taken = pending_requests.take_up(**key)  # type: ignore[arg-type]
        assert (taken.payload, taken.is_over) == (PAYLOAD, True)
        with pytest.raises(StateInvalid):
            pending_requests.take_up(**key)  # type: ignore[arg-type]
