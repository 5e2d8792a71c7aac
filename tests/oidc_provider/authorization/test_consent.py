"""When a user must be asked."""

from __future__ import annotations

import pytest

from oidc_provider.authorization.consent import Wish

NOBODY = frozenset[str]()


def wish(**changes: object) -> Wish:
    values = {
        "scopes": ("openid", "email"),
        "claims": ("name",),
        "known_scopes": frozenset({"openid", "email"}),
        "known_claims": frozenset({"name"}),
        "has_consented": True,
        "is_implied": False,
    }
    return Wish(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "is_new"),
    [
        ({}, False),
        ({"known_scopes": frozenset({"openid"})}, True),
        ({"known_claims": NOBODY}, True),
        # A request that asks for nothing still tells the client who the user is.
        ({"scopes": (), "claims": (), "has_consented": False}, True),
        ({"scopes": (), "claims": ()}, False),
        ({"known_scopes": NOBODY, "known_claims": NOBODY, "has_consented": False, "is_implied": True}, False),
    ],
)
def test_whoever_allowed_everything_is_not_asked_again(changes: dict[str, object], is_new: bool) -> None:
    assert wish(**changes).is_new is is_new


def test_only_what_is_new_is_asked_for() -> None:
    asked = wish(scopes=("openid", "phone", "email"), claims=("name", "nickname"))
    assert (asked.new_scopes, asked.new_claims) == (("phone",), ("nickname",))
