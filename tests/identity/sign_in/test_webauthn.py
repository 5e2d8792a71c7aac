"""The relying party's checks of WebAuthn Level 3, by their number in docs/contract/webauthn.md."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import webauthn as second_verifier
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.errors import PasskeyRefused
from identity.sign_in import webauthn
from identity.sign_in.webauthn import Expected, NewCredential, RelyingParty, StoredCredential, encode
from tests.support.authenticator import BE, BS, UP, UV, Passkey

VECTORS = json.loads((Path(__file__).resolve().parents[2] / "data/webauthn_vectors.json").read_text())
ORIGIN, RP_ID = "https://id.example.org", "id.example.org"
PARTY = RelyingParty(RP_ID, frozenset({ORIGIN, "https://id.example.com"}))
CHALLENGE = encode(b"c" * 32)
OPTIONS = {"challenge": CHALLENGE}
WANTED = Expected(PARTY, CHALLENGE, needs_user_verification=True)
EASY = Expected(PARTY, CHALLENGE, needs_user_verification=False)


def register(document: str, expected: Expected = WANTED) -> NewCredential:
    return webauthn.verify_registration(webauthn.read(document), expected=expected)


def stored_of(new: NewCredential) -> StoredCredential:
    return StoredCredential(new.public_key, new.algorithm, new.sign_count, new.is_backup_eligible)


def refusal(work: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(PasskeyRefused) as refused:
        work(*args, **options)
    return refused.value.reason


class Registered:
    """A passkey that was added."""

    def __init__(self, **options: Any) -> None:
        self.passkey = Passkey(RP_ID, user_handle="alice", **options)
        self.stored = stored_of(register(self.passkey.create(OPTIONS, ORIGIN)))

    def answer(self, *, expected: Expected = WANTED, origin: str = ORIGIN, **wrong: Any) -> webauthn.Assertion:
        document = self.passkey.get(OPTIONS, origin, **wrong)
        return webauthn.verify_assertion(webauthn.read(document), stored=self.stored, expected=expected)


# What is right -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [-7, -8, -257])
@pytest.mark.parametrize("fmt", ["none", "packed"])
@pytest.mark.parametrize("is_synced", [True, False])
def test_a_passkey_is_added_and_answers_and_another_library_agrees(algorithm: int, fmt: str, is_synced: bool) -> None:
    passkey = Passkey(RP_ID, user_handle="alice", algorithm=algorithm, is_synced=is_synced)
    document = passkey.create(OPTIONS, ORIGIN, fmt=fmt)
    new = register(document)
    assert (new.algorithm, new.is_backup_eligible, new.is_backed_up) == (algorithm, is_synced, is_synced)
    assert (new.transports, new.is_discoverable, new.is_user_verified) == (["hybrid", "internal"], True, True)
    theirs = second_verifier.verify_registration_response(
        credential=document,
        expected_challenge=webauthn.decode(CHALLENGE),
        expected_rp_id=RP_ID,
        expected_origin=ORIGIN,
        require_user_verification=True,
    )
    assert (encode(theirs.credential_id), theirs.sign_count) == (new.credential_id, new.sign_count)
    assert cbor.decode(theirs.credential_public_key) == cbor.decode(webauthn.decode(new.public_key))
    document = passkey.get(OPTIONS, "https://id.example.com")
    answer = webauthn.read(document)
    assertion = webauthn.verify_assertion(answer, stored=stored_of(new), expected=WANTED)
    assert (assertion.sign_count, assertion.is_counter_back, answer.user_handle) == (1, False, "alice")
    second_verifier.verify_authentication_response(
        credential=document,
        expected_challenge=webauthn.decode(CHALLENGE),
        expected_rp_id=RP_ID,
        expected_origin="https://id.example.com",
        credential_public_key=webauthn.decode(new.public_key),
        credential_current_sign_count=0,
        require_user_verification=True,
    )


# Printed in the specification; what of them our rules refuse, and why.
REFUSED = {
    "none-es256-crossOrigin": "cross_origin",
    "none-es256-topOrigin": "cross_origin",
    "packed-ed448": "algorithm",  # not offered
    "android-key-es256": "attestation",  # a format that is not verified here
    "tpm-es256": "attestation",  # the vector's clock is safe by 0x33, which is no boolean of a TPM
}


@pytest.mark.parametrize("name", VECTORS["vectors"])
def test_printed_vectors(name: str) -> None:
    vector = VECTORS["vectors"][name]
    registration, authentication = vector["registration"], vector["authentication"]
    party = RelyingParty(VECTORS["rp_id"], frozenset({VECTORS["origin"]}))

    def document(members: dict[str, str], *names: str) -> str:
        credential_id = encode(bytes.fromhex(registration["credential_id"]))
        response = {member: encode(bytes.fromhex(members[member])) for member in names}
        return json.dumps(
            {
                "id": credential_id,
                "rawId": credential_id,
                "type": "public-key",
                "clientExtensionResults": {},
                "response": response,
            }
        )

    def expected(members: dict[str, str]) -> Expected:
        return Expected(party, encode(bytes.fromhex(members["challenge"])), needs_user_verification=False)

    created = document(registration, "clientDataJSON", "attestationObject")
    if name in REFUSED:
        assert refusal(register, created, expected(registration)) == REFUSED[name]
        return
    new = register(created, expected(registration))
    given = document(authentication, "clientDataJSON", "authenticatorData", "signature")
    webauthn.verify_assertion(webauthn.read(given), stored=stored_of(new), expected=expected(authentication))


# Registering a new credential ------------------------------------------------------------------------------------


def created(*, expected: Expected = WANTED, origin: str = ORIGIN, **wrong: Any) -> NewCredential:
    algorithm = wrong.pop("algorithm", -7)
    return register(Passkey(RP_ID, algorithm=algorithm).create(OPTIONS, origin, **wrong), expected)


OTHER = "https://evil.example"
# S52: whole origins.
FOREIGN_ORIGINS = [
    OTHER,
    "https://id.example.org.evil.example",
    "https://evil-id.example.org",
    "https://sub.id.example.org",
    "https://example.org",
    "http://id.example.org",
    "https://id.example.org:8443",
    "https://id.example.org/",
    "https://ID.example.org",
    "null",
    "",
]


@pytest.mark.parametrize(
    ("step", "wrong", "reason"),
    [
        (7, {"client_data": {"type": "webauthn.get"}}, "type"),
        (8, {"client_data": {"challenge": encode(b"d" * 32)}}, "challenge"),
        (8, {"client_data": {"challenge": ""}}, "challenge"),
        (8, {"client_data": {"challenge": None}}, "challenge"),
        (8, {"client_data": {"challenge": "\ud800"}}, "challenge"),
        (9, {"client_data": {"origin": ["https://id.example.org"]}}, "origin"),
        (10, {"client_data": {"crossOrigin": True}}, "cross_origin"),
        (10, {"client_data": {"crossOrigin": "false"}}, "cross_origin"),
        (11, {"client_data": {"topOrigin": ORIGIN}}, "cross_origin"),
        (14, {"rp_id": "example.org"}, "rp_id"),
        (15, {"flags": UV}, "user_presence"),
        (16, {"flags": UP}, "user_verification"),
        (17, {"flags": UP | UV | BS}, "backup_state"),
        (21, {"fmt": "Packed", "statement": {}}, "attestation"),
        (21, {"fmt": "unheard-of", "statement": {}}, "attestation"),
        (22, {"fmt": "none", "statement": {"sig": b"x"}}, "attestation"),
        (22, {"fmt": "packed", "statement": {"alg": -7, "sig": b"x" * 70}}, "attestation"),
        (22, {"fmt": "packed", "statement": {}}, "attestation"),
    ],
)
def test_registration_refuses(step: int, wrong: dict[str, Any], reason: str) -> None:
    assert refusal(created, **wrong) == reason


@pytest.mark.security("S52")
@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_registration_step_9_takes_whole_origins_only(origin: str) -> None:
    assert refusal(created, origin=origin) == "origin"


def test_registration_step_16_asks_for_the_person_only_where_it_was_demanded() -> None:
    assert created(expected=EASY, flags=UP).is_user_verified is False


def test_registration_step_20_takes_offered_algorithms_only() -> None:
    passkey = Passkey(RP_ID)
    key = ec.generate_private_key(ec.SECP256K1()).public_key().public_numbers()
    passkey.cose = {1: 2, 3: -47, -1: 8, -2: key.x.to_bytes(32, "big"), -3: key.y.to_bytes(32, "big")}  # type: ignore[assignment]
    assert refusal(register, passkey.create(OPTIONS, ORIGIN)) == "algorithm"
    passkey.cose = {1: 2, 3: "ES256"}  # type: ignore[assignment]
    assert refusal(register, passkey.create(OPTIONS, ORIGIN)) in ("algorithm", "malformed")


def test_registration_step_20_takes_keys_that_can_sign() -> None:
    passkey = Passkey(RP_ID)
    passkey.cose = {1: 2, 3: -7, -1: 1, -2: b"x" * 32, -3: b"y" * 32}  # type: ignore[assignment]  # on no curve
    assert refusal(register, passkey.create(OPTIONS, ORIGIN)) == "algorithm"


def test_registration_step_25_takes_ids_of_1023_bytes_at_most() -> None:
    assert register(Passkey(RP_ID, credential_id=b"i" * 1023).create(OPTIONS, ORIGIN)).sign_count == 0
    assert refusal(register, Passkey(RP_ID, credential_id=b"i" * 1024).create(OPTIONS, ORIGIN)) == "credential_id"


def test_registration_needs_the_id_that_the_authenticator_signed() -> None:
    other = encode(b"o" * 32)
    assert refusal(register, Passkey(RP_ID).create(OPTIONS, ORIGIN, id=other, rawId=other)) == "credential_id"


@pytest.mark.parametrize("length", [0, 1, 37, 54, 100, -1])
def test_registration_step_13_refuses_what_was_cut_off(length: int) -> None:
    whole = json.loads(Passkey(RP_ID).create(OPTIONS, ORIGIN, fmt="packed"))["response"]["attestationObject"]
    document = Passkey(RP_ID).create(OPTIONS, ORIGIN, attestation=webauthn.decode(whole)[:length])
    assert refusal(register, document) == "malformed"


@pytest.mark.parametrize(
    "attestation",
    [
        cbor.encode({}),
        cbor.encode({"fmt": "none", "attStmt": {}}),
        cbor.encode({"fmt": 1, "attStmt": {}, "authData": b""}),
        cbor.encode([1]),
        b"\x81" * 12_000 + b"\x00",  # arrays in arrays
        b"\xbb" + b"\xff" * 8,  # a map of 2^64 members
        b"\x5b" + b"\xff" * 8,
        b"\xff",
        b"0" * 20_000,
    ],
)
def test_registration_step_13_refuses_what_is_no_attestation(attestation: bytes) -> None:
    assert refusal(register, Passkey(RP_ID).create(OPTIONS, ORIGIN, attestation=attestation)) == "malformed"


def test_registration_needs_attested_data() -> None:
    data = json.loads(Passkey(RP_ID).get(OPTIONS, ORIGIN))["response"]["authenticatorData"]
    attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": webauthn.decode(data)})
    assert refusal(register, Passkey(RP_ID).create(OPTIONS, ORIGIN, attestation=attestation)) == "malformed"


# Verifying an authentication assertion ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "wrong", "reason"),
    [
        (10, {"client_data": {"type": "webauthn.create"}}, "type"),
        (11, {"client_data": {"challenge": encode(b"d" * 32)}}, "challenge"),
        (13, {"client_data": {"crossOrigin": True}}, "cross_origin"),
        (14, {"client_data": {"topOrigin": OTHER}}, "cross_origin"),
        (15, {"rp_id": "example.org"}, "rp_id"),
        (16, {"flags": UV}, "user_presence"),
        (17, {"flags": UP}, "user_verification"),
        (18, {"flags": UP | UV | BS}, "backup_state"),
        (19, {"flags": UP | UV | BE}, "backup_eligibility"),
        (21, {"signature": b""}, "signature"),
        (21, {"signature": b"x" * 70}, "signature"),
        (7, {"authenticator_data": b""}, "malformed"),
        (7, {"authenticator_data": b"x" * 36}, "malformed"),
        (7, {"authenticator_data": b"x" * 60}, "malformed"),
    ],
)
def test_assertion_refuses(step: int, wrong: dict[str, Any], reason: str) -> None:
    assert refusal(Registered().answer, **wrong) == reason


@pytest.mark.security("S52")
@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_assertion_step_12_takes_whole_origins_only(origin: str) -> None:
    assert refusal(Registered().answer, origin=origin) == "origin"


def test_assertion_step_17_asks_for_the_person_only_where_it_was_demanded() -> None:
    assert Registered().answer(expected=EASY, flags=UP).is_user_verified is False


def test_assertion_step_19_holds_the_backup_eligibility_both_ways() -> None:
    synced = Registered(is_synced=True)
    assert synced.answer(flags=UP | UV | BE).is_backed_up is False
    assert refusal(synced.answer, flags=UP | UV) == "backup_eligibility"


def test_assertion_step_21_takes_the_stored_key_only() -> None:
    one, other = Registered(), Registered()
    one.stored = other.stored
    assert refusal(one.answer) == "signature"


def test_assertion_step_21_signs_the_very_bytes() -> None:
    registered = Registered()
    document = json.loads(registered.passkey.get(OPTIONS, ORIGIN))
    spaced = webauthn.decode(document["response"]["clientDataJSON"]).replace(b",", b", ")
    document["response"]["clientDataJSON"] = encode(spaced)
    answer = webauthn.read(json.dumps(document))
    work = {"stored": registered.stored, "expected": WANTED}
    assert refusal(webauthn.verify_assertion, answer, **work) == "signature"


@pytest.mark.parametrize(
    ("stored", "sent", "is_back"),
    [(0, 0, False), (0, 1, False), (5, 6, False), (5, 5, True), (5, 4, True), (5, 0, True)],
)
def test_assertion_step_22_tells_of_a_counter_that_went_back(stored: int, sent: int, is_back: bool) -> None:
    registered = Registered(has_counter=False)
    registered.passkey.count = sent
    registered.stored = StoredCredential(registered.stored.public_key, -7, stored, is_backup_eligible=False)
    assert registered.answer().is_counter_back is is_back


# The document ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        "",
        "null",
        "[]",
        "{}",
        "1",
        '{"id": 1}',
        "[" * 20_000,
        "x" * 1_048_576,
        '{"id": "YQ", "id": "YQ"}',
        '{"id": "YQ", "rawId": "YQ", "type": "public-key", "clientExtensionResults": {}, "response": []}',
        '{"id": "YQ", "rawId": "YQ", "type": "public-key", "clientExtensionResults": {}, "response": {}}',
        '{"id": "YQ", "rawId": "YQ", "type": "public-key", "response": {"clientDataJSON": "YQ"}}',
        (
            '{"id": "YQ==", "rawId": "YQ==", "type": "public-key", "clientExtensionResults": {},'
            ' "response": {"clientDataJSON": "YQ"}}'
        ),
        (
            '{"id": "YR", "rawId": "YR", "type": "public-key", "clientExtensionResults": {},'
            ' "response": {"clientDataJSON": "YQ"}}'
        ),
        (
            '{"id": "YQ", "rawId": "Yg", "type": "public-key", "clientExtensionResults": {},'
            ' "response": {"clientDataJSON": "YQ"}}'
        ),
        (
            '{"id": "YQ", "rawId": "YQ", "type": "password", "clientExtensionResults": {},'
            ' "response": {"clientDataJSON": "YQ"}}'
        ),
        (
            '{"id": "YQ", "rawId": "YQ", "type": "public-key", "clientExtensionResults": [],'
            ' "response": {"clientDataJSON": "YQ"}}'
        ),
    ],
)
def test_what_is_no_credential_is_refused(document: str) -> None:
    assert refusal(webauthn.read, document) == "malformed"


def test_an_empty_id_is_refused() -> None:
    document = {"id": "", "rawId": "", "type": "public-key", "clientExtensionResults": {}}
    document = {**document, "response": {"clientDataJSON": "YQ"}}
    assert refusal(webauthn.read, json.dumps(document)) == "credential_id"


@pytest.mark.parametrize("client_data", [b"", b"\xff", b"[]", b"1", b'{"type": 1}', b"{" * 5000])
def test_client_data_that_is_none_is_refused(client_data: bytes) -> None:
    document = json.loads(Passkey(RP_ID).create(OPTIONS, ORIGIN))
    document["response"]["clientDataJSON"] = encode(client_data)
    assert refusal(register, json.dumps(document)) in ("malformed", "type")


def test_client_data_may_begin_with_a_byte_order_mark() -> None:
    """Steps 5 and 8: "UTF-8 decode" strips it."""
    registered = Registered()
    document = json.loads(registered.passkey.get(OPTIONS, ORIGIN))
    data = b"\xef\xbb\xbf" + webauthn.decode(document["response"]["clientDataJSON"])
    document["response"]["clientDataJSON"] = encode(data)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    signed = webauthn.decode(document["response"]["authenticatorData"]) + digest.finalize()
    document["response"]["signature"] = encode(registered.passkey.sign(signed))
    answer = webauthn.read(json.dumps(document))
    assert webauthn.verify_assertion(answer, stored=registered.stored, expected=WANTED).is_user_verified


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_no_attestation_and_no_authenticator_data_is_a_fault_of_ours(noise: bytes) -> None:
    document = json.loads(Passkey(RP_ID, algorithm=-8).create(OPTIONS, ORIGIN))
    whole = webauthn.decode(document["response"]["attestationObject"])
    within = cbor.encode({"fmt": "none", "attStmt": {}, "authData": noise})
    for attestation in (noise, whole[: len(noise)] + noise, whole + noise, within):
        document["response"]["attestationObject"] = encode(attestation)
        with contextlib.suppress(PasskeyRefused):
            register(json.dumps(document))
