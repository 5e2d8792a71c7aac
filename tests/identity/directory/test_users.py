"""Rules for people: USER.* rows, uniqueness, memberships, enabling, disabling, deleting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from identity import patterns, signals
from identity.context import RequestContext
from identity.directory import attributes, lists, users
from identity.directory.users import Relation
from identity.errors import (
    AlreadyExists,
    IdentityError,
    NotAllowed,
    NotFound,
    PasswordRefused,
    ValueInvalid,
    ValueRequired,
)
from identity.models import (
    AppAccount,
    AttributeEditor,
    AuditEvent,
    Membership,
    SSOSession,
    Tenant,
    UniqueAttributeValue,
    User,
)
from identity.passwords import credentials
from identity.sso import sessions
from tests.factories import (
    PASSWORD,
    make_account,
    make_application,
    make_attribute,
    make_membership,
    make_organization,
    make_tenant,
    make_user,
)
from tests.support.at_once import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def context(tenant: Tenant) -> RequestContext:
    return RequestContext(tenant=tenant, ip="192.0.2.7", user_agent="Browser")


def refusal_of(call: Any, **arguments: Any) -> tuple[type[IdentityError], str, str]:
    with pytest.raises(IdentityError) as caught:
        call(**arguments)
    return type(caught.value), caught.value.error_code, caught.value.message


def last_event(event_type: str) -> AuditEvent:
    return AuditEvent.objects.filter(event_type=event_type).latest("pk")


# Creating --------------------------------------------------------------------------------------------------


def test_a_user_is_created_with_everything_the_contract_carries(tenant: Tenant, context: RequestContext) -> None:
    make_attribute(tenant, "age", type="integer")
    user = users.create(
        tenant=tenant,
        context=context,
        user_name="ＺhangSan",
        password=PASSWORD,
        mobile="+86 138-1234-5678".replace(" ", ""),
        email="Zhang@Example.org",
        birth_date="1990-02-28",
        gender="female",
        identity_type="id_card",
        identity_number="11010519491231002x",
        employee_id="E-1",
        extension={"age": "18"},
        address={"locality": "Beijing", "region": ""},
    )
    stored = User.objects.get(pk=user.pk)
    assert (stored.user_key, stored.email_key) == ("zhangsan", "zhang@example.org")
    assert stored.name == "ＺhangSan"
    assert stored.mobile == "+8613812345678"
    assert stored.identity_number == "11010519491231002x"
    assert stored.birth_date == date(1990, 2, 28)
    assert stored.extension == {"age": 18}
    assert stored.address == {"locality": "Beijing"}
    assert len(stored.public_id) == 32
    assert stored.password_changed_at is not None
    assert credentials.check_password(user=stored, password=PASSWORD)
    assert (stored.email_verified, stored.phone_number_verified) == (False, False)


@pytest.mark.security("S41")
def test_mobile_and_identity_number_are_stored_sealed(tenant: Tenant, context: RequestContext) -> None:
    user = users.create(
        tenant=tenant, context=context, user_name="a1", mobile="13812345678", identity_number="AB1234567"
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM identity_user WHERE id = %s", [user.pk])
        row = " ".join(str(value) for value in cursor.fetchone())
    assert "13812345678" not in row
    assert "AB1234567" not in row


@pytest.mark.parametrize(
    ("editor", "values", "code"),
    [
        (AttributeEditor.OPERATOR, {}, "USER.0008"),
        (AttributeEditor.API, {"mobile": "13812345678"}, "USER.0008"),
        (AttributeEditor.API, {"user_name": "a1"}, "USER.0010"),
    ],
)
def test_what_must_be_given_depends_on_who_writes(
    tenant: Tenant, context: RequestContext, editor: str, values: dict[str, str], code: str
) -> None:
    refused = refusal_of(users.create, tenant=tenant, context=context, editor=editor, **values)
    assert refused[:2] == (ValueRequired, code)


def test_registration_in_an_app_needs_no_user_name(tenant: Tenant, context: RequestContext) -> None:
    for mobile in ("13812345678", "13812345679"):
        user = users.create(tenant=tenant, context=context, editor=AttributeEditor.USER, mobile=mobile)
        assert (user.user_name, user.has_usable_password()) == ("", False)


REQUIRED = [
    ("user_name", "USER.0008"),
    ("mobile", "USER.0010"),
    ("email", "USER.0011"),
    ("first_name", "USER.0012"),
    ("middle_name", "USER.0013"),
    ("last_name", "USER.0014"),
    ("nick_name", "USER.0015"),
    ("birth_date", "USER.0016"),
    ("gender", "USER.0017"),
    ("identity_type", "USER.0018"),
    ("identity_number", "USER.0019"),
    ("area", "USER.0020"),
    ("city", "USER.0021"),
    ("employee_id", "USER.0022"),
    ("manager", "USER.0024"),
    ("hire_date", "USER.0026"),
    ("work_place", "USER.0027"),
    ("age", "USER.0028"),
]


@pytest.mark.parametrize(("name", "code"), REQUIRED)
def test_an_attribute_that_the_tenant_requires_is_refused_when_empty(
    tenant: Tenant, context: RequestContext, name: str, code: str
) -> None:
    make_attribute(tenant, name, is_required=True)
    values = {} if name == "user_name" else {"user_name": "a1"}
    refused = refusal_of(users.create, tenant=tenant, context=context, **values)
    assert refused[:2] == (ValueRequired, code)


def test_an_empty_name_is_refused_when_there_is_no_user_name_to_stand_for_it(
    tenant: Tenant, context: RequestContext
) -> None:
    make_attribute(tenant, "name", is_required=True)
    refused = refusal_of(
        users.create, tenant=tenant, context=context, editor=AttributeEditor.USER, mobile="13812345678"
    )
    assert refused[:2] == (ValueRequired, "USER.0009")


def test_a_tenant_may_stop_requiring_a_user_name(tenant: Tenant, context: RequestContext) -> None:
    make_attribute(tenant, "user_name", is_required=False)
    assert users.create(tenant=tenant, context=context, mobile="13812345678").user_name == ""


INVALID = [
    ("user_name", "two words", "USER.0036"),
    ("user_name", "a\x00b", "USER.0036"),
    ("user_name", "x" * 151, "USER.0036"),
    ("name", "a\nb", "USER.0037"),
    ("name", "half a pair \ud800", "USER.0037"),
    ("mobile", "12345678x", "USER.0038"),
    ("mobile", "1234", "USER.0038"),
    ("email", "not an address", "USER.0039"),
    ("email", 7, "USER.0039"),
    ("first_name", "\x07", "USER.0040"),
    ("middle_name", "x" * 151, "USER.0041"),
    ("last_name", ["x"], "USER.0042"),
    ("nick_name", "x" * 151, "USER.0043"),
    ("birth_date", "1990-2-28", "USER.0044"),
    ("birth_date", "1990-02-30", "USER.0044"),
    ("birth_date", "9999-01-01", "USER.0044"),
    ("gender", "other", "USER.0045"),
    ("identity_type", "library_card", "USER.0046"),
    ("identity_number", "x" * 65, "USER.0047"),
    ("area", "x" * 65, "USER.0048"),
    ("city", "x" * 151, "USER.0049"),
    ("employee_id", "x" * 65, "USER.0050"),
    ("manager", "x" * 151, "USER.0052"),
    ("user_type", "robot", "USER.0053"),
    ("hire_date", "soon", "USER.0054"),
    ("work_place", "x" * 151, "USER.0055"),
    ("picture_url", "javascript:alert(1)", "USER.0056"),
]


@pytest.mark.parametrize(("name", "value", "code"), INVALID)
def test_a_value_that_breaks_its_rule_is_refused(
    tenant: Tenant, context: RequestContext, name: str, value: Any, code: str
) -> None:
    values = {"user_name": "a1", name: value}
    assert refusal_of(users.create, tenant=tenant, context=context, **values)[:2] == (ValueInvalid, code)
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ({"type": "integer"}, "many"),
        ({"type": "boolean"}, "perhaps"),
        ({"type": "date"}, "tomorrow"),
        ({"type": "choice", "choices": ["s", "m"]}, "xl"),
        ({"pattern": "[a-z]+"}, "ABC"),
        ({}, "x" * 501),
        ({}, {"nested": 1}),
    ],
)
def test_an_extended_attribute_that_breaks_its_rule_is_refused_by_name(
    tenant: Tenant, context: RequestContext, definition: dict[str, Any], value: Any
) -> None:
    make_attribute(tenant, "size", **definition)
    refused = refusal_of(users.create, tenant=tenant, context=context, user_name="a1", extension={"size": value})
    assert refused == (ValueInvalid, "USER.0056", "Extended attribute size is invalid.")


def test_an_extended_attribute_that_is_not_defined_is_refused(tenant: Tenant, context: RequestContext) -> None:
    refused = refusal_of(users.create, tenant=tenant, context=context, user_name="a1", extension={"sise": "m"})
    assert refused == (ValueInvalid, "USER.0056", "Extended attribute sise is invalid.")


def test_a_tenants_own_pattern_replaces_the_default(tenant: Tenant, context: RequestContext) -> None:
    make_attribute(tenant, "mobile", pattern=r"1[0-9]{10}")
    refused = refusal_of(users.create, tenant=tenant, context=context, user_name="a1", mobile="+8613812345678")
    assert refused[:2] == (ValueInvalid, "USER.0038")
    assert users.create(tenant=tenant, context=context, user_name="a1", mobile="13812345678").mobile == "+8613812345678"


@pytest.mark.parametrize("pattern", [r"(a|aa)+$b", r"(([a-z])+.)+[A-Z]([a-z])+", "(", "(a{999}){999}"])
def test_a_pattern_that_never_ends_or_is_none_refuses_the_value_in_time(
    tenant: Tenant, context: RequestContext, pattern: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_attribute(tenant, "size", pattern=pattern)
    started = time.process_time()
    refused = refusal_of(users.create, tenant=tenant, context=context, user_name="a1", extension={"size": "a" * 500})
    # Without a limit the first two take longer than anybody would wait, and the last one more memory than there is.
    assert time.process_time() - started < 20 * patterns.LIMIT_SECONDS
    assert refused == (ValueInvalid, "USER.0056", "Extended attribute size is invalid.")
    assert "attribute.pattern_unusable" in caplog.messages


@pytest.mark.parametrize("pattern", ["(", "a{4000000000}", "((a{99}){99}){99}", "(?P<a>x)(?P<a>"])
def test_a_pattern_that_nothing_can_be_judged_by_is_not_taken(
    tenant: Tenant, context: RequestContext, pattern: str
) -> None:
    with pytest.raises(ValidationError):
        attributes.define(tenant=tenant, name="size", context=context, pattern=pattern)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        (r"[1-9]\d{5}(18|19|20)\d{2}(0[1-9]|1[0-2])\d{5}[0-9X]", "11010519491231002X"),
        (r"[\u4e00-\u9fff]{2,10}", "张三"),
        (r"(?=.*\d)(?!.*@).{3,}", "a1b"),
    ],
)
def test_patterns_are_written_as_in_python(tenant: Tenant, context: RequestContext, pattern: str, value: str) -> None:
    attributes.define(tenant=tenant, name="size", context=context, pattern=pattern)
    user = users.create(tenant=tenant, context=context, user_name="a1", extension={"size": value})
    assert user.extension == {"size": value}


@pytest.mark.parametrize(
    ("name", "first", "second", "code"),
    [
        ("user_name", "Straße", "STRASSE", "USER.0029"),
        ("mobile", "138-1234-5678", "13812345678", "USER.0030"),
        ("email", "A@Example.org", "a@example.ORG", "USER.0031"),
        ("identity_number", "1101x", "1101X", "USER.0032"),
        ("employee_id", "E-1", "E-1", "USER.0033"),
    ],
)
def test_a_value_is_unique_in_its_tenant_however_it_is_written(
    tenant: Tenant, context: RequestContext, name: str, first: str, second: str, code: str
) -> None:
    users.create(tenant=tenant, context=context, **{"user_name": "a1", name: first})
    refused = refusal_of(users.create, tenant=tenant, context=context, **{"user_name": "a2", name: second})
    assert refused[:2] == (AlreadyExists, code)
    other = make_tenant()
    users.create(tenant=other, context=context, **{"user_name": "a2", name: second})


def test_of_several_taken_values_the_first_of_the_form_is_told(tenant: Tenant, context: RequestContext) -> None:
    names = ["user_name", "mobile", "email", "identity_number", "employee_id"]
    values = {
        "user_name": "a1",
        "mobile": "13812345678",
        "email": "a@x.example",
        "identity_number": "X1",
        "employee_id": "E",
    }
    users.create(tenant=tenant, context=context, **values)
    for first, code in zip(names, ["USER.0029", "USER.0030", "USER.0031", "USER.0032", "USER.0033"], strict=True):
        assert refusal_of(users.create, tenant=tenant, context=context, **values)[1] == code
        values[first] = {"mobile": "13899999999", "email": "b@x.example"}.get(first, f"other-{first}")


def test_an_extended_value_is_unique_when_defined_so(tenant: Tenant, context: RequestContext) -> None:
    make_attribute(tenant, "badge", is_unique=True)
    first = users.create(tenant=tenant, context=context, user_name="a1", extension={"badge": "B-7"})
    refused = refusal_of(users.create, tenant=tenant, context=context, user_name="a2", extension={"badge": "b-7"})
    assert refused == (AlreadyExists, "USER.0035", "Extended attribute badge already exists.")
    assert not User.objects.filter(user_key="a2").exists()
    users.update(user=first, context=context, extension={"badge": ""})
    users.create(tenant=tenant, context=context, user_name="a2", extension={"badge": "B-7"})
    assert UniqueAttributeValue.objects.count() == 1


def test_an_attribute_becomes_unique_only_when_no_two_users_share_a_value(
    tenant: Tenant, context: RequestContext
) -> None:
    attributes.define(tenant=tenant, name="badge", context=context)
    first, second = (
        users.create(tenant=tenant, context=context, user_name=name, extension={"badge": "7"}) for name in ("a1", "a2")
    )
    refused = refusal_of(attributes.define, tenant=tenant, name="badge", context=context, is_unique=True)
    assert refused[:2] == (AlreadyExists, "USER.0035")
    users.update(user=second, context=context, extension={"badge": "8"})
    attributes.define(tenant=tenant, name="badge", context=context, is_unique=True)
    assert refusal_of(users.update, user=second, context=context, extension={"badge": "7"})[1] == "USER.0035"
    assert first.extension == {"badge": "7"}


@pytest.mark.security("S31")
def test_nobody_takes_anothers_address_as_user_name(tenant: Tenant, context: RequestContext) -> None:
    users.create(tenant=tenant, context=context, user_name="a1", email="a@example.org", mobile="13812345678")
    for user_name in ("A@example.org", "138-1234-5678"):
        refused = refusal_of(users.create, tenant=tenant, context=context, user_name=user_name)
        assert refused[:2] == (AlreadyExists, "USER.0029")
    users.create(tenant=tenant, context=context, user_name="b@example.org", email="b@example.org")
    users.create(tenant=tenant, context=context, user_name="13900000000")
    refused = refusal_of(users.create, tenant=tenant, context=context, user_name="a2", email="B@example.org")
    assert refused[1] == "USER.0031"
    refused = refusal_of(users.create, tenant=tenant, context=context, user_name="a2", mobile="13900000000")
    assert refused[1] == "USER.0030"


def test_two_users_who_share_such_a_name_already_may_change_other_things(
    tenant: Tenant, context: RequestContext
) -> None:
    make_user(tenant, email="a@example.org")
    user = make_user(tenant, user_name="a@example.org")
    users.update(user=user, context=context, nick_name="Al")
    assert refusal_of(users.update, user=user, context=context, user_name="A@example.org")[1] == "USER.0029"


@pytest.mark.parametrize("password", ["short", "password1", "a1-is-my-name"])
def test_a_first_password_obeys_the_policy_and_nothing_is_written(
    tenant: Tenant, context: RequestContext, password: str
) -> None:
    with pytest.raises(PasswordRefused):
        users.create(tenant=tenant, context=context, user_name="is-my", password=password)
    assert not User.objects.exists()


@pytest.mark.security("S25")
@pytest.mark.parametrize("editor", [AttributeEditor.API, AttributeEditor.USER])
def test_only_an_operator_sets_a_verified_flag(tenant: Tenant, context: RequestContext, editor: str) -> None:
    """Or the API that of a number, which it answers for."""
    flag = "email_verified" if editor == AttributeEditor.API else "phone_number_verified"
    user = make_user(tenant, email="a@example.org")
    with pytest.raises(PermissionError):
        users.update(user=user, context=context, editor=editor, email_verified=True)
    with pytest.raises(PermissionError):
        users.create(
            tenant=tenant,
            context=context,
            editor=editor,
            user_name="b",
            mobile="13812345678",
            **{flag: True},
        )
    users.update(user=user, context=context, email_verified=True)
    assert User.objects.get(pk=user.pk).email_verified


# Memberships -----------------------------------------------------------------------------------------------


def memberships_of(user: User) -> dict[str, bool]:
    return dict(Membership.objects.filter(user=user).values_list("organization__code", "is_primary"))


def test_without_an_organisation_the_first_at_the_top_is_the_primary_one(
    tenant: Tenant, context: RequestContext
) -> None:
    assert memberships_of(users.create(tenant=tenant, context=context, user_name="a0")) == {}
    top = make_organization(tenant, code="top")
    make_organization(parent=top, code="below")
    make_organization(tenant, code="second")
    assert memberships_of(users.create(tenant=tenant, context=context, user_name="a1")) == {"top": True}


@pytest.mark.parametrize(
    "relations",
    [
        [],
        [Relation("one")],
        [Relation("one", is_primary=True), Relation("two", is_primary=True)],
        [Relation("one", is_primary=True), Relation("one")],
        [Relation("two", is_primary=True)],
        [Relation("one", is_primary=True), Relation("missing")],
    ],
)
def test_a_list_without_exactly_one_right_primary_organisation_is_refused(
    tenant: Tenant, context: RequestContext, relations: list[Relation]
) -> None:
    for code in ("one", "two"):
        make_organization(tenant, code=code)
    refused = refusal_of(
        users.create,
        tenant=tenant,
        context=context,
        user_name="a1",
        organization_code="one",
        relations=relations,
    )
    assert refused[:2] == (NotFound, "ORG.0001")
    assert not User.objects.exists()


@pytest.mark.security("S36")
def test_an_organisation_of_another_tenant_does_not_exist(tenant: Tenant, context: RequestContext) -> None:
    make_organization(make_tenant(), code="theirs")
    refused = refusal_of(users.create, tenant=tenant, context=context, user_name="a1", organization_code="theirs")
    assert refused[:2] == (NotFound, "ORG.0001")


def test_memberships_are_replaced_and_audited(tenant: Tenant, context: RequestContext) -> None:
    for code in ("one", "two", "three"):
        make_organization(tenant, code=code)
    relations = [Relation("one", is_primary=True), Relation("two")]
    user = users.create(tenant=tenant, context=context, user_name="a1", relations=relations)
    assert memberships_of(user) == {"one": True, "two": False}
    users.update(user=user, context=context, relations=[Relation("two", is_primary=True), Relation("three")])
    assert memberships_of(user) == {"two": True, "three": False}
    users.update(user=user, context=context, organization_code="three")
    assert memberships_of(user) == {"three": True}
    assert last_event("user:update").changes == {
        "organizations": [["three", "two (primary)"], ["three (primary)"]],
    }
    assert users.update(user=user, context=context, organization_code="three") == {}


# Changing --------------------------------------------------------------------------------------------------


def test_an_update_changes_what_is_given_and_leaves_the_rest(tenant: Tenant, context: RequestContext) -> None:
    make_attribute(tenant, "age", type="integer")
    make_attribute(tenant, "size")
    user = users.create(tenant=tenant, context=context, user_name="a1", city="Kyoto", extension={"age": 3, "size": "m"})
    changes = users.update(user=user, context=context, name="Alice", extension={"age": 4})
    assert set(changes) == {"name", "extension.age"}
    assert (user.name, user.city, user.extension) == ("Alice", "Kyoto", {"age": 4, "size": "m"})


def test_an_update_that_changes_nothing_writes_nothing(tenant: Tenant, context: RequestContext) -> None:
    user = users.create(tenant=tenant, context=context, user_name="a1", mobile="13812345678", birth_date="1990-01-01")
    before = AuditEvent.objects.count(), User.objects.get(pk=user.pk).updated_at
    assert users.update(user=user, context=context, mobile="13812345678", birth_date="1990-01-01") == {}
    assert (AuditEvent.objects.count(), User.objects.get(pk=user.pk).updated_at) == before


def test_a_required_attribute_is_not_emptied_but_a_stricter_rule_stops_no_other_change(
    tenant: Tenant, context: RequestContext
) -> None:
    user = users.create(tenant=tenant, context=context, user_name="a1")
    make_attribute(tenant, "city", is_required=True)
    users.update(user=user, context=context, name="Alice")
    assert refusal_of(users.update, user=user, context=context, user_name="")[:2] == (ValueRequired, "USER.0008")
    users.update(user=user, context=context, city="Kyoto")
    assert refusal_of(users.update, user=user, context=context, city="")[:2] == (ValueRequired, "USER.0021")


@pytest.mark.security("S25")
def test_a_new_address_is_not_verified_any_more(tenant: Tenant, context: RequestContext) -> None:
    user = make_user(
        tenant, email="a@example.org", email_verified=True, mobile="13812345678", phone_number_verified=True
    )
    users.update(user=user, context=context, email="b@example.org", mobile="13812345679")
    assert (user.email_verified, user.phone_number_verified) == (False, False)


@pytest.mark.security("S25")
def test_a_code_verifies_only_the_address_that_it_was_sent_to(tenant: Tenant, context: RequestContext) -> None:
    user = make_user(tenant, email="a@example.org")
    seen_before_the_change = User.objects.select_related("tenant").get(pk=user.pk)
    users.update(user=user, context=context, email="b@example.org")
    users.mark_verified(user=seen_before_the_change, attribute="email", context=context)
    assert not User.objects.get(pk=user.pk).email_verified
    users.mark_verified(user=user, attribute="email", context=context)
    assert User.objects.get(pk=user.pk).email_verified
    assert last_event("email:verified").changes == {"email_verified": [False, True]}


def test_a_user_may_not_change_what_is_the_operators(tenant: Tenant, context: RequestContext) -> None:
    user = make_user(tenant, employee_id="E-1")
    refused = refusal_of(users.update, user=user, context=context, editor=AttributeEditor.USER, employee_id="E-2")
    assert refused[:2] == (NotAllowed, "USER.0050")
    users.update(user=user, context=context, editor=AttributeEditor.USER, employee_id="E-1", nick_name="Al")
    assert user.nick_name == "Al"


def test_personal_values_are_masked_in_the_audit_and_erasable_in_clear(tenant: Tenant, context: RequestContext) -> None:
    user = users.create(
        tenant=tenant, context=context, user_name="alice", name="Alice", mobile="13812345678", email="alice@example.org"
    )
    created = last_event("user:create")
    assert created.changes == {
        "user_name": ["", "***"],
        "name": ["", "***"],
        "mobile": ["", "+86138****5678"],
        "email": ["", "a***@example.org"],
    }
    assert created.personal["changes"]["name"] == ["", "Alice"]
    assert "mobile" not in created.personal["changes"]
    assert (created.target_type, created.target_id, created.personal["ip"]) == ("user", user.public_id, "192.0.2.7")
    users.update(user=user, context=context, mobile="13812349999", user_type="intern")
    assert last_event("user:update").changes == {
        "mobile": ["+86138****5678", "+86138****9999"],
        "user_type": ["", "intern"],
    }


# Enabling, disabling, deleting -----------------------------------------------------------------------------


@pytest.fixture
def heard() -> Iterator[list[str]]:
    news: list[str] = []

    def hear(user: User, **kwargs: Any) -> None:
        news.append(user.public_id)

    signals.user_disabled.connect(hear, weak=False, dispatch_uid="test")
    yield news
    signals.user_disabled.disconnect(dispatch_uid="test")


@pytest.mark.security("S26")
def test_disabling_ends_sessions_and_tokens_at_once(tenant: Tenant, context: RequestContext, heard: list[str]) -> None:
    user = make_user(tenant)
    session, _handle = sessions.start(user=user, amr=["pwd"], context=context)
    assert users.disable(user=user, context=context)
    assert not users.disable(user=user, context=context)
    row = User.objects.get(pk=user.pk)
    assert row.epoch == session.epoch + 1
    assert not row.is_usable
    assert SSOSession.objects.get(pk=session.pk).end_reason == "user_disabled"
    assert heard == [user.public_id]
    assert users.enable(user=user, context=context)
    assert User.objects.get(pk=user.pk).is_usable
    assert SSOSession.objects.get(pk=session.pk).ended_at is not None


@pytest.mark.security("S36")
def test_a_deleted_user_leaves_an_empty_row_and_free_names(
    tenant: Tenant, context: RequestContext, heard: list[str]
) -> None:
    make_attribute(tenant, "badge", is_unique=True)
    values: dict[str, Any] = {
        "user_name": "alice",
        "email": "alice@example.org",
        "mobile": "13812345678",
        "identity_number": "AB1234567",
        "employee_id": "E-1",
        "birth_date": "1990-01-01",
        "first_name": "Alice",
        "extension": {"badge": "7"},
        "address": {"locality": "Kyoto"},
    }
    make_organization(tenant)
    user = users.create(tenant=tenant, context=context, password=PASSWORD, **values)
    make_account(user, make_application(tenant))
    sessions.start(user=user, amr=["pwd"], context=context)
    public_id = user.public_id
    users.delete(user=user, context=context)

    row = User.objects.filter(pk=user.pk).values().get()
    kept = {
        "id",
        "public_id",
        "tenant_id",
        "created_at",
        "updated_at",
        "deleted_at",
        "epoch",
        "last_login",
    }
    assert row["public_id"] == public_id
    assert not row.pop("password").startswith("argon2")
    assert {name: value for name, value in row.items() if value and name not in kept} == {"grade": 1}
    assert not Membership.objects.filter(user=user).exists()
    assert not AppAccount.objects.filter(user=user).exists()
    assert not SSOSession.objects.filter(user=user, ended_at=None).exists()
    assert heard == [public_id]
    about = AuditEvent.objects.filter(target_type="user", target_id=public_id)
    assert [event.event_type for event in about if event.personal] == ["user:delete"]
    assert lists.find_user(tenant=tenant, public_id=public_id) is None
    assert refusal_of(users.update, user=user, context=context, name="x")[:2] == (NotFound, "USER.0001")
    again = users.create(tenant=tenant, context=context, **values)
    assert again.public_id != public_id


# Look-ups --------------------------------------------------------------------------------------------------


def test_a_user_is_found_by_each_name_in_the_own_tenant_only(tenant: Tenant) -> None:
    user = make_user(tenant, user_name="Alice", email="Alice@example.org", mobile="138-1234-5678")
    names = [
        {"public_id": user.public_id},
        {"user_name": "ALICE"},
        {"email": "alice@EXAMPLE.org"},
        {"mobile": "13812345678"},
    ]
    other = make_tenant()
    for name in names:
        assert lists.find_user(tenant=tenant, **name) == user
        assert lists.find_user(tenant=other, **name) is None
    for nothing in ({}, {"user_name": ""}, {"user_name": "a\x00"}, {"email": "\ud800"}, {"mobile": ""}):
        assert lists.find_user(tenant=tenant, **nothing) is None
    assert refusal_of(lists.get_user, tenant=tenant, public_id="")[1] == "USER.0061"
    assert refusal_of(lists.get_user, tenant=other, public_id=user.public_id)[1] == "USER.0001"
    assert refusal_of(lists.get_user_by_name, tenant=tenant, user_name="bob")[1] == "USER.0001"


def test_the_list_pages_through_the_tenant_with_a_fixed_number_of_queries(
    tenant: Tenant, django_assert_num_queries: Any
) -> None:
    organization = make_organization(tenant)
    people = [make_user(tenant, password=None) for _ in range(12)]
    for user in [people[0], people[11]]:
        make_membership(user, organization)
    make_user(make_tenant(), password=None)
    # The kept number (there is none yet, so they are counted), the keys, the rows, the memberships.
    with django_assert_num_queries(5):
        page = lists.list_users(tenant=tenant, index=1, size=10)
        found = lists.memberships_of(page.rows)
    reference = lists.MembershipReference(organization.public_id, is_primary=True)
    assert found == {people[10].pk: [], people[11].pk: [reference]}
    assert (page.total, page.rows) == (12, people[10:])
    page = lists.list_users(tenant=tenant, organization_id=organization.public_id)
    assert (page.total, page.rows) == (2, [people[0], people[11]])
    for index, size in ((0, 9), (0, 101), (-1, 10)):
        assert refusal_of(lists.list_users, tenant=tenant, index=index, size=size)[1] == "PAGE.0001"


# Many at once ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_two_hundred_creations_of_one_name_one_succeeds_and_the_others_are_told_why() -> None:
    tenant = make_tenant()
    context = RequestContext(tenant=tenant)

    def attempt(number: int) -> str:
        try:
            # Half of them want the same name, the other half the same number.
            values = {"user_name": "alice"} if number % 2 else {"user_name": f"u{number}", "mobile": "13812345678"}
            users.create(tenant=tenant, context=context, **values)
        except IdentityError as error:
            return error.error_code
        return "created"

    assert sorted(at_once(attempt, times=200, threads=16)) == ["USER.0029"] * 99 + ["USER.0030"] * 99 + ["created"] * 2
    assert User.objects.filter(tenant=tenant).count() == 2
    assert AuditEvent.objects.filter(tenant=tenant, event_type="user:create").count() == 2
