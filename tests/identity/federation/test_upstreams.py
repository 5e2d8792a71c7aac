"""Upstream sources and the links of people: what is set up, what is unique, and what happens at the same moment."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from identity import crypto
from identity.configuration import files
from identity.configuration.shapes import ConfigError
from identity.context import SYSTEM, RequestContext
from identity.errors import AlreadyExists, IdentityError
from identity.federation import external_identities, upstreams
from identity.federation.connectors.base import ExternalPerson
from identity.models import (
    AuditEvent,
    ExternalIdentity,
    LoginState,
    LoginTransaction,
    SSOSession,
    Tenant,
    UnknownUser,
    Upstream,
    User,
    VerificationCode,
    VerificationPurpose,
)
from identity.sign_in import federated, machine, verification
from identity.sign_in.machine import SignInStep
from tests.factories import make_application, make_tenant, make_user
from tests.factories.upstreams import make_link, make_upstream
from tests.sdk_api.mobile import Inbox, inbox
from tests.support.at_once import at_once
from tests.support.upstreams import key_pair, private_key_text, public_key_text

__all__ = ["inbox"]

SECRET = "0123456789abcdef0123456789abcdef"
PERSON = ExternalPerson("u-1", "o-1", "小明")
THREADS, TRIES = 10, 100


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant()


def create(tenant: Tenant, **values: Any) -> Upstream:
    values = {"kind": "wechat", "client_id": "wx1", "secret": SECRET, **values}
    return upstreams.create(tenant=tenant, context=SYSTEM, **values)


# Setting up ------------------------------------------------------------------------------------------------


@pytest.mark.security("S41")
def test_a_secret_is_sealed_and_never_audited(tenant: Tenant) -> None:
    row = create(tenant)
    assert SECRET not in row.secret_sealed
    assert upstreams.account_of(row).secret == SECRET
    changes = upstreams.update(upstream=row, secret="f" * 32, name="WeChat for shops", context=SYSTEM)
    assert changes == {"name": ["", "WeChat for shops"], "secret": ["***", "***"]}
    assert upstreams.account_of(row).secret == "f" * 32
    events = list(AuditEvent.objects.filter(event_type__startswith="upstream:").order_by("pk"))
    assert [event.event_type for event in events] == ["upstream:create", "upstream:update"]
    assert not any(SECRET in str(vars(event)) or "f" * 32 in str(vars(event)) for event in events)


def test_an_empty_secret_leaves_the_old_one(tenant: Tenant) -> None:
    row = create(tenant)
    assert upstreams.update(upstream=row, name="", secret="", context=SYSTEM) == {}
    assert upstreams.update(upstream=row, secret=SECRET, context=SYSTEM) == {}
    assert upstreams.account_of(row).secret == SECRET


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "unknown"},
        {"secret": ""},
        {"api_url": "http://api.weixin.qq.com"},
        {"api_url": "https://10.0.0.1"},
        {"authorize_url": "javascript:alert(1)"},
        {"unknown_user": "create"},
        {"client_id": ""},
        {"kind": "alipay", "secret": "no key"},
    ],
    ids=str,
)
def test_what_can_never_work_is_refused(tenant: Tenant, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        create(tenant, **values)
    assert not Upstream.objects.exists()


@pytest.mark.security("S36")
def test_a_source_is_for_an_application_of_its_own_tenant(tenant: Tenant) -> None:
    with pytest.raises(ValidationError, match="different tenants"):
        create(tenant, application=make_application(make_tenant()))


def test_two_sources_for_the_same_apps_are_refused(tenant: Tenant) -> None:
    application = make_application(tenant)
    create(tenant)
    create(tenant, client_id="wx2", application=application)
    create(tenant, client_id="wx3", for_apps=False)
    for values in ({"client_id": "wx4"}, {"client_id": "wx5", "application": application}, {"client_id": "wx3"}):
        with pytest.raises(ValidationError):
            create(tenant, **values)
    assert Upstream.objects.count() == 3


def test_deleting_a_source_leaves_the_links(tenant: Tenant) -> None:
    row = create(tenant)
    make_link(make_user(tenant), row, subject="u-1")
    upstreams.delete(upstream=row, context=SYSTEM)
    assert ExternalIdentity.objects.count() == 1


# Configuration files ---------------------------------------------------------------------------------------

FILE = f"""
tenant: {{code: acme, name: Acme, domains: [id.acme.example]}}
applications:
  - {{code: shop, name: Shop}}
upstreams:
  - kind: wechat
    client_id: wx1
    secret: "{SECRET}"
    application: shop
    unknown_user: bind_or_register
  - kind: alipay
    client_id: "2014072300007148"
    secret: {{file: private.txt}}
    public_key: {{file: public.txt}}
    on_sign_in_page: true
    for_apps: false
"""


def apply(directory: Path, text: str) -> list[str]:
    (directory / "file.yaml").write_text(text, encoding="utf-8")
    (directory / "private.txt").write_text(private_key_text(key_pair("app")), encoding="utf-8")
    (directory / "public.txt").write_text(public_key_text(key_pair("alipay")), encoding="utf-8")
    return [line for change in files.apply_file(directory / "file.yaml") for line in change.lines()]


@pytest.mark.django_db
def test_a_file_sets_sources_up_once(tmp_path: Path) -> None:
    lines = apply(tmp_path, FILE)
    assert [line for line in lines if "upstream" in line] == [
        "+ upstream wechat wx1",
        "+ upstream alipay 2014072300007148",
    ]
    wechat = Upstream.objects.get(kind="wechat")
    assert (wechat.application and wechat.application.code, wechat.unknown_user) == (
        "shop",
        UnknownUser.BIND_OR_REGISTER,
    )
    assert apply(tmp_path, FILE) == []
    changed = FILE.replace("unknown_user: bind_or_register", "unknown_user: bind\n    enabled: false")
    assert sorted(apply(tmp_path, changed)) == [
        "~ upstream wechat wx1: enabled: 'True' -> 'False'",
        "~ upstream wechat wx1: unknown_user: 'bind_or_register' -> 'bind'",
    ]
    assert not any(SECRET in line for line in lines)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("kind: wechat", "kind: wechatt", "upstreams[0]"),
        ("application: shop", "application: none", "upstreams[0].application"),
        ("unknown_user: bind_or_register", "unknown_user: create", "upstreams[0]"),
        ("for_apps: false", "for_apps: 0", "upstreams[1].for_apps"),
        ("on_sign_in_page: true", "shown: true", "upstreams[1].shown"),
        ("public_key: {file: public.txt}", "public_key: none", "upstreams[1]"),
    ],
)
def test_a_file_is_refused_by_the_place_of_the_mistake(tmp_path: Path, old: str, new: str, place: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        apply(tmp_path, FILE.replace(old, new))
    assert refusal.value.path.startswith(place)
    assert not Upstream.objects.exists()


# Links -----------------------------------------------------------------------------------------------------


def test_of_two_people_of_a_provider_one_is_linked_to_a_user(tenant: Tenant) -> None:
    user, source = make_user(tenant), make_upstream(tenant)
    external_identities.link(user=user, upstream=source, person=PERSON, context=SYSTEM)
    for other in (ExternalPerson("u-2", "o-2"), ExternalPerson("", "o-3"), ExternalPerson("u-4", "")):
        with pytest.raises(AlreadyExists) as refusal:
            external_identities.link(user=user, upstream=source, person=other, context=SYSTEM)
        assert refusal.value.error_code == "SOCIAL.0001"
    assert ExternalIdentity.objects.count() == 1


def test_a_unionid_that_another_link_of_the_user_has_is_not_written_twice(tenant: Tenant) -> None:
    """Two people of the provider share a user, each in an application of their own, before unionids are told."""
    user = make_user(tenant)
    first, second = make_upstream(tenant), make_upstream(tenant, for_apps=False)
    make_link(user, first, openid="o-1", subject="u-1")
    make_link(user, second, openid="o-2")
    found = external_identities.recognise(upstream=second, person=ExternalPerson("u-2", "o-2"), context=SYSTEM)
    assert found is not None
    assert (found.user, sorted(ExternalIdentity.objects.values_list("subject", flat=True))) == (user, ["", "u-1"])


def test_an_application_that_went_to_another_owner_keeps_its_people(tenant: Tenant) -> None:
    user, source = make_user(tenant), make_upstream(tenant)
    make_link(user, source, openid="o-1", subject="u-old")
    found = external_identities.recognise(upstream=source, person=ExternalPerson("u-new", "o-1"), context=SYSTEM)
    assert found is not None
    assert (found.user, ExternalIdentity.objects.get().subject) == (user, "u-new")


def test_a_sign_in_writes_nothing_when_nothing_is_new(tenant: Tenant, django_assert_num_queries: Any) -> None:
    source = make_upstream(tenant)
    make_link(make_user(tenant), source, openid="o-1", subject="u-1", nickname="小明")
    with django_assert_num_queries(4):  # the subject's link, the openid's, and a savepoint around no write
        external_identities.recognise(upstream=source, person=PERSON, context=SYSTEM)


# At the same moment ----------------------------------------------------------------------------------------


def spelled(results: list[Any]) -> Counter[str]:
    """Count results, and refusals by their code."""
    return Counter(getattr(result, "error_code", result) for result in results)


def unlinked(tenant: Tenant, source: Upstream, *, context: RequestContext) -> str:
    """The handle of a sign-in that waits for its account to be linked."""
    handle = machine.begin(tenant=tenant, binding="device", context=context)
    row = LoginTransaction.objects.latest("pk")
    parked = external_identities.park(upstream=source, person=PERSON)
    LoginTransaction.objects.filter(pk=row.pk).update(
        state=LoginState.SOCIAL_BIND, data={**row.data, "external": parked}
    )
    return handle


def code_for(tenant: Tenant, mobile: str, *, context: RequestContext) -> str:
    verification.send(
        tenant=tenant,
        purpose=VerificationPurpose.BIND,
        target=verification.mobile_target(mobile, tenant=tenant),
        user=None,
        context=context,
    )
    return Inbox.messages[-1].verification_code


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("inbox")
def test_of_a_hundred_links_of_one_account_one_wins() -> None:
    """A hundred users, each with a code of their own, link the same account at the provider."""
    tenant = make_tenant(password_policy={"max_failures_per_source": 1000})
    context, source = RequestContext(tenant=tenant, ip="198.51.100.7"), make_upstream(tenant)
    people = []
    for number in range(TRIES):
        mobile = f"138{number:08d}"
        make_user(tenant, mobile=mobile)
        sender = RequestContext(tenant=tenant, ip=f"198.51.{number // 20}.{number % 20 + 1}")
        people.append((mobile, code_for(tenant, mobile, context=sender), unlinked(tenant, source, context=context)))

    def work(number: int) -> str:
        mobile, code, handle = people[number]
        outcome = federated.bind(
            SignInStep(handle, binding="device", context=context), mobile=mobile, verification_code=code
        )
        return str(outcome.state)

    assert spelled(at_once(work, times=TRIES, refusals=IdentityError)) == {"SUCCESS": 1, "SOCIAL.0001": 99}
    assert (ExternalIdentity.objects.count(), SSOSession.objects.count()) == (1, 1)
    assert VerificationCode.objects.exclude(consumed_at=None).count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("inbox")
def test_of_a_hundred_tries_with_one_state_and_one_code_one_links() -> None:
    tenant = make_tenant(password_policy={"max_failures": 1000, "max_failures_per_source": 1000})
    context, source = RequestContext(tenant=tenant, ip="198.51.100.7"), make_upstream(tenant)
    make_user(tenant, mobile="13812345678")
    code, handle = code_for(tenant, "13812345678", context=context), unlinked(tenant, source, context=context)

    def work(number: int) -> str:
        outcome = federated.bind(
            SignInStep(handle, binding="device", context=context), mobile="13812345678", verification_code=code
        )
        return str(outcome.state)

    results = spelled(at_once(work, times=TRIES, refusals=IdentityError))
    assert (results["SUCCESS"], sum(results.values())) == (1, TRIES)
    assert set(results) <= {"SUCCESS", "SOCIAL.0001", "PARAM.0014", "CAPTCHA.0007"}
    assert (ExternalIdentity.objects.count(), SSOSession.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("inbox")
def test_of_a_hundred_newcomers_with_one_account_one_is_registered() -> None:
    tenant = make_tenant(password_policy={"max_failures_per_source": 1000})
    context, source = RequestContext(tenant=tenant, ip="198.51.100.7"), make_upstream(tenant)
    handles = [unlinked(tenant, source, context=context) for _try in range(TRIES)]
    LoginTransaction.objects.update(state=LoginState.USER_REGISTER)
    mobiles = [f"138{number:08d}" for number in range(TRIES)]
    value = "123456"
    for mobile in mobiles:
        target = verification.mobile_target(mobile, tenant=tenant)
        row = verification._open(
            tenant=tenant,
            purpose=VerificationPurpose.REGISTER,
            target=target,
            user=None,
            verification_code=value,
            context=context,
            bound_to="",
        )
        assert row.consumed_at is None

    def work(number: int) -> str:
        outcome = federated.register_and_bind(
            SignInStep(handles[number], binding="device", context=context),
            mobile=mobiles[number],
            verification_code=value,
        )
        return str(outcome.state)

    assert spelled(at_once(work, times=TRIES, refusals=IdentityError)) == {"SUCCESS": 1, "SOCIAL.0001": 99}
    assert (User.objects.count(), ExternalIdentity.objects.count(), SSOSession.objects.count()) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_of_a_hundred_sign_ins_that_tell_a_unionid_first_all_recognise_the_person() -> None:
    tenant = make_tenant()
    user, source = make_user(tenant), make_upstream(tenant)
    make_link(user, source, openid="o-1")

    def work(number: int) -> str:
        found = external_identities.recognise(upstream=source, person=PERSON, context=SYSTEM)
        return str(found and found.user_id == user.pk)

    assert spelled(at_once(work, times=TRIES, refusals=IdentityError)) == {"True": TRIES}
    assert ExternalIdentity.objects.get().subject == "u-1"


@pytest.mark.django_db(transaction=True)
def test_of_a_hundred_unlinkings_at_once_the_last_way_stays() -> None:
    tenant = make_tenant()
    user = make_user(tenant, password=None)
    links = [
        make_link(
            user, make_upstream(tenant, kind="alipay", for_apps=False), subject=f"u-{number}", namespace=f"n{number}"
        )
        for number in range(5)
    ]

    def work(number: int) -> str:
        external_identities.unlink(identity=links[number % 5], context=SYSTEM)
        return "done"

    results = spelled(at_once(work, times=TRIES, refusals=IdentityError))
    assert set(results) == {"done", "SOCIAL.0002"}
    assert ExternalIdentity.objects.count() == 1


def test_sealed_columns_follow_the_rule_of_resealing() -> None:
    assert crypto.column_purpose(Upstream, "secret_sealed") == "upstream.secret"
