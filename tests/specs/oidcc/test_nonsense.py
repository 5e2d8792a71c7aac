"""Whatever a browser is sent with, it gets a page or an answer: never a fault of ours, never a foreign address."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.specs.conformance import AFTER_LOGOUT, Browser, Callback, Page, RelyingParty

pytestmark = pytest.mark.django_db

NAMES = [
    "response_type", "response_mode", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "prompt",
    "max_age", "login_hint", "id_token_hint", "ui_locales", "claims", "acr_values", "request", "display", "extra",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        [
            "", "%00", "%ff", "%u1234", "%", "none", "login consent", "9" * 30, "-1", "null", "[]", '{"id_token":{}}',
            '{"id_token":{"acr":{"essential":true,"values":[1,null,{}]}}}', '{"id_token":{"sub":{"value":[1]}}}',
            '{"id_token":{"sub":null,"acr":null}}', '{"userinfo":{"":null}}', "a" * 600, "a-" * 400, "eyJ.eyJ.x", "😀",
            '{"id_token":{"acr":{"essential":"yes","value":{}}}}', '{"id_token":{"sub":{"value":""}}}',
        ]
    ),
    st.text(max_size=30),
)  # fmt: skip
QUIET = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def encoded(pairs: dict[str, str]) -> str:
    return "&".join(
        f"{name}={value if value.startswith('%') else quote(value.encode('utf-8', 'replace'), safe='')}"
        for name, value in pairs.items()
    )


@QUIET
@given(changes=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_any_authorization_request_is_answered(
    party: RelyingParty, signed_in: Browser, changes: dict[str, str]
) -> None:
    place = signed_in.get(f"/oauth2/authorize?{encoded({**party.request(), **changes})}")
    if isinstance(place, Callback):
        assert place.address == party.redirect_uri
        assert ("code" in place.params) != ("error" in place.params)
        assert place.params.get("error") != "server_error"
    else:
        assert place.status < 500


@QUIET
@given(
    changes=st.dictionaries(
        st.sampled_from(
            ["id_token_hint", "client_id", "state", "ui_locales", "logout_hint", "post_logout_redirect_uri"]
        ),
        VALUES,
        max_size=3,
    )
)
def test_any_logout_request_is_answered(party: RelyingParty, browser: Browser, changes: dict[str, str]) -> None:
    params = {"client_id": party.client_id, "post_logout_redirect_uri": AFTER_LOGOUT, **changes}
    place = browser.get(f"/oauth2/logout?{encoded(params)}")
    if isinstance(place, Callback):
        assert place.address == AFTER_LOGOUT
    else:
        assert isinstance(place, Page)
        assert place.status < 500
