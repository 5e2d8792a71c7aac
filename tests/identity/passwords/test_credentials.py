"""Passwords: every PWD.* row, changing, history, age, hashes of other systems, equal cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import pytest
import time_machine
from django.contrib.auth import hashers
from django.utils import translation

from identity.context import RequestContext
from identity.directory import users
from identity.errors import AccountDisabled, CredentialsRefused, IdentityError, PasswordRefused, ValueRequired
from identity.models import AuditEvent, PasswordHistory, PasswordPolicy, SSOSession, Tenant, User
from identity.passwords import credentials, weak_passwords
from identity.passwords.hashers import Argon2id
from identity.sso import sessions
from tests.factories import PASSWORD, make_tenant, make_user

pytestmark = pytest.mark.django_db
OTHER = "Silent-Bridge-58"


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def context(tenant: Tenant) -> RequestContext:
    return RequestContext(tenant=tenant)


@pytest.fixture
def user(tenant: Tenant) -> User:
    return make_user(
        tenant, user_name="Katrin", name="Li Na", email="box77@example.org", mobile="138-1234-5678", last_name="王小明"
    )


def refusal_of(call: Any, *positional: Any, **arguments: Any) -> tuple[type[IdentityError], str, str]:
    with pytest.raises(IdentityError) as caught:
        call(*positional, **arguments)
    return type(caught.value), caught.value.error_code, caught.value.message


# The policy ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "policy", "code", "message"),
    [
        ("", {}, "PWD.0008", "Password required."),
        ("Ab1-xyz", {}, "PWD.0007", "Password must be 8 to 64 characters."),
        ("Ab1-" * 17, {}, "PWD.0007", "Password must be 8 to 64 characters."),
        ("vqzjxkwmhd", {}, "PWD.0005", "Weak password."),
        ("Vqzjxkwmhd-", {"min_classes": 4}, "PWD.0005", "Weak password."),
        ("Vqz7-aaaa-kwm", {"max_identical": 3}, "PWD.0006", "Max. 3 identical characters in password."),
        ("P@ssw0rd2026!", {}, "PWD.0004", "Weak password."),
        ("qwertyuiop1234", {}, "PWD.0004", "Weak password."),
        ("Hanabi-2026", {"weak_words": "sumida\nHanabi\n"}, "PWD.0004", "Weak password."),
        ("nirtaK-5817", {}, "PWD.0002", "Password cannot be the username spelled backwards."),
        ("xx-KATRIN-5817", {}, "PWD.0003", None),
        ("vq-13812345678", {}, "PWD.0003", None),
        ("vq-138-1234-5678", {}, "PWD.0003", None),
        ("vq-Box77-vq", {}, "PWD.0003", None),
        ("vq-li na-58", {}, "PWD.0003", None),
        ("vq58-王小明-vq", {}, "PWD.0003", None),
    ],
)
def test_a_password_that_breaks_the_policy_is_refused(
    user: User, password: str, policy: dict[str, Any], code: str, message: str | None
) -> None:
    expected = ValueRequired if code == "PWD.0008" else PasswordRefused
    text = message or "Password cannot include username, mobile number, or email prefix."
    refused = refusal_of(credentials.check_policy, password, user=user, policy=PasswordPolicy(**policy))
    assert refused == (expected, code, text)


@pytest.mark.parametrize(
    ("password", "policy"),
    [
        (PASSWORD, {}),
        ("Vqz7-aaaa-kwm", {"max_identical": 4}),
        ("nirtaK-5817", {"refuse_user_name_reversed": False}),
        ("xx-KATRIN-5817", {"refuse_user_name": False}),
        ("P@ssw0rd2026!", {"refuse_weak_list": False}),
        ("vqzjxkwmhd", {"min_classes": 1}),
        ("密码箱在山里的小屋下面1", {}),
    ],
)
def test_a_password_within_the_policy_is_taken(user: User, password: str, policy: dict[str, Any]) -> None:
    credentials.check_policy(password, user=user, policy=PasswordPolicy(**policy))


@pytest.mark.parametrize(
    "password",
    ["password", "Passw0rd!", "PASSWORD..", "admin123", "Adm1n@2026", "admin@123admin", "abcd1234", "1qaz@WSX",
     "qweasdzxc", "12344321", "aaaabbbb", "ab12ab12", "Woaini520", "5201314", "!Dragon!", "ｐａｓｓｗｏｒｄ１"],
)  # fmt: skip
def test_what_many_people_choose_is_weak_however_it_is_dressed_up(password: str) -> None:
    assert weak_passwords.is_weak(password)


@pytest.mark.parametrize(
    "password", [PASSWORD, OTHER, "correct horse battery", "Tr0ub4dor&3", "K7#pQz!m", "月下独酌无相亲"]
)
def test_what_few_people_choose_is_not_weak(password: str) -> None:
    assert not weak_passwords.is_weak(password)


def test_the_rules_are_told_in_the_readers_language() -> None:
    policy = PasswordPolicy(max_identical=3, min_classes=3, history_length=1)
    with translation.override("en"):
        assert [str(rule) for rule in credentials.policy_in_words(policy)] == [
            "8 to 64 characters",
            "at least 3 of: lower case, upper case, digits, other characters",
            "the same character at most 3 times",
            "not your user name, name, mobile number or e-mail address in it",
            "not your user name backwards",
            "not a password that many people use",
            "not the present password or the last one",
        ]
    lax = PasswordPolicy(
        min_classes=1,
        refuse_user_name=False,
        refuse_user_name_reversed=False,
        refuse_weak_list=False,
        history_length=0,
    )
    assert len(credentials.policy_in_words(lax)) == 1


@pytest.mark.parametrize("policy", [{}, {"min_length": 30}, {"max_length": 8, "max_identical": 1, "min_classes": 4}])
def test_a_generated_password_keeps_to_the_policy(user: User, policy: dict[str, Any]) -> None:
    row = PasswordPolicy(**policy)
    made = {credentials.generate_password(row) for _ in range(20)}
    assert len(made) == 20
    for password in made:
        credentials.check_policy(password, user=user, policy=row)


# Changing --------------------------------------------------------------------------------------------------


@pytest.mark.security("S26")
def test_a_new_password_ends_sessions_and_tokens(user: User, context: RequestContext) -> None:
    session, _handle = sessions.start(user=user, amr=["pwd"], context=context)
    credentials.change_password(user=user, old_password=PASSWORD, new_password=OTHER, context=context)
    row = User.objects.get(pk=user.pk)
    assert credentials.check_password(user=row, password=OTHER)
    assert not credentials.check_password(user=row, password=PASSWORD)
    assert row.epoch == session.epoch + 1
    assert SSOSession.objects.get(pk=session.pk).end_reason == "password_changed"
    assert AuditEvent.objects.filter(event_type="password:change", target_id=user.public_id).count() == 1


@pytest.mark.parametrize(
    ("old", "new", "error", "code"),
    [
        ("", OTHER, ValueRequired, "PARAM.0018"),
        (PASSWORD, "", ValueRequired, "PARAM.0019"),
        ("wrong", OTHER, CredentialsRefused, "PARAM.0028"),
        (PASSWORD, PASSWORD, PasswordRefused, "PARAM.0020"),
        (PASSWORD, "short", PasswordRefused, "PWD.0007"),
    ],
)
def test_a_change_that_breaks_a_rule_is_refused_and_changes_nothing(
    user: User, context: RequestContext, old: str, new: str, error: type[IdentityError], code: str
) -> None:
    before = User.objects.filter(pk=user.pk).values().get()
    refused = refusal_of(credentials.change_password, user=user, old_password=old, new_password=new, context=context)
    assert refused[:2] == (error, code)
    assert User.objects.filter(pk=user.pk).values().get() == before


def test_a_disabled_user_is_told_only_after_the_right_password(user: User, context: RequestContext) -> None:
    users.disable(user=user, context=context)
    change = credentials.change_password
    assert refusal_of(change, user=user, old_password="x", new_password=OTHER, context=context)[1] == "PARAM.0028"
    refused = refusal_of(change, user=user, old_password=PASSWORD, new_password=OTHER, context=context)
    assert refused[:2] == (AccountDisabled, "USER.0004")


def test_the_present_and_the_last_passwords_are_refused(user: User, context: RequestContext) -> None:
    PasswordPolicy.objects.filter(tenant=user.tenant).update(history_length=2)
    user.tenant.refresh_from_db()
    chosen = [PASSWORD, *(f"Silent-Bridge-{number}" for number in (61, 62, 63))]
    for password in chosen[1:]:
        credentials.set_password(user=user, password=password, context=context)
    assert PasswordHistory.objects.filter(user=user).count() == 2
    for password in chosen[1:]:
        refused = refusal_of(credentials.set_password, user=user, password=password, context=context)
        assert refused[:2] == (PasswordRefused, "PWD.0001")
    credentials.set_password(user=user, password=PASSWORD, context=context)


def test_a_tenant_may_keep_no_history(user: User, context: RequestContext) -> None:
    PasswordPolicy.objects.filter(tenant=user.tenant).update(history_length=0)
    user.tenant.refresh_from_db()
    credentials.set_password(user=user, password=PASSWORD, context=context)
    assert not PasswordHistory.objects.exists()


def test_of_two_changes_that_saw_the_same_password_one_wins(user: User, context: RequestContext) -> None:
    seen_by_both = User.objects.select_related("tenant").get(pk=user.pk)
    credentials.change_password(user=user, old_password=PASSWORD, new_password=OTHER, context=context)
    refused = refusal_of(
        credentials.change_password,
        user=seen_by_both,
        old_password=PASSWORD,
        new_password="Hollow-Lantern-9",
        context=context,
    )
    assert refused[:2] == (CredentialsRefused, "PARAM.0028")
    assert credentials.check_password(user=User.objects.get(pk=user.pk), password=OTHER)


def test_an_operator_may_demand_a_change(user: User, context: RequestContext) -> None:
    credentials.set_password(user=user, password=OTHER, context=context, must_change=True)
    assert credentials.password_age(user=user).must_change
    credentials.change_password(user=user, old_password=OTHER, new_password="Hollow-Lantern-9", context=context)
    assert not credentials.password_age(user=user).must_change
    users.update(user=user, context=context, password_must_change=True)
    assert credentials.password_age(user=user).must_change


# Age -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "is_warned", "is_expired", "days_left"),
    [
        (0, False, False, 90),
        (82.5, False, False, 8),
        (83, True, False, 7),
        (89.5, True, False, 1),
        (90, False, True, 0),
    ],
)
def test_a_password_grows_old(user: User, days: float, is_warned: bool, is_expired: bool, days_left: int) -> None:
    policy = PasswordPolicy(max_age_days=90, warn_days=7)
    user.password_changed_at = datetime(2026, 3, 1, tzinfo=UTC)
    with time_machine.travel(user.password_changed_at + timedelta(days=days), tick=False):
        age = credentials.password_age(user=user, policy=policy)
    assert (age.is_warned, age.is_expired, age.days_left) == (is_warned, is_expired, days_left)


def test_a_password_without_a_date_is_as_old_as_the_account(user: User) -> None:
    user.password_changed_at = None
    user.created_at = datetime.now(UTC) - timedelta(days=91)
    assert credentials.password_age(user=user, policy=PasswordPolicy(max_age_days=90)).is_expired
    assert credentials.password_age(user=user, policy=PasswordPolicy()).days_left is None
    user.set_unusable_password()
    assert not credentials.password_age(user=user, policy=PasswordPolicy(max_age_days=90)).is_expired


# Hashes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["pbkdf2_sha256", "pbkdf2_sha1", "bcrypt_sha256", "bcrypt", "sha256", "sha1"])
def test_a_hash_of_another_system_is_verified_once_and_replaced(user: User, algorithm: str) -> None:
    hasher = hashers.get_hasher(algorithm)
    salt = b"$2b$04$" + b"C6UzMDM.H6dfI/f/IKcEeO" if algorithm.startswith("bcrypt") else hasher.salt()
    imported = hasher.encode(PASSWORD, salt)
    User.objects.filter(pk=user.pk).update(password=imported)
    user.refresh_from_db()
    assert not credentials.check_password(user=user, password="wrong")
    assert User.objects.get(pk=user.pk).password == imported
    assert credentials.check_password(user=user, password=PASSWORD)
    upgraded = User.objects.get(pk=user.pk)
    assert upgraded.password.startswith("argon2$argon2id$")
    assert credentials.check_password(user=upgraded, password=PASSWORD)


def test_a_long_password_of_a_system_that_cut_it_is_verified_and_kept_whole(user: User) -> None:
    """The algorithm looks at 72 bytes; the library refuses more, where the other system had silently cut."""
    password = "Quiet-Harbour-41 " * 6
    cut = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    User.objects.filter(pk=user.pk).update(password=f"bcrypt${cut}")
    user.refresh_from_db()
    assert not credentials.check_password(user=user, password="x" * 100)
    assert credentials.check_password(user=user, password=password)
    assert not credentials.check_password(user=User.objects.get(pk=user.pk), password=password[:72])


@pytest.mark.parametrize("password", ["half a pair \ud800", "nothing \x00 more", "x" * 2000])
def test_what_can_be_nobodys_password_is_wrong_and_not_taken(user: User, password: str) -> None:
    assert not credentials.check_password(user=user, password=password)
    with pytest.raises(PasswordRefused):
        credentials.check_policy(password, user=user, policy=PasswordPolicy())


def test_an_upgrade_does_not_put_back_a_password_that_was_changed_meanwhile(
    user: User, context: RequestContext
) -> None:
    stale = User.objects.get(pk=user.pk)
    stale.password = hashers.make_password(PASSWORD, hasher="sha1")
    credentials.set_password(user=user, password=OTHER, context=context)
    assert credentials.check_password(user=stale, password=PASSWORD)
    assert credentials.check_password(user=User.objects.get(pk=user.pk), password=OTHER)


@pytest.mark.security("S33")
def test_nobody_and_a_user_without_a_password_cost_one_hash_like_anybody(
    tenant: Tenant, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    preferred = hashers.Argon2PasswordHasher  # where the hashing is, for ours and the cheap one of the tests alike
    hashed: list[int] = []
    original_encode, original_verify = preferred.encode, preferred.verify

    def encode(self: Any, password: str, salt: str) -> str:
        hashed.append(len(password))
        return original_encode(self, password, salt)

    def verify(self: Any, password: str, encoded: str) -> bool:
        hashed.append(len(password))
        return original_verify(self, password, encoded)

    monkeypatch.setattr(preferred, "encode", encode)
    monkeypatch.setattr(preferred, "verify", verify)
    costs = []
    for person in (user, None, make_user(tenant, password=None)):
        hashed.clear()
        assert not credentials.check_password(user=person, password="a wrong one")
        costs.append(len(hashed))
    assert costs == [1, 1, 1]
    weaker = type("Weaker", (Argon2id,), {"memory_cost": 16})()
    for encoded in (
        hashers.make_password(PASSWORD, hasher="pbkdf2_sha256"),
        hashers.make_password(PASSWORD, hasher="bcrypt"),
        hashers.make_password(PASSWORD, hasher="sha1"),
    ):
        for password, is_right in (("a wrong one", False), (PASSWORD, True)):
            person = make_user(tenant)
            person.password = encoded
            person.save()
            hashed.clear()
            assert credentials.check_password(user=person, password=password) is is_right
            assert hashed == [len(password)]
    person = make_user(tenant)
    person.password = weaker.encode(PASSWORD, weaker.salt())
    hashed.clear()
    assert not credentials.check_password(user=person, password="a wrong one")
    assert len(hashed) == 2  # the weaker one, and ours
    hashed.clear()
    assert not credentials.check_password(user=user, password="x" * 100_000)
    assert hashed == [1024]
