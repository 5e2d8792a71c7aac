"""The look-ups of codes and tokens find what the ORM finds."""

from __future__ import annotations

from typing import Any

import pytest

from identity import crypto
from identity.statements import Select
from oidc_provider.grants import rows
from tests.support.machine import Machine
from tests.support.spelled import both, state


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("select", "purpose", "kind"),
    [
        (rows._CODE, rows.CODE_PURPOSE, "code"),
        (rows._ACCESS_TOKEN, rows.TOKEN_PURPOSE, "access_token"),
        (rows._REFRESH_TOKEN, rows.TOKEN_PURPOSE, "refresh_token"),
    ],
    ids=["code", "access token", "refresh token"],
)
def test_a_grant_is_found_with_its_user_and_session(
    select: Select[Any], purpose: str, kind: str, machine: Machine
) -> None:
    given = {"code": machine.code(), **machine.tokens(scope="openid offline_access", prompt="consent")}
    found, by_orm = both(select, crypto.keyed_hashes(given[kind], purpose=purpose))
    assert [state(row) for row in found] == [state(row) for row in by_orm]
    assert (found[0].user, found[0].session) == (machine.user, machine.session)
    assert both(select, crypto.keyed_hashes("another", purpose=purpose)) == ([], [])
