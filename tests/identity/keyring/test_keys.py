"""Keys of a tenant: first need, rotation, revocation, ageing, and many processes at once."""

import json
import multiprocessing
import time
from base64 import urlsafe_b64decode
from datetime import timedelta
from io import StringIO
from queue import Empty

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections, transaction
from django.test import override_settings
from django.utils import timezone

from identity import copies, crypto, listening, purging
from identity.events import EventType
from identity.keyring import keys
from identity.models import AuditEvent, KeyPair, KeyState, Tenant
from tests.factories import make_operator
from tests.factories.keys import make_keys

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_copies():
    copies.clear()
    yield
    copies.clear()


@pytest.fixture
def tenant():
    return Tenant.objects.create(code="keys", name="Keys")


@pytest.fixture
def other_tenant():
    return Tenant.objects.create(code="other", name="Other")


def states(tenant, use="sig", alg="RS256"):
    rows = KeyPair.objects.filter(tenant=tenant, use=use, alg=alg).order_by("id")
    return {row.kid: row.state for row in rows}


def kids(tenant, use="sig"):
    return {key.kid for key in keys.public_keys(tenant=tenant, use=use)}


def events():
    return list(AuditEvent.objects.order_by("id").values_list("event_type", flat=True))


# First need -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["RS256", "RS512", "ES256"])
def test_the_first_signature_makes_an_active_and_a_next_key(tenant, alg):
    token = keys.sign(tenant=tenant, alg=alg, claims={"sub": "alice"})
    header = jwt.get_unverified_header(token)
    assert states(tenant, alg=alg) == {
        header["kid"]: "active",
        **{kid: "next" for kid in states(tenant, alg=alg) if kid != header["kid"]},
    }
    assert len(states(tenant, alg=alg)) == 2
    assert header == {"alg": alg, "kid": header["kid"], "typ": "JWT"}
    assert keys.verify(tenant=tenant, token=token) == {"sub": "alice"}
    assert events() == [EventType.KEY_CREATE, EventType.KEY_CREATE]
    assert set(AuditEvent.objects.values_list("tenant", "actor_type")) == {(tenant.pk, "system")}


def test_publishing_makes_the_default_key(tenant):
    published = keys.public_keys(tenant=tenant)
    assert {(key.alg, key.state) for key in published} == {("RS256", "active"), ("RS256", "next")}


@pytest.mark.spec("RFC7638-3.1")
def test_the_thumbprint_of_the_published_example():
    jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV"
        "4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgd"
        "AZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur"
        "-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    assert keys.thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.spec("RFC7517-4")
@pytest.mark.parametrize(("alg", "members"), [("RS256", {"n", "e"}), ("ES256", {"crv", "x", "y"})])
def test_published_members_are_public_ones(tenant, alg, members):
    key = keys.active(tenant=tenant, use="sig", alg=alg)
    assert set(key.jwk) == members | {"kty", "kid", "use", "alg"}
    assert (key.jwk["use"], key.jwk["alg"], key.jwk["kid"]) == ("sig", alg, key.kid)
    assert key.kid == keys.thumbprint(key.jwk)
    assert "/" not in key.kid
    if alg == "RS256":
        assert len(urlsafe_b64decode(key.jwk["n"] + "==")) == 256


@pytest.mark.parametrize(("use", "alg"), [("sig", "none"), ("sig", "HS256"), ("sig", "RSA-OAEP-256"), ("enc", "RS256")])
@pytest.mark.security("S42")
def test_no_key_is_made_for_another_algorithm(tenant, use, alg):
    with pytest.raises(keys.UnsupportedAlgorithm):
        keys.active(tenant=tenant, use=use, alg=alg)
    assert not KeyPair.objects.exists()


def test_private_keys_are_sealed(tenant):
    key = keys.active(tenant=tenant, use="sig", alg="ES256")
    row = KeyPair.objects.get(kid=key.kid)
    der = key.private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert crypto.unseal_bytes(row.private_sealed, purpose="keypair.private") == der
    secret = key.private.private_numbers().private_value.to_bytes(32, "big")
    assert secret not in urlsafe_b64decode(row.private_sealed.rpartition(".")[2] + "==")
    assert "sealed" not in repr(key).lower()
    assert row.private_sealed not in repr(key)


def test_an_encryption_key_decrypts_what_its_public_half_encrypted(tenant):
    public = keys.active(tenant=tenant, use="enc", alg="RSA-OAEP-256").public
    oaep = padding.OAEP(mgf=padding.MGF1(SHA256()), algorithm=SHA256(), label=None)
    box = public.encrypt(b"session_token=t", oaep)
    keys.rotate(tenant=tenant, use="enc", alg="RSA-OAEP-256")
    live = keys.decryption_keys(tenant=tenant)
    assert [key.state for key in live] == ["active", "next", "retired"]
    assert live[-1].private.decrypt(box, oaep) == b"session_token=t"
    assert kids(tenant) & kids(tenant, "enc") == set()


# Tenants ----------------------------------------------------------------------------------------------------


@pytest.mark.security("S36")
def test_tenants_share_no_keys(tenant, other_tenant):
    token = keys.sign(tenant=tenant, alg="ES256", claims={"sub": "alice"})
    kid = jwt.get_unverified_header(token)["kid"]
    assert kid in kids(tenant)
    assert kid not in kids(other_tenant)
    assert keys.find_published(tenant=other_tenant, kid=kid) is None
    with pytest.raises(jwt.InvalidTokenError):
        keys.verify(tenant=other_tenant, token=token)


@pytest.mark.security("S42")
def test_the_header_does_not_choose_the_algorithm(tenant):
    key = keys.active(tenant=tenant, use="sig", alg="RS256")
    with_none = jwt.encode({"sub": "alice"}, None, algorithm="none", headers={"kid": key.kid})
    public_text = json.dumps(dict(key.jwk)) * 2
    with_hmac = jwt.encode({"sub": "alice"}, public_text, algorithm="HS256", headers={"kid": key.kid})
    other_hash = jwt.encode({"sub": "alice"}, key.private, algorithm="RS512", headers={"kid": key.kid})
    for forged in (with_none, with_hmac, other_hash):
        with pytest.raises(jwt.InvalidTokenError):
            keys.verify(tenant=tenant, token=forged)


def test_an_encryption_key_verifies_nothing(tenant):
    key = keys.active(tenant=tenant, use="enc", alg="RSA-OAEP-256")
    forged = jwt.encode({"sub": "alice"}, key.private, algorithm="RS256", headers={"kid": key.kid})
    with pytest.raises(jwt.InvalidTokenError):
        keys.verify(tenant=tenant, token=forged)


def test_expiry_is_checked_unless_the_caller_takes_old_tokens(tenant):
    token = keys.sign(tenant=tenant, alg="ES256", claims={"sub": "alice", "exp": 1})
    with pytest.raises(jwt.ExpiredSignatureError):
        keys.verify(tenant=tenant, token=token)
    assert keys.verify(tenant=tenant, token=token, verify_exp=False)["sub"] == "alice"


# Rotation ---------------------------------------------------------------------------------------------------


def test_rotating_makes_next_active_and_publishes_a_new_next(tenant):
    first, second = states(tenant) or (keys.public_keys(tenant=tenant) and states(tenant))
    row = keys.rotate(tenant=tenant, use="sig", alg="RS256")
    assert row.kid == second
    (third,) = set(states(tenant)) - {first, second}
    assert states(tenant) == {first: "retired", second: "active", third: "next"}
    assert kids(tenant) == {first, second, third}
    assert keys.active(tenant=tenant, use="sig", alg="RS256").kid == second
    assert KeyPair.objects.get(kid=second).activated_at is not None
    assert events()[-1] == EventType.KEY_ROTATE
    assert AuditEvent.objects.latest("id").details == {
        "kid": second,
        "use": "sig",
        "alg": "RS256",
        "state": "active",
        "retired": first,
        "published": third,
    }


def test_a_retired_key_is_published_until_its_last_token_expired(tenant, time_machine):
    token = keys.sign(tenant=tenant, alg="ES256", claims={"sub": "alice"})
    kid = jwt.get_unverified_header(token)["kid"]
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    keys.rotate(tenant=tenant, use="sig", alg="ES256")
    limit = timedelta(hours=25, seconds=5)
    time_machine.move_to(now + limit - timedelta(seconds=1), tick=False)
    assert kid in kids(tenant)
    assert keys.verify(tenant=tenant, token=token) == {"sub": "alice"}
    time_machine.move_to(now + limit, tick=False)
    assert kid not in kids(tenant)
    with pytest.raises(jwt.InvalidTokenError):
        keys.verify(tenant=tenant, token=token)


def test_a_retired_signing_key_has_no_private_half(tenant):
    first = keys.active(tenant=tenant, use="sig", alg="ES256").kid
    keys.rotate(tenant=tenant, use="sig", alg="ES256")
    assert KeyPair.objects.get(kid=first).private_sealed == ""


def test_rotating_only_the_expected_key(tenant):
    first = keys.active(tenant=tenant, use="sig", alg="ES256").kid
    keys.rotate(tenant=tenant, use="sig", alg="ES256", expected_kid=first)
    before = states(tenant, alg="ES256")
    with pytest.raises(keys.KeysChanged):
        keys.rotate(tenant=tenant, use="sig", alg="ES256", expected_kid=first)
    assert states(tenant, alg="ES256") == before


def test_rotating_one_algorithm_leaves_the_others(tenant):
    rsa, curve = (keys.active(tenant=tenant, use="sig", alg=alg).kid for alg in ("RS256", "ES256"))
    keys.rotate(tenant=tenant, use="sig", alg="ES256")
    assert keys.active(tenant=tenant, use="sig", alg="RS256").kid == rsa
    assert keys.active(tenant=tenant, use="sig", alg="ES256").kid != curve


def test_revoking_takes_every_live_key_away(tenant):
    token = keys.sign(tenant=tenant, alg="ES256", claims={"sub": "alice"})
    keys.rotate(tenant=tenant, use="sig", alg="ES256")
    old = set(states(tenant, alg="ES256"))
    keys.revoke(tenant=tenant, use="sig", alg="ES256")
    assert {state for kid, state in states(tenant, alg="ES256").items() if kid in old} == {"revoked"}
    assert not KeyPair.objects.filter(kid__in=old).exclude(private_sealed="").exists()
    assert kids(tenant).isdisjoint(old)
    with pytest.raises(jwt.InvalidTokenError):
        keys.verify(tenant=tenant, token=token)
    assert keys.verify(tenant=tenant, token=keys.sign(tenant=tenant, alg="ES256", claims={"sub": "b"})) == {"sub": "b"}
    revoked = AuditEvent.objects.get(event_type=EventType.KEY_REVOKE)
    assert set(revoked.details["revoked"]) == old


def test_the_database_refuses_a_second_active_key(tenant):
    keys.active(tenant=tenant, use="sig", alg="ES256")
    row = KeyPair.objects.get(tenant=tenant, state=KeyState.NEXT)
    row.state = KeyState.ACTIVE
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()


# Ageing and purging -----------------------------------------------------------------------------------------


def test_aged_keys_are_rotated_once(tenant):
    first = keys.active(tenant=tenant, use="sig", alg="ES256").kid
    now = timezone.now()
    assert keys.rotate_aged(now=now + timedelta(days=80)) == 0
    assert keys.rotate_aged(now=now + timedelta(days=91)) == 1
    assert states(tenant, alg="ES256")[first] == "retired"


def test_keys_that_were_made_on_one_day_are_not_all_due_on_one_day(tenant):
    row = keys.rotate(tenant=tenant, use="sig", alg="ES256")
    now = timezone.now()
    copies = []
    for number in range(100):
        other = Tenant(code=f"t{number}", name="T")
        other.save()
        columns = {"public_jwk": row.public_jwk, "private_sealed": row.private_sealed, "activated_at": now}
        copies.append(KeyPair(tenant=other, kid=f"k{number}", use="sig", alg="ES256", state="active", **columns))
    KeyPair.objects.bulk_create(copies)
    due = [0]
    for day in range(80, 92):
        due.append(keys.rotate_aged(now=now + timedelta(days=day)))
        KeyPair.objects.filter(activated_at__gt=now).update(activated_at=None)  # rotated: not due any more
    assert due[1] == due[2] == 0  # nine tenths of the interval
    assert sum(due) == 101
    assert max(due) < 30


def test_keys_are_rotated_in_portions(tenant, other_tenant):
    now = timezone.now()
    for each in (tenant, other_tenant):
        keys.ensure(tenant=each, use="sig", alg="ES256")
    asked = iter([False, True, False, True])
    for _portion in range(2):
        assert keys.rotate_aged(now=now + timedelta(days=91), is_over=lambda: next(asked)) == 1


def test_tenants_without_keys_get_theirs_in_portions(tenant, other_tenant):
    asked = iter([False, True, False, False])
    for _portion in range(2):
        assert keys.make_missing(is_over=lambda: next(asked)) == 1
    assert keys.make_missing() == 0
    for each in (tenant, other_tenant):
        assert keys.in_use(tenant=each) == [("enc", "RSA-OAEP-256"), ("sig", "RS256")]


def test_ageing_can_be_left_to_operators(tenant):
    keys.active(tenant=tenant, use="sig", alg="ES256")
    with override_settings(IDENTITY={**settings.IDENTITY, "key_rotation_interval": timedelta(0)}):
        assert keys.rotate_aged(now=timezone.now() + timedelta(days=1000)) == 0


def test_private_halves_of_old_encryption_keys_are_destroyed(tenant):
    first = keys.active(tenant=tenant, use="enc", alg="RSA-OAEP-256").kid
    keys.rotate(tenant=tenant, use="enc", alg="RSA-OAEP-256")
    now = timezone.now()
    assert keys.purge(now, 10) == 0
    assert KeyPair.objects.get(kid=first).private_sealed != ""
    assert purging.purge_expired(now=now + timedelta(hours=26))["keys"] == 1
    assert KeyPair.objects.get(kid=first).private_sealed == ""


# The process's copy -----------------------------------------------------------------------------------------


def test_signing_asks_the_database_once_in_five_seconds(tenant, monkeypatch, django_assert_num_queries):
    keys.ensure(tenant=tenant, use="sig", alg="ES256")
    copies.clear()  # as in another process
    began = time.monotonic()
    for elapsed, queries in ((0, 1), (4.9, 0), (5.1, 1), (9.9, 0)):
        monkeypatch.setattr(time, "monotonic", lambda: began + elapsed)  # noqa: B023 - used before the next round
        with django_assert_num_queries(queries):
            keys.sign(tenant=tenant, alg="ES256", claims={})


def test_a_key_is_parsed_once(tenant, monkeypatch):
    keys.ensure(tenant=tenant, use="sig", alg="ES256")
    copies.clear()
    first = keys.active(tenant=tenant, use="sig", alg="ES256")
    parsed = first.private
    keys.public_keys(tenant=tenant)  # reads the rows again
    second = keys.active(tenant=tenant, use="sig", alg="ES256")
    assert second is not first
    assert second.private is parsed


def test_publishing_never_uses_the_copy(tenant, django_assert_num_queries):
    keys.ensure(tenant=tenant, use="sig", alg="RS256")
    for _ in range(2):
        with django_assert_num_queries(1):
            keys.public_keys(tenant=tenant)


def test_an_unknown_kid_is_looked_for_in_the_database(tenant):
    keys.public_keys(tenant=tenant)
    copies.clear()
    keys.active(tenant=tenant, use="sig", alg="RS256")  # fills the copy
    known = keys._copies.find(tenant.pk)
    keys.rotate(tenant=tenant, use="sig", alg="RS256")
    copies.clear()
    keys._copies.keep(tenant.pk, known, tenant_id=tenant.pk, since=copies.begin())  # another process's, of before
    for kid in states(tenant):
        assert keys.find_published(tenant=tenant, kid=kid) is not None
    assert keys.find_published(tenant=tenant, kid="unknown") is None


@pytest.mark.django_db(transaction=True)
def test_a_key_of_a_transaction_that_was_rolled_back_signs_nothing():
    tenant = Tenant.objects.create(code="keys", name="Keys")
    with transaction.atomic():
        lost = keys.active(tenant=tenant, use="sig", alg="ES256")
        transaction.set_rollback(True)
    assert not KeyPair.objects.exists()
    kept = keys.active(tenant=tenant, use="sig", alg="ES256")
    assert kept.kid != lost.kid
    assert KeyPair.objects.filter(kid=kept.kid).exists()


@pytest.mark.django_db(transaction=True)
def test_after_the_commit_the_copy_is_used(django_assert_num_queries):
    tenant = Tenant.objects.create(code="keys", name="Keys")
    keys.active(tenant=tenant, use="sig", alg="ES256")
    keys.active(tenant=tenant, use="sig", alg="ES256")
    with django_assert_num_queries(0):
        keys.active(tenant=tenant, use="sig", alg="ES256")


# The command ------------------------------------------------------------------------------------------------


def run(*args):
    out = StringIO()
    call_command("rotate_keys", *args, stdout=out)
    return out.getvalue().splitlines()


def test_the_command_rotates_what_is_in_use(tenant, other_tenant):
    keys.active(tenant=tenant, use="sig", alg="ES256")
    keys.active(tenant=tenant, use="enc", alg="RSA-OAEP-256")
    lines = run()
    active = {row.alg: row.kid for row in KeyPair.objects.filter(tenant=tenant, state="active")}
    assert lines == [
        f"keys: enc RSA-OAEP-256 is now {active['RSA-OAEP-256']}",
        f"keys: sig ES256 is now {active['ES256']}",
        "other: no keys yet; they are made on first need",
    ]
    assert sorted(states(tenant, alg="ES256").values()) == ["active", "next", "retired"]


def test_the_command_takes_tenant_use_and_algorithm(tenant, other_tenant):
    for each in (tenant, other_tenant):
        keys.active(tenant=each, use="sig", alg="ES256")
        keys.active(tenant=each, use="sig", alg="RS256")
    assert len(run("--tenant", "keys", "--use", "sig", "--alg", "ES256")) == 1
    assert sorted(states(tenant, alg="ES256").values()) == ["active", "next", "retired"]
    assert sorted(states(tenant, alg="RS256").values()) == ["active", "next"]
    assert sorted(states(other_tenant, alg="ES256").values()) == ["active", "next"]


def test_the_command_makes_a_key_that_is_named(tenant):
    assert len(run("--tenant", "keys", "--alg", "ES256")) == 1
    assert sorted(states(tenant, alg="ES256").values()) == ["active", "next", "retired"]


def test_the_command_revokes_in_an_emergency(tenant):
    old = keys.active(tenant=tenant, use="sig", alg="ES256").kid
    run("--tenant", "keys", "--emergency")
    assert states(tenant, alg="ES256")[old] == "revoked"
    assert old not in kids(tenant)


@pytest.mark.parametrize(
    "args", [("--tenant", "nobody"), ("--use", "enc", "--alg", "RS256"), ("--alg", "HS256"), ("--use", "both")]
)
def test_the_command_refuses_what_it_does_not_know(tenant, args):
    with pytest.raises(CommandError):
        run(*args)
    assert not KeyPair.objects.exists()


# Many processes ---------------------------------------------------------------------------------------------

PROCESSES = 4


def start(target, *args):
    """Run a function in processes of their own, each with its own connection and its own copy of the keys."""
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    connections.close_all()
    processes = [fork.Process(target=in_process, args=(target, results, *args)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    return processes, results


def in_process(target, results, *args):
    copies.clear()
    try:
        results.put(target(*args))
    except BaseException as error:
        results.put(repr(error))
        raise
    finally:
        connections.close_all()


def finish(processes, results):
    answers = []
    for _ in processes:
        try:
            answers.append(results.get(timeout=60))
        except Empty:
            break
    for process in processes:
        process.join(10)
    assert [process.exitcode for process in processes] == [0] * len(processes), answers
    return answers


def first_need(tenant, barrier):
    barrier.wait(30)
    return [keys.active(tenant=tenant, use="sig", alg=alg).kid for alg in ("RS256", "ES256")]


@pytest.mark.django_db(transaction=True)
def test_processes_that_need_the_first_key_at_once_get_the_same():
    tenant = Tenant.objects.create(code="keys", name="Keys")
    answers = finish(*start(first_need, tenant, multiprocessing.get_context("fork").Barrier(PROCESSES)))
    assert len(answers) == PROCESSES
    assert len({tuple(answer) for answer in answers}) == 1
    assert sorted(states(tenant).values()) == ["active", "next"]
    assert sorted(states(tenant, alg="ES256").values()) == ["active", "next"]
    assert AuditEvent.objects.filter(event_type=EventType.KEY_CREATE).count() == 4


def rotate_often(tenant):
    return [keys.rotate(tenant=tenant, use="sig", alg="ES256").kid for _ in range(5)]


@pytest.mark.django_db(transaction=True)
def test_processes_that_rotate_at_once_take_turns():
    tenant = Tenant.objects.create(code="keys", name="Keys")
    answers = finish(*start(rotate_often, tenant))
    made_active = [kid for answer in answers for kid in answer]
    assert len(set(made_active)) == PROCESSES * 5
    counted = sorted(states(tenant, alg="ES256").values())
    assert counted == ["active", "next"] + ["retired"] * PROCESSES * 5


def serve(tenant, stop):
    """Sign and publish as a worker does; return how many signatures and every one that could not be verified."""
    signed, unverified = 0, []
    published = {key.kid: key for key in keys.public_keys(tenant=tenant)}
    while not stop.is_set() or signed == 0:
        token = keys.sign(tenant=tenant, alg="ES256", claims={"sub": "alice"})
        kid = jwt.get_unverified_header(token)["kid"]
        after = {key.kid: key for key in keys.public_keys(tenant=tenant)}
        for jwks in (published, after):
            if kid in jwks:
                jwt.decode(token, jwks[kid].public, algorithms=["ES256"])
                break
        else:
            unverified.append(kid)
        signed, published = signed + 1, after
    return signed, unverified


@pytest.mark.django_db(transaction=True)
def test_every_signature_verifies_while_keys_are_rotated():
    tenant = Tenant.objects.create(code="keys", name="Keys")
    keys.ensure(tenant=tenant, use="sig", alg="ES256")
    stop = multiprocessing.get_context("fork").Event()
    processes, results = start(serve, tenant, stop)
    try:
        for _ in range(20):
            call_command("rotate_keys", "--tenant", "keys", "--use", "sig", stdout=StringIO())
    finally:
        stop.set()
        connection.close()
    answers = finish(processes, results)
    assert len(answers) == PROCESSES
    assert [unverified for _, unverified in answers] == [[]] * PROCESSES
    assert all(signed > 0 for signed, _ in answers)
    assert len(states(tenant, alg="ES256")) == 22


def test_keys_of_the_factory_are_like_those_of_first_need(tenant, other_tenant, django_assert_num_queries):
    made = {each: make_keys(each, alg="ES256") for each in (tenant, other_tenant)}
    with django_assert_num_queries(1):
        token = keys.sign(tenant=tenant, alg="ES256", claims={})
    assert jwt.get_unverified_header(token)["kid"] == made[tenant].kid != made[other_tenant].kid
    assert keys.verify(tenant=tenant, token=token) == {}


@pytest.mark.parametrize("change", [keys.rotate, keys.revoke])
def test_the_audit_names_the_operator(tenant, change):
    operator = make_operator(tenant)
    make_keys(tenant, alg="ES256")
    change(tenant=tenant, use="sig", alg="ES256", actor=operator)
    event = AuditEvent.objects.latest("id")
    assert (event.actor_type, event.actor_id) == ("user", operator.public_id)
    assert "private" not in str(event.details)


def test_a_new_key_signs_once_every_node_had_time_to_hear_of_it(tenant, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    keys.ensure(tenant=tenant, use="sig", alg="ES256")
    keys.sign(tenant=tenant, alg="ES256", claims={})
    assert not slept  # nobody here remembers what is published
    copies.clear()
    monkeypatch.setattr(listening, "_wanted", True)
    keys.sign(tenant=tenant, alg="ES256", claims={})
    (seconds,) = slept
    assert copies.SILENCE_SECONDS < seconds <= copies.SILENCE_SECONDS + 0.5
    KeyPair.objects.update(created_at=timezone.now() - timedelta(seconds=10))
    copies.clear()
    keys.sign(tenant=tenant, alg="ES256", claims={})
    assert len(slept) == 1


def test_what_is_published_is_remembered_only_while_changes_are_told(tenant, django_assert_num_queries):
    keys.ensure(tenant=tenant, use="sig", alg="RS256")
    keys.public_keys(tenant=tenant)
    copies.hear()
    with django_assert_num_queries(0):
        keys.public_keys(tenant=tenant)
