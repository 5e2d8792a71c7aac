"""Whatever is sent, the answer is a sound request or an OAuthError."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidc_provider.authorization.details import (
    MAX_AGE_CEILING_SECONDS,
    PROMPTS,
    check_target,
    read_details,
    response_mode,
)
from oidc_provider.errors import OAuthError
from oidc_provider.wire.parameters import KNOWN, Parameters, collect, merge

NAMES = st.sampled_from(sorted(KNOWN | {"request", "display", "x"}))
WORDS = st.sampled_from(["none", "login", "code", "id_token", "token", "query", "fragment", "form_post", "0", "{}", ""])
PAIRS = st.lists(st.tuples(NAMES, st.one_of(st.text(max_size=40), WORDS)), max_size=12)


@given(pairs=PAIRS)
def test_any_request_is_sound_or_refused(pairs: list[tuple[str, str]]) -> None:
    params = collect(pairs)
    try:
        check_target(params)
        details = read_details(params)
    except OAuthError:
        return
    assert not params.repeated
    assert details.prompt <= PROMPTS
    assert details.max_age is None or 0 <= details.max_age <= MAX_AGE_CEILING_SECONDS
    assert details.response_mode == "query" or details.response_mode in ("fragment", "form_post")
    # Tokens never travel in a query.
    assert not ({"token", "id_token"} & details.response_type and details.response_mode == "query")
    assert details.state == params.get("state", "")


@given(pairs=PAIRS)
def test_answers_have_a_safe_mode_whatever_is_asked(pairs: list[tuple[str, str]]) -> None:
    params = collect(pairs)
    mode = response_mode(params)
    assert mode in ("query", "fragment", "form_post")
    if {"token", "id_token"} & set(params.get("response_type", "").split(" ")):
        assert mode != "query"


@pytest.mark.security("S45")
@given(first=PAIRS, second=PAIRS)
def test_a_name_in_query_and_form_is_repeated(first: list[tuple[str, str]], second: list[tuple[str, str]]) -> None:
    both = merge(collect(first), collect(second))
    given_twice = {name for name, value in first if value} & {name for name, value in second if value}
    assert both.repeated >= given_twice


@pytest.mark.spec("RFC6749-3.1")
def test_an_empty_parameter_is_as_good_as_none() -> None:
    assert dict(collect([("nonce", ""), ("state", "s")])) == {"state": "s"}


@pytest.mark.security("S45")
def test_an_empty_parameter_beside_a_full_one_is_repeated() -> None:
    assert collect([("scope", ""), ("scope", "openid")]).repeated == {"scope"}


def test_only_what_is_known_is_kept() -> None:
    assert Parameters.of({"state": "s", "password": "p", "request": "r"}).known == {"state": "s"}
