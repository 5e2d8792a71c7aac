"""A process with other secrets than the database was written with is told so before it serves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import OperationalError
from django.test import Client

from identity import checks, crypto
from identity.keyring import secret_check
from identity.keyring.secret_check import WrongSecrets
from identity.models import KeyPair, KeyState, KeyUse, SecretFingerprint
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db

NAMES = {
    "KEY_ENCRYPTION_KEYS": "key_encryption_keys",
    "HASH_PEPPERS": "hash_peppers",
    "BLIND_INDEX_KEY": "blind_index_key",
}
A, B, C = (bytes([number]) * 32 for number in (1, 2, 3))


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    """Begin with a database that nobody has written to, and leave the process proved as it was."""
    SecretFingerprint.objects.all().delete()
    secret_check.forget_proof()
    yield
    secret_check._is_proved = True


@pytest.fixture
def restart(settings):
    """Begin as a new process with these secrets."""

    def with_secrets(**values: object) -> None:
        settings.IDENTITY = {**settings.IDENTITY, **values}
        secret_check.forget_proof()

    return with_secrets


def test_the_first_process_records_what_it_has_and_no_key(restart) -> None:
    secret_check.prove()
    rows = dict(SecretFingerprint.objects.values_list("variable", "fingerprint"))
    assert set(rows) == set(NAMES)
    assert all(len(value) == 64 for value in rows.values())
    assert len(set(rows.values())) == 3
    secret_check.forget_proof()
    secret_check.prove()


@pytest.mark.parametrize("variable", NAMES)
def test_other_secrets_are_refused_by_name(restart, variable: str) -> None:
    secret_check.prove()
    restart(**{NAMES[variable]: B if variable == "BLIND_INDEX_KEY" else (B, C)})
    with pytest.raises(WrongSecrets, match=variable) as refused:
        secret_check.prove()
    assert refused.value.variables == [variable]
    assert [message.id for message in checks.check_secrets(None)] == ["identity.E009"]
    assert variable in checks.check_secrets(None)[0].msg


@pytest.mark.parametrize("name", ["key_encryption_keys", "hash_peppers"])
def test_a_new_first_key_is_recorded_and_the_old_one_may_go_afterwards(restart, name: str) -> None:
    restart(**{name: (A,)})
    secret_check.prove()
    restart(**{name: (A, B)})  # every node can read what the new one will write
    secret_check.prove()
    restart(**{name: (B, A)})
    secret_check.prove()
    restart(**{name: (B,)})
    secret_check.prove()
    restart(**{name: (A,)})
    with pytest.raises(WrongSecrets):
        secret_check.prove()


def test_a_node_that_has_only_the_old_key_is_refused_once_the_new_one_writes(restart) -> None:
    restart(hash_peppers=(B, A))
    secret_check.prove()
    restart(hash_peppers=(A,))
    assert secret_check.find_wrong() == ["HASH_PEPPERS"]


def test_a_check_writes_nothing(restart) -> None:
    assert checks.check_secrets(None) == []
    assert not SecretFingerprint.objects.exists()


def test_a_database_from_before_there_were_fingerprints_tells_by_its_sealed_keys(restart) -> None:
    tenant = make_tenant()
    sealed = crypto.seal(b"private", purpose="keypair.private")
    KeyPair.objects.create(
        tenant=tenant,
        kid="k",
        use=KeyUse.SIG,
        alg="RS256",
        state=KeyState.RETIRED,
        private_sealed=sealed,
        public_jwk={},
    )
    restart(key_encryption_keys=(B,))
    with pytest.raises(WrongSecrets, match="KEY_ENCRYPTION_KEYS"):
        secret_check.prove()
    assert not SecretFingerprint.objects.exists()


def test_a_first_process_that_loses_the_race_with_other_secrets_is_refused(restart, monkeypatch) -> None:
    before = secret_check._recorded
    calls = []

    def read() -> dict[str, str]:
        rows = before()
        if not calls:
            SecretFingerprint.objects.create(variable="HASH_PEPPERS", fingerprint="0" * 64)
        calls.append(rows)
        return rows

    monkeypatch.setattr(secret_check, "_recorded", read)
    with pytest.raises(WrongSecrets, match="HASH_PEPPERS"):
        secret_check.prove()


def test_requests_are_refused_and_readyz_says_which(restart) -> None:
    make_tenant(host="testserver")
    secret_check.prove()
    restart(hash_peppers=(B,), blind_index_key=C)
    response = Client().get("/readyz")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.content == b"secrets HASH_PEPPERS BLIND_INDEX_KEY\n"
    response = Client().get("/login")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert Client().get("/livez").status_code == 200


def test_a_server_starts_without_the_database_and_asks_again(restart, monkeypatch) -> None:
    def away() -> dict[str, str]:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(secret_check, "_recorded", away)
        patch.setattr(secret_check.connection, "close", lambda: None)
        secret_check.prove_at_start()
    make_tenant(host="testserver")
    assert Client().get("/login").status_code == 200
    assert SecretFingerprint.objects.count() == 3
