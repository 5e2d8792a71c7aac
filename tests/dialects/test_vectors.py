"""docs/contract/vectors/pkce_and_at_hash.json, every line of it, against our functions and over HTTP."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from identity.models import AuditEvent
from oidc_provider.dialects import pactera
from oidc_provider.dialects.base import half_hash
from oidc_provider.dialects.pactera import binary_digits_hash
from oidc_provider.grants import pkce
from tests.dialects.party import VERIFIER, Party, query_of
from tests.support.vectors import VECTORS

NewParty = Callable[..., Party]
DIALECT_OF = {
    "/oidc/authorize": "pactera",
    "/auth/oauth2/authorize": "tencent",
    "/api/v1/authorize/{app_code}/oauth2/auth": "topiam",
}


def rows(*sections: str) -> list[Any]:
    return [pytest.param(row, id=row["id"]) for section in sections for row in VECTORS[section]]


@pytest.mark.spec("RFC7636-4.2")
@pytest.mark.parametrize("row", rows("pkce", "pkce_reference_only_too_short"))
def test_challenges(row: dict[str, Any]) -> None:
    verifier = row["code_verifier"]
    assert pkce.s256(verifier) == row["challenge_s256_rfc7636"]
    assert pkce.sm3(verifier) == row["challenge_sm3"]
    assert pactera.to_rfc_challenge(row["challenge_pactera"]) == row["challenge_s256_rfc7636"]
    assert all(pkce.is_challenge(row[name]) for name in ("challenge_s256_rfc7636", "challenge_sm3"))
    assert pkce.is_verifier(verifier) == (row["length"] >= 43)
    assert pkce.matches_s256(verifier, row["challenge_s256_rfc7636"])
    assert pkce.matches_sm3(verifier, row["challenge_sm3"])
    assert not pkce.matches_s256(verifier, row["challenge_sm3"])
    assert not pkce.matches_sm3(verifier, row["challenge_s256_rfc7636"])


@pytest.mark.parametrize("row", rows("pkce_reject"))
def test_verifiers_that_are_none(row: dict[str, Any]) -> None:
    assert not pkce.is_verifier(row["code_verifier"])


@pytest.mark.parametrize("row", rows("challenge_reject"))
def test_challenges_that_are_none(row: dict[str, Any]) -> None:
    assert not pkce.is_challenge(pactera.to_rfc_challenge(row["code_challenge"]))


@pytest.mark.parametrize("last", [1, 2, 3])
def test_a_challenge_is_written_in_one_way_only(last: int) -> None:
    """The last character carries bits that say nothing: with another value there it is another spelling."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    row = VECTORS["pkce"][0]
    for name in ("challenge_s256_rfc7636", "challenge_pactera"):
        good = row[name]
        other = good[:-1] + alphabet[alphabet.index(good[-1]) | last]
        assert other != good
        assert not pkce.is_challenge(pactera.to_rfc_challenge(other))


@pytest.mark.parametrize("row", rows("at_hash"))
def test_at_hash(row: dict[str, Any]) -> None:
    token = row["access_token"]
    assert half_hash(token, "RS256") == row["at_hash_standard_rs256"]
    assert half_hash(token, "RS512") == row["at_hash_standard_rs512"]
    assert binary_digits_hash(token, "RS256") == row["at_hash_pactera"]
    digits = base64.urlsafe_b64decode(row["at_hash_pactera"] + "=").decode()
    assert digits == row["pactera_binary_digits"]


@pytest.mark.parametrize("row", VECTORS["sm3_self_check"], ids=lambda row: row["ascii"][:8])
def test_sm3(row: dict[str, str]) -> None:
    assert base64.urlsafe_b64decode(pkce.sm3(row["ascii"]) + "=").hex() == row["sm3_hex"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no OpenSSL on this machine")
@pytest.mark.parametrize("length", [0, 1, 43, 50, 55, 56, 63, 64, 65, 119, 128])
def test_sm3_is_openssls(length: int) -> None:
    text = hashlib.sha512(str(length).encode()).hexdigest()[:length]
    finished = subprocess.run(
        ["openssl", "dgst", "-sm3", "-binary"], input=text.encode(), capture_output=True, check=True
    )
    assert base64.urlsafe_b64decode(pkce.sm3(text) + "=") == finished.stdout


@pytest.mark.django_db
@pytest.mark.parametrize("case", rows("exchange_cases"))
def test_exchange(new_party: NewParty, case: dict[str, Any]) -> None:
    party = new_party(DIALECT_OF[case["endpoint"]])
    party.sign_in()
    answer = party.ask(code_challenge=case["code_challenge"], code_challenge_method=case["code_challenge_method"])
    if case["expect"].startswith("authorize refuses"):
        refusal = query_of(answer)
        assert (refusal["error"], "code" in refusal) == ("invalid_request", False)
        assert AuditEvent.objects.filter(outcome="refused").latest("id").reason == case["expect"].split()[-1]
        return
    response = party.exchange(query_of(answer)["code"], code_verifier=case["code_verifier"])
    if case["expect"] == "tokens":
        assert response.status_code == 200, response.content
    else:
        assert (response.status_code, response.json()["error"]) == (400, case["expect"])


def test_every_case_says_what_to_expect() -> None:
    known = {"tokens", "invalid_grant", "invalid_request"}
    assert all(
        case["expect"] in known or case["expect"].startswith("authorize refuses code_challenge")
        for case in VECTORS["exchange_cases"]
    ), {case["expect"] for case in VECTORS["exchange_cases"]}


def test_the_printed_basic_header_is_id_and_secret() -> None:
    printed = next(row for row in VECTORS["document_checks"] if row["id"] == "pactera-authorization-basic-sample")
    decoded = base64.b64decode(printed["printed"]).decode()
    assert pactera.read_basic(decoded, "s6BhdRkqt3") == ("s6BhdRkqt3", "gX1fBat3bV")
    assert pactera.read_basic("gX1fBat3bV", "s6BhdRkqt3") == ("s6BhdRkqt3", "gX1fBat3bV")
    assert pactera.read_basic(VERIFIER, "") is None
