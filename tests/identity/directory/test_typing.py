"""What people type and paste: codes, passwords, names, mailboxes, as their keyboards spell them (decision 59)."""

from __future__ import annotations

import unicodedata
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import hashers

from identity import texts
from identity.context import RequestContext
from identity.directory import accounts, attributes, roles, users
from identity.errors import AlreadyExists, IdentityError, PasswordRefused, ValueRequired, VerificationRefused
from identity.models import AttributeEditor, Tenant, User, VerificationPurpose
from identity.passwords import credentials
from identity.passwords.hashers import Argon2id
from identity.sign_in import authentication, verification
from tests.factories import make_application, make_tenant, make_user

pytestmark = pytest.mark.django_db

CODE = "123456"
NFC = unicodedata.normalize("NFC", "Zürich-Straße-99x")
NFD = unicodedata.normalize("NFD", NFC)


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def context(tenant: Tenant) -> RequestContext:
    return RequestContext(tenant=tenant)


@pytest.fixture
def user(tenant: Tenant) -> User:
    return make_user(tenant, user_name="ming", email="ming@example.org")


def refusal_of(error_code: str, call: Any, /, **values: Any) -> None:
    with pytest.raises(IdentityError) as refused:
        call(**values)
    assert refused.value.error_code == error_code


# Codes ------------------------------------------------------------------------------------------------------------


SPELLINGS = [
    "123 456",
    "123-456",
    "１２３４５６",
    "\u200b123456",
    "12\u20103\u20114\u22125ー6",
    " 1 2 3\u30004 5 6\n",
    "١٢٣٤٥٦",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_code_has_many_spellings(user: User, context: RequestContext, monkeypatch: Any, spelling: str) -> None:
    monkeypatch.setattr(verification.secrets, "randbelow", lambda bound: int(CODE))
    purpose, target = VerificationPurpose.VERIFY_EMAIL, verification.email_of(user)
    verification.send(tenant=user.tenant, purpose=purpose, target=target, user=user, context=context)
    question: Any = {"tenant": user.tenant, "purpose": purpose, "target": target, "user": user}
    with pytest.raises(VerificationRefused):
        verification.prove(**question, verification_code="123457")
    verification.spend(verification.prove(**question, verification_code=spelling))


# Passwords --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kept", "typed"), [(NFC, NFD), (NFD, NFC), ("Blue Harbour 42", "Blue\u3000Harbour\u00a042")])
def test_a_password_is_one_however_a_keyboard_composes_it(
    user: User, context: RequestContext, kept: str, typed: str
) -> None:
    credentials.set_password(user=user, password=kept, context=context)
    assert credentials.check_password(user=user, password=typed)
    assert not credentials.check_password(user=user, password=typed + "x")
    refusal_of(
        "PARAM.0020", credentials.change_password, user=user, old_password=kept, new_password=typed, context=context
    )


def test_an_older_hash_of_what_was_typed_is_known_and_made_anew(user: User) -> None:
    User.objects.filter(pk=user.pk).update(password=hashers.make_password(NFD))
    user.refresh_from_db()
    assert credentials.check_password(user=user, password=NFD)
    user.refresh_from_db()
    assert hashers.check_password(NFC, user.password)
    assert credentials.check_password(user=user, password=NFC)


@pytest.mark.security("S33")
@pytest.mark.parametrize(("password", "cost"), [("wrong-Password-1", 1), (NFC, 1), (NFD, 2)])
def test_two_forms_cost_the_same_for_somebody_and_nobody(
    user: User, monkeypatch: Any, password: str, cost: int
) -> None:
    hashed: list[str] = []
    encode, verify = Argon2id.encode, Argon2id.verify
    monkeypatch.setattr(Argon2id, "encode", lambda *args: hashed.append("x") or encode(*args))
    monkeypatch.setattr(Argon2id, "verify", lambda *args: hashed.append("x") or verify(*args))
    for somebody in (user, None):
        hashed.clear()
        assert not credentials.check_password(user=somebody, password=password)
        assert len(hashed) == cost


def test_an_old_password_is_recognised_in_another_form(user: User, context: RequestContext) -> None:
    credentials.set_password(user=user, password=NFC, context=context)
    credentials.set_password(user=user, password="Silent-Bridge-58", context=context)
    with pytest.raises(PasswordRefused):
        credentials.set_password(user=user, password=NFD, context=context)


# Names ------------------------------------------------------------------------------------------------------------


INVISIBLE = ["\u200b", "\ufeff", "\u00ad", "\u202e", "\u2066", "\u200d", "\u2060", "\u3164", "\u2800", "\U000e0041"]


@pytest.mark.parametrize("mark", INVISIBLE)
@pytest.mark.parametrize(
    ("attribute", "value", "code"),
    [
        ("user_name", "li{}", "USER.0036"),
        ("user_name", "{}li", "USER.0036"),
        ("email", "li@example.com{}", "USER.0039"),
        ("email", "li@exam{}ple.com", "USER.0039"),
        ("employee_id", "E{}1", "USER.0050"),
    ],
)
def test_what_nobody_sees_is_refused_where_people_are_told_apart(
    tenant: Tenant, context: RequestContext, mark: str, attribute: str, value: str, code: str
) -> None:
    values = {"user_name": "somebody", attribute: value.format(mark)}
    refusal_of(code, users.create, tenant=tenant, context=context, **values)


@pytest.mark.parametrize("mark", INVISIBLE)
def test_what_nobody_sees_is_trimmed_from_names(tenant: Tenant, context: RequestContext, mark: str) -> None:
    user = users.create(tenant=tenant, context=context, user_name="li", name=f"{mark} Li Na{mark} ", nick_name=mark)
    assert (user.name, user.nick_name) == ("Li Na", "")


def test_what_turns_other_characters_is_taken_out_of_names_and_joiners_stay(
    tenant: Tenant, context: RequestContext
) -> None:
    persian, japanese = "علی\u200cرضا", "葛\U000e0100城"
    user = users.create(
        tenant=tenant, context=context, user_name="li", name="\u202eab\u200bc\u2066", first_name=persian, city=japanese
    )
    assert (user.name, user.first_name, user.city) == ("abc", persian, japanese)


def test_codes_of_roles_and_names_of_accounts_hold_nothing_invisible(user: User, context: RequestContext) -> None:
    application = make_application(user.tenant)
    refusal_of("APP_ROLE.0006", roles.create, application=application, context=context, code="ad\u200bmin")
    refusal_of(
        "APP_ACCOUNT.0036",
        accounts.create,
        application=application,
        user=user,
        context=context,
        account_name="min\u200bg",
    )


def test_a_name_pasted_with_something_invisible_is_still_the_persons(user: User) -> None:
    for typed in ("\ufeffming", "MING\u200b", "ｍｉｎｇ", "ming@example.org\u200b"):
        assert authentication.resolve(typed, tenant=user.tenant).user == user


def test_a_name_that_grows_beyond_its_column_when_compared_is_refused(tenant: Tenant, context: RequestContext) -> None:
    refusal_of("USER.0036", users.create, tenant=tenant, context=context, user_name="ﬃ" * 150)
    address = f"{'a' * 60}@{'.'.join(['漢字' * 8] * 11)}.example"
    refusal_of("USER.0039", users.create, tenant=tenant, context=context, user_name="li", email=address)


def test_a_definition_that_only_sets_a_pattern_leaves_the_user_name_required(
    tenant: Tenant, context: RequestContext
) -> None:
    attributes.define(tenant=tenant, name="user_name", context=context, pattern="[a-z]+")
    with pytest.raises(ValueRequired):
        users.create(tenant=tenant, context=context, editor=AttributeEditor.API, name="Li", mobile="13812345678")
    refusal_of("USER.0036", users.create, tenant=tenant, context=context, user_name="li9")
    assert attributes.user_rules(tenant)["user_name"].may_be_edited_by(AttributeEditor.USER)


# Mailboxes --------------------------------------------------------------------------------------------------------


UNICODE, ASCII = "li@bücher.example", "Li@XN--BCHER-kva.example"


@pytest.mark.parametrize(("first", "second"), [(UNICODE, ASCII), (ASCII, UNICODE)])
def test_a_mailbox_is_one_in_both_spellings_of_its_domain(
    tenant: Tenant, context: RequestContext, first: str, second: str
) -> None:
    user = users.create(tenant=tenant, context=context, user_name="li", email=first)
    with pytest.raises(AlreadyExists):
        users.create(tenant=tenant, context=context, user_name="other", email=second)
    assert authentication.resolve(second, tenant=tenant).user == user
    one, other = (verification.Target(verification.VerificationChannel.EMAIL, address) for address in (first, second))
    assert verification.is_same(one, other, tenant=tenant)


@pytest.mark.parametrize(
    ("one", "other", "is_one"),
    [
        ("bücher.example", "BÜCHER.example", True),
        ("bu\u0308cher.example", "bücher.example", True),
        ("例え.example", "xn--r8jz45g.example", True),
        ("straße.example", "strasse.example", False),
        ("straße.example", "xn--strae-oqa.example", True),
        ("a..b", "a.b", False),
    ],
)
def test_two_spellings_of_a_domain_have_one_key(one: str, other: str, is_one: bool) -> None:
    assert (texts.domain_key(one.lower()) == texts.domain_key(other.lower())) is is_one


def test_keys_of_before_are_made_anew_and_collisions_are_left_and_told(tenant: Tenant, caplog: Any) -> None:
    names = ["one", "two", "three\u200b", "ming", "\ufeffming"]
    rows = [make_user(tenant, user_name=f"x{number}") for number in range(len(names))]
    for row, name in zip(rows, names, strict=True):
        User.objects.filter(pk=row.pk).update(user_name=name, user_key=name.casefold())
    User.objects.filter(pk=rows[0].pk).update(email=UNICODE, email_key=UNICODE)
    migration = import_module("identity.migrations.0013_keys_of_names")
    migration.forwards(apps, None)
    keys = dict(User.objects.values_list("user_name", "user_key"))
    assert keys == {"one": "one", "two": "two", "three\u200b": "three", "ming": "ming", "\ufeffming": "\ufeffming"}
    assert User.objects.get(pk=rows[0].pk).email_key == "li@xn--bcher-kva.example"
    told = [record for record in caplog.records if record.message == "migration.key_taken"]
    assert [record.user for record in told] == [rows[4].public_id]  # type: ignore[attr-defined]
    migration.backwards(apps, None)
    assert User.objects.get(pk=rows[0].pk).email_key == UNICODE
    assert User.objects.get(pk=rows[2].pk).user_key == "three\u200b"
