"""X-signature (docs/contract/sdk_signature.md): both variants, the time window, replays, one error."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from jwt.algorithms import RSAAlgorithm

from identity import copies, nonces
from identity.keyring import keys
from identity.models import AuditEvent, KeyPair, KeyState, SpentNonce, SSOSession
from oidc_provider.models import Client
from sdk_api import signature
from tests.factories import make_application, make_tenant
from tests.factories.keys import make_keys
from tests.factories.oidc import make_client
from tests.sdk_api.phone import MGF1_HASHES, Phone, make_phone
from tests.support.at_once import at_once

VECTORS = json.loads(
    (Path(__file__).resolve().parents[2] / "docs" / "contract" / "vectors" / "x_signature.json").read_text("utf-8")
)
REFUSED = {"error_code": "PARAM.0030", "error_msg": "Signature invalid or expired."}
T = 1628496895102  # the timestamp of every vector


def key_of_vectors() -> keys.Key:
    private = load_pem_private_key(VECTORS["key"]["private_key_pkcs8_pem"].encode(), password=None)
    assert isinstance(private, RSAPrivateKey)
    columns = keys.key_columns(private, use="enc", alg="RSA-OAEP-256")
    return keys.Key(
        kid=columns["kid"],
        use="enc",
        alg="RSA-OAEP-256",
        state=KeyState.ACTIVE,
        published_until=None,
        jwk=columns["public_jwk"],
        created_at=timezone.now(),
        _sealed=columns["private_sealed"],
    )


@pytest.mark.spec("OneAccess-4.1")
@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["id"])
def test_vectors_of_both_java_providers_are_read(vector: dict[str, Any]) -> None:
    plaintext = signature.decrypt(vector["ciphertext_base64"], [key_of_vectors()])
    assert plaintext == vector["plaintext"]
    assert signature.read(plaintext, now_ms=T) == signature.Claim("btsEXAMPLE0123456789abcdefGHIJKL", "17b29fa9c7e")


@pytest.mark.spec("OneAccess-4.1")
@pytest.mark.parametrize("case", [case for case in VECTORS["server_time_window"]["cases"] if "again" not in case])
def test_the_time_window_of_the_vectors(case: dict[str, Any]) -> None:
    for vector in VECTORS["vectors"][:2]:
        assert (signature.read(vector["plaintext"], now_ms=case["now"]) is not None) is case["accept"]


@pytest.mark.spec("OneAccess-4.1")
@pytest.mark.parametrize(
    ("suffix", "offset_ms", "accept"),
    [
        (f"#{T}", 0, True),
        (f"#{T}", 299_999, True),
        (f"#{T - 1}", 299_999, False),
        (f"#{T + 600_000}", 0, True),  # in the future, as the sample's validateData has it
        ("#123", 0, False),
        ("#abcdefghijklm", 0, False),
        (f"#b#{T}", 0, False),
        (f"#{T}\n", 0, False),
    ],
)
def test_the_suffix_is_cut_off_only_where_it_is_a_recent_time(suffix: str, offset_ms: int, accept: bool) -> None:
    plaintext = f"session_token=a&timestamp={T}&nonce=n{suffix}"
    assert (signature.read(plaintext, now_ms=T + offset_ms) is not None) is accept


@pytest.mark.spec("OneAccess-4.1")
@pytest.mark.parametrize("variant", MGF1_HASHES)
def test_both_variants_prove_a_session(phone: Phone, variant: str) -> None:
    response = phone.profile(phone.sign(phone.sign_in(), variant=variant))
    assert (response.status_code, response.json()["user_name"]) == (200, "alice")


@pytest.mark.spec("OneAccess-4.1")
@pytest.mark.parametrize(
    "respell",
    [
        lambda text: text.replace("+", "-").replace("/", "_"),
        lambda text: text.rstrip("="),
        lambda text: f" {text[:76]} {text[76:]} ",
    ],
    ids=["URL-safe", "unpadded", "with blanks"],
)
def test_other_spellings_of_base64_are_taken(phone: Phone, respell: Callable[[str], str]) -> None:
    assert phone.profile(respell(phone.sign(phone.sign_in()))).status_code == 200


def other_client(phone: Phone, token: str) -> str | None:
    phone.device["X-client-id"] = make_client(make_application(phone.tenant), may_use_sdk=True).client_id
    return phone.sign(token)


def other_tenant(phone: Phone, token: str) -> str | None:
    other = make_phone(make_tenant())
    signed = other.sign(token)
    phone.host, phone.device = other.host, other.device
    return signed


def ended(phone: Phone, token: str) -> str | None:
    assert phone.get("logout", X_signature=phone.sign(token)).status_code == 200
    return phone.sign(token)


def browsers(phone: Phone, token: str) -> str | None:
    SSOSession.objects.update(kind="browser")
    return phone.sign(token)


def disabled_user(phone: Phone, token: str) -> str | None:
    phone.user.is_active = False
    phone.user.save()
    return phone.sign(token)


def at(offset_ms: int) -> Callable[[Phone, str], str | None]:
    def make(phone: Phone, token: str) -> str | None:
        now = int(phone.get("server-date").json()["timestamp"])
        return phone.encrypt(phone.plaintext(token, timestamp=now + offset_ms))

    return make


def text(template: str) -> Callable[[Phone, str], str | None]:
    def make(phone: Phone, token: str) -> str | None:
        now = phone.get("server-date").json()["timestamp"]
        return phone.encrypt(template.format(token=token, now=now))

    return make


CAUSES: dict[str, Callable[[Phone, str], str | None]] = {
    "missing": lambda phone, token: None,
    "empty": lambda phone, token: "",
    "not base64": lambda phone, token: "!" * 344,
    "too short": lambda phone, token: base64.b64encode(b"x" * 255).decode(),
    "damaged": lambda phone, token: base64.b64encode(b"\x01" * 256).decode(),
    "plain": lambda phone, token: base64.b64encode(phone.plaintext(token).encode()).decode(),
    "another key": lambda phone, token: phone.encrypt(
        phone.plaintext(token), key=make_phone(make_tenant()).public_key()
    ),
    "no UTF-8": lambda phone, token: phone.encrypt(phone.plaintext(token).encode() + b"\xff"),
    "too old": at(-300_001),
    "from the future": at(301_000),
    "members in another order": text("timestamp={now}&session_token={token}&nonce=n"),
    "without nonce": text("session_token={token}&timestamp={now}&nonce="),
    "a further member": text("session_token={token}&timestamp={now}&nonce=n&x=1"),
    "a number of other digits": text("session_token={token}&timestamp=١٦٢٨٤٩٦٨٩٥١٠٢&nonce=n"),
    "shortened token": lambda phone, token: phone.sign(token[:-1]),
    "unknown token": lambda phone, token: phone.sign("btsEXAMPLE0123456789abcdefGHIJKL"),
    "of another client": other_client,
    "of another tenant": other_tenant,
    "signed out": ended,
    "of a browser": browsers,
    "of a disabled user": disabled_user,
}


@pytest.mark.security("S33")
@pytest.mark.spec("OneAccess-3.2.5.5")
@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_whatever_is_wrong_is_one_error(phone: Phone, cause: Callable[[Phone, str], str | None]) -> None:
    response = phone.profile(cause(phone, phone.sign_in()))
    assert (response.status_code, response.json()) == (400, REFUSED)
    event = AuditEvent.objects.latest("pk")
    assert (event.event_type, event.outcome, event.reason) == ("session:use", "refused", "PARAM.0030")


@pytest.mark.security("S33")
def test_every_refusal_costs_the_same_statements(phone: Phone) -> None:
    """The queries are part of the time; a replay must not tell by them whether its session still lives."""
    token = phone.sign_in()
    spent = phone.sign(token)
    assert phone.profile(spent).status_code == 200
    seen = set()
    for header in (spent, phone.sign("unknown"), "", at(-400_000)(phone, token), phone.encrypt("nothing")):
        with CaptureQueriesContext(connection) as queries:
            assert phone.profile(header).json() == REFUSED
        seen.add(tuple(query["sql"].split(" ", 1)[0] + query["sql"].partition("FROM")[2][:25] for query in queries))
    assert len(seen) == 1


@pytest.mark.security("S33")
@pytest.mark.parametrize(
    ("header", "expected"),
    [("", None), ("AAAA", None), (base64.b64encode(b"\x01" * 256).decode(), None), ("fits", "text")],
    ids=["missing", "too short", "damaged", "good"],
)
def test_every_header_is_tried_with_every_key_and_variant(
    phone: Phone, header: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counting:
        """Stands for a private key, which cannot be patched: it is not ours."""

        def __init__(self, key: RSAPrivateKey) -> None:
            self.key, self.key_size, self.tried = key, key.key_size, 0

        def decrypt(self, block: bytes, padding: Any) -> bytes:
            self.tried += 1
            return self.key.decrypt(block, padding)

    RSAPrivateKey.register(Counting)
    live = keys.decryption_keys(tenant=phone.tenant)
    assert len(live) == 2
    header = phone.encrypt("text") if expected else header
    counting = [Counting(key.private) for key in live]  # type: ignore[arg-type]
    for key, counter in zip(live, counting, strict=True):
        monkeypatch.setitem(key.__dict__, "private", counter)
    assert signature.decrypt(header, live) == expected
    assert [counter.tried for counter in counting] == [2, 2]


@pytest.mark.parametrize(("length", "fits"), [(120, True), (121, False)])
def test_no_session_token_is_longer_than_an_app_can_encrypt(length: int, fits: bool) -> None:
    plaintext = f"session_token={'é' * (length // 2)}{'x' * (length % 2)}&timestamp={T}&nonce=n"
    assert (signature.read(plaintext, now_ms=T) is not None) is fits


@pytest.mark.security("S11")
@pytest.mark.spec("OneAccess-4.1")
def test_a_nonce_is_spent_on_all_calls_together(phone: Phone) -> None:
    token = phone.sign_in()
    text_of_it = phone.plaintext(token, nonce="n1")
    assert phone.profile(phone.encrypt(text_of_it)).status_code == 200
    assert phone.profile(phone.encrypt(text_of_it)).json() == REFUSED  # another ciphertext, the same nonce
    assert phone.get("logout", X_signature=phone.encrypt(phone.plaintext(token, nonce="n1"))).json() == REFUSED
    assert SSOSession.objects.get().ended_at is None


def test_a_nonce_belongs_to_the_session_and_comes_back_after_ten_minutes(phone: Phone) -> None:
    with time_machine.travel("2026-11-22 09:00:00Z", tick=False) as clock:
        first, second = phone.sign_in(), phone.sign_in()
        for token in (first, second):
            assert phone.profile(phone.encrypt(phone.plaintext(token, nonce="n"))).status_code == 200
        clock.shift(599)
        assert phone.profile(phone.encrypt(phone.plaintext(first, nonce="n"))).json() == REFUSED
        clock.shift(2)
        assert phone.profile(phone.encrypt(phone.plaintext(first, nonce="n"))).status_code == 200
        assert SpentNonce.objects.count() == 2


def test_a_refused_signature_spends_nothing(phone: Phone) -> None:
    phone.sign_in()
    assert phone.profile(phone.sign("unknown")).json() == REFUSED
    assert not SpentNonce.objects.exists()


def test_nonces_that_are_over_are_deleted(phone: Phone) -> None:
    assert phone.profile(phone.sign(phone.sign_in())).status_code == 200
    now = timezone.now()
    assert nonces.purge(now, 100) == 0
    assert nonces.purge(now + signature.NONCE_LIFETIME, 100) == 1


@pytest.mark.security("S11")
@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_is_let_in() -> None:
    phone = make_phone()
    header = phone.sign(phone.sign_in())
    answers = at_once(lambda _number: phone.profile(header), times=24)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 23


@pytest.mark.spec("OneAccess-4.1")
def test_an_app_with_the_old_key_goes_on_after_rotation_and_stops_after_revocation(phone: Phone) -> None:
    token, old = phone.sign_in(), phone.public_key()
    kinds = {"tenant": phone.tenant, "use": "enc", "alg": "RSA-OAEP-256"}
    keys.rotate(**kinds)
    copies.clear()
    assert phone.public_key().public_numbers() != old.public_numbers()
    assert phone.profile(phone.encrypt(phone.plaintext(token), key=old)).status_code == 200
    keys.revoke(**kinds)
    copies.clear()
    assert phone.profile(phone.encrypt(phone.plaintext(token), key=old)).json() == REFUSED
    assert KeyPair.objects.filter(state=KeyState.ACTIVE, use="enc").count() == 1


@pytest.mark.security("S11")
def test_a_flagged_client_may_sign_different_calls_with_one_nonce(phone: Phone) -> None:
    client = Client.objects.get(client_id=phone.device["X-client-id"])
    client.flags = {"shared_nonces": True}
    client.save()
    token = phone.sign_in()
    now = int(phone.get("server-date").json()["timestamp"])

    def signed() -> str:
        # The document's own recipe: the nonce is the server's time in hexadecimal.
        return phone.encrypt(phone.plaintext(token, timestamp=now, nonce=f"{now:x}"))

    assert phone.profile(signed()).status_code == 200
    assert phone.get("profile?x=1", X_signature=signed()).status_code == 200
    again = phone.profile(signed())
    assert (again.status_code, again.json()) == (400, REFUSED)
    assert phone.get("logout", X_signature=signed()).status_code == 200


def test_without_the_flag_a_nonce_is_good_for_one_call(phone: Phone) -> None:
    token = phone.sign_in()
    text = phone.plaintext(token)
    assert phone.profile(phone.encrypt(text)).status_code == 200
    assert phone.get("logout", X_signature=phone.encrypt(text)).json() == REFUSED


@pytest.mark.parametrize("header", ["nonsense", "not ours", "used before"])
def test_every_refusal_reads_the_keys_anew(phone: Phone, header: str) -> None:
    token = phone.sign_in()
    used = phone.sign(token)
    assert phone.profile(used).status_code == 200
    sent = {"nonsense": "bm9uZQ", "not ours": phone.sign("x" * 43), "used before": used}[header]
    with CaptureQueriesContext(connection) as queries:
        assert phone.profile(sent).json() == REFUSED
    assert sum("identity_keypair" in query["sql"] for query in queries) == 1


def test_a_key_that_another_process_has_just_made_is_taken(phone: Phone) -> None:
    KeyPair.objects.filter(tenant=phone.tenant, use="enc").delete()
    copies.clear()
    token = phone.sign_in()
    assert phone.profile("bm9uZQ").json() == REFUSED  # This process now knows that there is no key.
    make_keys(phone.tenant, use="enc", alg="RSA-OAEP-256")
    key = KeyPair.objects.get(tenant=phone.tenant, use="enc", state=KeyState.ACTIVE)
    public = RSAAlgorithm.from_jwk(key.public_jwk)
    assert isinstance(public, RSAPublicKey)
    assert phone.profile(phone.encrypt(phone.plaintext(token), key=public)).status_code == 200
