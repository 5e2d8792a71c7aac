"""How things are spelled: ids, times, pages, members, bodies."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from identity.models import (
    AppAccount,
    AppRoleMember,
    AuditEvent,
    Delivery,
    Membership,
    Organization,
    SessionEndReason,
    SSOSession,
    User,
)
from identity.sign_in import authentication
from identity.signals import session_ended
from identity.sso import access
from tests.factories import (
    make_account,
    make_app_organization,
    make_application,
    make_membership,
    make_organization,
    make_role,
    make_user,
)
from tests.factories.cas import make_cas_service, make_ticket
from tests.factories.oidc import make_client, make_session
from tests.support.machine import Machine
from tests.tenant_api.world import NEW_PASSWORD, Call, World, new_user

pytestmark = pytest.mark.django_db

PUBLIC_ID = re.compile(r"\d{17}-[0-9A-F]{4}-[0-9A-F]{9}")


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


# Users -----------------------------------------------------------------------------------------------------


def test_a_user_is_created_with_everything_the_document_shows(world: World) -> None:
    user_id = world.call("createUser").json()["user_id"]
    assert PUBLIC_ID.fullmatch(user_id)
    user = User.objects.get(public_id=user_id)
    assert (user.user_name, user.mobile, user.email, user.employee_id) == (
        "wangwu",
        "+8612345678903",
        "wangwu@example.com",
        "123456789",
    )
    assert (user.gender, user.birth_date, user.nick_name) == ("male", datetime(1990, 2, 1, tzinfo=UTC).date(), "wangwu")
    assert (user.identity_type, user.identity_number, user.area) == ("id_card", "123456789", "CN")
    assert (user.manager, user.user_type, user.work_place) == ("123456789", "regular", "xxx")
    assert (user.password_must_change, user.extension) == (False, {"age": "18"})
    assert user.check_password("Quiet-Harbour-41")
    event = AuditEvent.objects.get(event_type="user:create")
    assert (event.actor_type, event.actor_id) == ("client", world.client.client_id)


def test_a_user_without_an_organisation_joins_the_first_root_and_must_change_the_password(world: World) -> None:
    body = {"user_name": "sparse", "mobile": "12345678999"}
    user_id = world.call("createUser", Call(body=body)).json()["user_id"]
    answer = world.call("getUserById", Call({"user_id": user_id})).json()
    assert answer["org_id"] == world.root.public_id
    assert answer["user_org_relation_list"] == [{"org_id": world.root.public_id, "relation_type": 1}]
    assert (answer["name"], answer["pwd_must_modify"], answer["pwd_change_at"]) == ("sparse", True, None)


def test_input_names_organisations_by_code_and_output_by_id(world: World) -> None:
    user_id = world.call("createUser").json()["user_id"]
    answer = world.call("getUserById", Call({"user_id": user_id})).json()
    assert answer["user_org_relation_list"] == [
        {"org_id": world.root.public_id, "relation_type": 1},
        {"org_id": world.child.public_id, "relation_type": 0},
        {"org_id": world.second.public_id, "relation_type": 0},
    ]


@pytest.mark.parametrize(
    "relations",
    [
        "10000",
        [{"orgCode": "10000", "relationType": 0}],
        [{"orgCode": "10000"}],
        [{"orgCode": "", "relationType": 1}],
        [{"orgCode": "TestOrg1", "relationType": 1}],
        [{"orgCode": "10000", "relationType": 1}, {"orgCode": "nowhere", "relationType": 0}],
        [{"orgCode": "10000", "relationType": True}],
        [None],
    ],
)
def test_a_membership_list_without_the_primary_organisation_is_refused(world: World, relations: Any) -> None:
    answer = world.call("createUser", Call(body=new_user(user_org_relation_list=relations)))
    assert code(answer) == (400, "ORG.0001")
    assert not User.objects.filter(user_name="wangwu").exists()


def test_an_empty_membership_list_is_as_if_absent(world: World) -> None:
    body = new_user(user_org_relation_list=[], org_code="TestOrg1")
    created = world.call("createUser", Call(body=body)).json()["user_id"]
    assert list(Membership.objects.filter(user__public_id=created).values_list("organization__code", flat=True)) == [
        "TestOrg1"
    ]
    path = f"/api/v2/tenant/users/{created}"
    assert world.send("PUT", path, {"user_org_relation_list": [], "name": "Wang"}).status_code == 200
    assert Membership.objects.filter(user__public_id=created).count() == 1


@pytest.mark.parametrize("kinds", [(1, 0), ("1", "0")])
def test_relation_types_are_numbers_or_texts(world: World, kinds: tuple[Any, Any]) -> None:
    relations = [{"orgCode": "10000", "relationType": kinds[0]}, {"orgCode": "TestOrg1", "relationType": kinds[1]}]
    assert world.call("createUser", Call(body=new_user(user_org_relation_list=relations))).status_code == 201


def test_what_an_update_leaves_out_stays_and_null_is_left_out(world: World) -> None:
    user = {"user_id": world.user.public_id}
    before = world.call("getUserById", Call(user)).json()
    assert world.call("updateUser", Call(user, body={"email": None, "attr_city": "Beijing"})).status_code == 200
    after = world.call("getUserById", Call(user)).json()
    assert {**after, "updated_at": ""} == {**before, "updated_at": ""}
    world.user.refresh_from_db()
    assert world.user.city == "Beijing"


def test_times_are_local_in_the_tenants_zone(world: World) -> None:
    moment = datetime(2022, 4, 13, 8, 57, 36, 532_999, tzinfo=UTC)
    User.objects.filter(pk=world.user.pk).update(created_at=moment)
    assert world.call("getUserById").json()["created_at"] == "2022-04-13 16:57:36.532"
    world.tenant.time_zone = "Asia/Tokyo"
    world.tenant.save()
    assert world.call("getUserById").json()["created_at"] == "2022-04-13 17:57:36.532"


def test_a_locked_and_a_disabled_user_show(world: World) -> None:
    User.objects.filter(pk=world.user.pk).update(locked_until=datetime(2999, 1, 1, tzinfo=UTC), is_active=False)
    answer = world.call("getUserById").json()
    assert (answer["locked"], answer["disabled"]) == (True, True)


def test_what_can_only_be_written_is_not_answered(world: World) -> None:
    answer = world.call("getUserByUsername").json()
    assert not {"employee_id", "first_name", "attr_gender", "attr_identity_number", "password"} & answer.keys()
    assert answer == world.call("getUserById").json()


def test_a_deleted_users_names_are_free_and_the_id_is_nobodys(world: World) -> None:
    old = world.user.public_id
    assert world.call("deleteUser").status_code == 204
    assert code(world.call("getUserById")) == (400, "USER.0001")
    assert code(world.call("deleteUser")) == (400, "USER.0001")
    answer = world.call("createUser", Call(body=new_user(user_name="zhangsan", mobile="12345678901")))
    assert answer.status_code == 201
    assert answer.json()["user_id"] != old


def test_numbers_are_texts_where_texts_are_asked_for(world: World) -> None:
    body = new_user(mobile=12345678903, org_code=10000, employee_id=77)
    user_id = world.call("createUser", Call(body=body)).json()["user_id"]
    assert User.objects.get(public_id=user_id).mobile == "+8612345678903"


@pytest.mark.parametrize("value", ["yes", 7, [], {}, ""])
def test_a_flag_that_is_none_is_refused_by_name(world: World, value: Any) -> None:
    answer = world.call("createUser", Call(body=new_user(pwd_must_modify=value)))
    text = "Extended attribute pwd_must_modify is invalid."
    assert (answer.status_code, answer.json()) == (400, {"error_code": "USER.0056", "error_msg": text})


# Bodies ----------------------------------------------------------------------------------------------------


# Nothing, cut off, no object, no JSON, no characters, a form, other encodings, and a member that comes twice.
UNREADABLE = [
    b"{",
    b'{"user_name": "wa',
    b"[]",
    b"null",
    b'"x"',
    b"\xff",
    b'{"user_name": NaN}',
    b'{"user_name": "\\ud800"}',
    b"[" * 99999,
    b"user_name=wang&name=Wang",
    b"{'user_name': 'wang'}",
    '{"user_name": "wang", "name": "王"}'.encode("gbk"),
    '{"user_name": "wang"}'.encode("utf-16"),
    b'{"user_name": "wang", "user_name": "li"}',
    b'{"user_name": "wang", "attributes": {"a": 1, "a": 2}}',
]


@pytest.mark.spec("RFC9110-15.5.1")
@pytest.mark.parametrize("body", UNREADABLE)
def test_a_change_by_a_body_that_cannot_be_read_is_refused(world: World, body: bytes) -> None:
    before = User.objects.filter(pk=world.user.pk).values().get()
    for method, path in [("POST", "/api/v2/tenant/users"), ("PUT", f"/api/v2/tenant/users/{world.user.public_id}")]:
        answer = world.send(method, path, body)
        assert (answer.status_code, answer.json()) == (
            400,
            {"error_code": "COM.0400", "error_msg": "The request body cannot be read."},
        )
    assert User.objects.filter(pk=world.user.pk).values().get() == before


@pytest.mark.spec("RFC9110-15.5.16")
def test_a_compressed_body_is_refused(world: World) -> None:
    body = gzip.compress(b'{"name": "After"}')
    path = f"/api/v2/tenant/users/{world.user.public_id}"
    answer = world.send("PUT", path, body, HTTP_CONTENT_ENCODING="gzip")
    assert code(answer) == (415, "COM.0415")
    assert world.send("PUT", path, b'{"name": "After"}', HTTP_CONTENT_ENCODING="identity").status_code == 200


def test_a_change_without_a_body_is_refused_and_a_creation_misses_its_first_member(world: World) -> None:
    assert code(world.send("PUT", f"/api/v2/tenant/users/{world.user.public_id}", b"")) == (400, "COM.0400")
    assert code(world.send("POST", "/api/v2/tenant/users", b"")) == (400, "USER.0008")


@pytest.mark.spec("RFC8259-8.1")
def test_a_byte_order_mark_is_ignored_and_so_are_unknown_members(world: World) -> None:
    body = b'\xef\xbb\xbf{"name": "After", "shoeSize": 43}'
    assert world.send("PUT", f"/api/v2/tenant/users/{world.user.public_id}", body).status_code == 200
    assert User.objects.get(pk=world.user.pk).name == "After"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json;charset=utf8",
        "application/json; charset=UTF-8",
        "application/json; charset=klingon",
        "application/json; charset=punycode",  # which would take a minute for a megabyte
        "text/plain",
        "x",
        "",
    ],
)
def test_any_or_no_charset_and_type_is_accepted(world: World, content_type: str) -> None:
    body = b'{"user_name": "zhangsan"}'
    answer = world.send("POST", "/api/v2/tenant/users/user-by-username", body, content_type=content_type)
    assert answer.status_code == 200, answer.content


def test_a_declared_charset_is_believed(world: World) -> None:
    body = '{"code": "X1", "name": "开发组"}'.encode("gbk")
    answer = world.send("POST", "/api/v2/tenant/organizations", body, content_type="application/json; charset=gbk")
    assert Organization.objects.get(public_id=answer.json()["org_id"]).name == "开发组"


def test_null_characters_name_nothing(world: World) -> None:
    assert code(world.call("createUser", Call(body=new_user(org_code="1\x00")))) == (400, "ORG.0001")
    assert code(world.call("getUserByUsername", Call(body={"user_name": "a\x00"}))) == (400, "USER.0001")
    account = world.good("createApplicationAccount")
    account.body["org_code"] = "a\x00"
    assert code(world.call("createApplicationAccount", account)) == (400, "APP_ORG.0001")
    members = world.good("addApplicationRoleMembers")
    members.body["account_Ids"] = ["a\x00"]
    assert world.call("addApplicationRoleMembers", members).json()["fail_list"] == ["a\x00"]


def test_an_unknown_method_is_refused(world: World) -> None:
    answer = world.send("PATCH", "/api/v2/tenant/users")
    assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")
    assert world.send("OPTIONS", "/api/v2/tenant/users").status_code == 405


def test_a_head_needs_the_right_of_its_get() -> None:
    path = "/api/v2/tenant/users?org_id=&offset=0&limit=10"
    assert World(rights=("user_read",)).send("HEAD", path).status_code == 200
    assert World(rights=("org_read",)).send("HEAD", path).status_code == 403


# Pages -----------------------------------------------------------------------------------------------------

PAGED = {
    "listUsers": "users",
    "listOrganizations": "organizations",
    "listApplicationOrganizations": "organizations",
    "listApplicationAccounts": "accounts",
    "listApplicationRoles": "roles",
}


@pytest.mark.parametrize("name", [*PAGED, "listApplicationRoleMembers"])
@pytest.mark.parametrize(
    ("offset", "limit"),
    [
        ("0", "9"),
        ("0", "101"),
        ("0", ""),
        ("0", None),
        ("-1", "10"),
        ("x", "10"),
        ("0", "1e1"),
        ("0", "１０"),
        ("9" * 30, "10"),
    ],
)
def test_a_bad_page_is_refused(world: World, name: str, offset: str | None, limit: str | None) -> None:
    call = world.good(name)
    call.body = None
    call.query = {**(call.query or {}), "offset": offset, "limit": limit}
    call.query = {key: value for key, value in call.query.items() if value is not None}
    assert code(world.call(name, call)) == (400, "PAGE.0001")


@pytest.mark.parametrize("name", PAGED)
def test_offset_is_mandatory_except_for_roles(world: World, name: str) -> None:
    call = world.good(name)
    assert call.query is not None
    del call.query["offset"]
    answer = world.call(name, call)
    assert answer.status_code == (200 if name == "listApplicationRoles" else 400)


def test_offset_is_the_index_of_a_page(world: World) -> None:
    for number in range(23):
        make_user(world.tenant, user_name=f"u{number:02}")
    seen = []
    for offset in range(4):
        answer = world.call("listUsers", Call(query={"org_id": "", "offset": offset, "limit": 10})).json()
        assert answer["total"] == 25
        seen += [user["user_name"] for user in answer["users"]]
    assert seen == ["zhangsan", "lisi", *(f"u{number:02}" for number in range(23))]


def test_the_users_of_an_organisation_are_its_own_members(world: World) -> None:
    make_membership(world.other, world.child)
    query = {"offset": 0, "limit": 10}

    def names(org_id: str) -> list[str]:
        users = world.call("listUsers", Call(query={"org_id": org_id, **query})).json()["users"]
        return [user["user_name"] for user in users]

    assert names(world.root.public_id) == ["zhangsan"]
    assert names(world.second.public_id) == ["zhangsan"]
    assert names(world.child.public_id) == ["lisi"]


def test_the_four_cases_of_all_child(world: World) -> None:
    leaf = make_organization(parent=world.child, code="leaf")

    def codes(**query: str) -> list[str]:
        answer = world.call("listOrganizations", Call(query={"offset": "0", "limit": "10", **query})).json()
        assert answer["total"] == len(answer["organizations"])
        return [entry["org_code"] for entry in answer["organizations"]]

    roots = ["10000", "TestOrg2", "empty"]
    assert codes() == codes(org_id="", all_child="false") == roots
    assert codes(org_id="", all_child="true") == ["10000", "TestOrg1", "TestOrg2", "empty", "leaf"]
    assert codes(org_id=world.root.public_id, all_child="true") == ["10000", "TestOrg1", "leaf"]
    assert codes(org_id=world.root.public_id, all_child="false") == ["10000", "TestOrg1"]
    assert codes(org_id=leaf.public_id, all_child="TRUE") == ["leaf"]


def test_a_role_list_echoes_the_page(world: World) -> None:
    call = world.good("listApplicationRoles")
    call.query = {"limit": 20}
    answer = world.call("listApplicationRoles", call).json()
    assert (answer["total"], answer["offset"], answer["limit"]) == (2, 0, 20)
    assert [role["updatedAt"] for role in answer["roles"]] == [None, None]
    assert world.call("updateApplicationRole").status_code == 200
    assert world.call("getApplicationRole").json()["updatedAt"] is not None


@pytest.mark.parametrize("page", [{"offset": "0", "limit": "10"}, {"offset": 0, "limit": 10}])
def test_role_members_take_the_page_from_the_body_of_a_get(world: World, page: dict[str, Any]) -> None:
    call = world.good("listApplicationRoleMembers")
    call.body = page
    answer = world.call("listApplicationRoleMembers", call).json()
    assert (answer["total"], answer["offset"], answer["limit"]) == (1, 0, 10)
    assert answer["role_members"] == [
        {
            "id": world.account.public_id,
            "account_name": "zhangsan",
            "account_type": "1",  # as OneAccess-3.1.7.8 prints it
            "name": "Zhang",
            "disabled": False,
            "org_id": world.app_root.public_id,
            "extension": {"age": "18"},
        }
    ]


def test_the_query_wins_over_the_body_of_a_get(world: World) -> None:
    call = world.good("listApplicationRoleMembers")
    call.query, call.body = {"limit": "20"}, {"offset": "1", "limit": "10"}
    answer = world.call("listApplicationRoleMembers", call).json()
    assert (answer["offset"], answer["limit"], answer["role_members"]) == (1, 20, [])


# Organisations, accounts, roles ----------------------------------------------------------------------------


def test_an_empty_code_or_name_stays_and_an_empty_parent_is_the_top(world: World) -> None:
    call = Call({"org_id": world.child.public_id}, body={"code": "", "name": "", "category": "company"})
    assert world.call("updateOrganization", call).status_code == 200
    answer = world.call("getOrganization").json()
    assert answer == {
        "org_id": world.child.public_id,
        "org_code": "TestOrg1",
        "name": "Development",
        "parent_id": world.root.public_id,
        "category": "company",
    }
    call.body = {"parent_id": ""}
    assert world.call("updateOrganization", call).status_code == 200
    assert world.call("getOrganization").json()["parent_id"] is None


def test_a_category_that_is_none_is_refused(world: World) -> None:
    call = world.good("createOrganization")
    call.body["category"] = "club"
    assert code(world.call("createOrganization", call)) == (400, "ORG.0015")


def test_the_update_of_an_application_organisation_cannot_change_its_code(world: World) -> None:
    call = world.good("updateApplicationOrganization")
    call.body = {"org_code": "changed", "name": "", "parent_id": ""}
    assert world.call("updateApplicationOrganization", call).status_code == 200
    answer = world.call("getApplicationOrganization").json()
    assert (answer["org_code"], answer["name"], answer["parent_id"]) == ("10001", "Branch", None)


def test_an_account_shows_its_roles(world: World) -> None:
    assert world.call("getApplicationAccount").json() == {
        "id": world.account.public_id,
        "account_name": "zhangsan",
        "account_type": "BASIC_ACCOUNT",
        "name": "Zhang",
        "disabled": False,
        "org_id": world.app_root.public_id,
        "roles": [
            {
                "role_id": world.role.public_id,
                "role_code": "admin",
                "role_name": "Administrator",
                "privileges": [],
            }
        ],
        "extension": {"age": "18"},
    }


def test_accounts_are_listed_by_their_kind(world: World) -> None:
    for kind in ("ORPHAN_ACCOUNT", "PUBLIC_ACCOUNT"):
        AppAccount.objects.create(application=world.application, account_name=kind, account_type=kind)

    def names(kind: str | None) -> list[str]:
        call = world.good("listApplicationAccounts")
        assert call.query is not None
        call.query["account_type"] = kind
        if kind is None:
            del call.query["account_type"]
        return [entry["account_name"] for entry in world.call("listApplicationAccounts", call).json()["accounts"]]

    assert names(None) == names("") == ["zhangsan", "ORPHAN_ACCOUNT", "PUBLIC_ACCOUNT"]
    assert names("BASIC_ACCOUNT") == ["zhangsan"]
    assert names("ORPHAN_ACCOUNT") == ["ORPHAN_ACCOUNT"]


def test_an_account_is_named_after_its_user_and_opens_the_application(world: World) -> None:
    call = world.good("authorizeApplicationAccount")
    call.body = None
    account_id = world.call("authorizeApplicationAccount", call).json()["account_id"]
    assert AppAccount.objects.get(public_id=account_id).account_name == "lisi"
    access.check_application(application=world.application, user=world.other)
    assert world.call("listUserAccounts", Call({"user_id": world.other.public_id})).json() == {
        "total": 1,
        "accounts": [
            {
                "id": account_id,
                "application_id": world.application.public_id,
                "account_name": "lisi",
                "account_type": "BASIC_ACCOUNT",
                "name": world.other.name,
                "extension": {},
            }
        ],
    }


def test_an_account_is_disabled_and_enabled(world: World) -> None:
    for operation, expected in (("disableApplicationAccount", True), ("enableApplicationAccount", False)):
        assert world.call(operation).json() == {"account_id": world.account.public_id}
        assert world.call("getApplicationAccount").json()["disabled"] is expected


def test_each_of_fifty_accounts_is_in_one_of_the_lists(world: World) -> None:
    accounts = [make_account(make_user(world.tenant), world.application) for _ in range(30)]
    known = [account.public_id for account in accounts]
    unknown = [f"20210621095935811-5E16-6B3060{number:03}" for number in range(20)]
    call = world.good("addApplicationRoleMembers")
    call.body["account_Ids"] = [*unknown, *known]
    assert world.call("addApplicationRoleMembers", call).json() == {"success_list": known, "fail_list": unknown}
    call.body["account_Ids"] = [*known[:10], world.account.public_id]
    answer = world.call("removeApplicationRoleMembers", call).json()
    assert answer == {"success_list": known[:10], "fail_list": [world.account.public_id]}
    assert AppRoleMember.objects.filter(role=world.free_role).count() == 20


@pytest.mark.parametrize("ids", [[], "x", [1], None, {"a": 1}])
def test_a_list_of_accounts_that_is_none_is_refused(world: World, ids: Any) -> None:
    call = world.good("addApplicationRoleMembers")
    call.body["account_Ids"] = ids
    assert code(world.call("addApplicationRoleMembers", call)) == (400, "PARAM.0029")


# Passwords -------------------------------------------------------------------------------------------------


@pytest.mark.security("S30")
def test_wrong_old_passwords_are_counted_like_failed_sign_ins(world: World) -> None:
    call = world.good("changeUserPasswordWithVerification")
    call.body["old_password"] = "Wrong-Door-12"
    for _ in range(5):
        assert code(world.call("changeUserPasswordWithVerification", call)) == (400, "PARAM.0028")
    answer = world.call("changeUserPasswordWithVerification")
    assert code(answer) == (400, "LOGIN.0001")
    assert re.search(r"in 1[45] minutes and \d+ seconds", answer.json()["error_msg"])


ENDING = {
    "disableUser": "user_disabled",
    "deleteUser": "user_deleted",
    "changeUserPassword": "password_changed",
    "changeUserPasswordWithVerification": "password_changed",
}


@pytest.mark.security("S27")
@pytest.mark.parametrize("name", ENDING)
def test_sessions_and_tokens_of_the_user_end_at_once(world: World, name: str) -> None:
    machine = Machine(make_client(make_application(world.tenant)), world.user)
    tokens = machine.tokens(scope="openid offline_access")
    assert machine.userinfo(tokens["access_token"]).status_code == 200
    assert world.call(name).status_code in (200, 204)
    assert machine.userinfo(tokens["access_token"]).status_code == 401
    assert machine.refresh(tokens["refresh_token"]).status_code == 400
    assert machine.session is not None
    machine.session.refresh_from_db()
    assert machine.session.ended_at is not None


@pytest.mark.parametrize("name", ENDING)
def test_every_application_of_the_users_sessions_is_told_once(world: World, name: str) -> None:
    web = make_client(make_application(world.tenant), backchannel_logout_uri="https://web.example/logout")
    machine = Machine(web, world.user)
    machine.tokens(scope="openid")
    assert machine.session is not None
    service = make_cas_service(tenant=world.tenant)
    query = {"service": service.url, "ticket": make_ticket(service, machine.session)}
    assert b"authenticationSuccess" in world.http.get("/api/v1/cas/serviceValidate", query, secure=True).content
    bystander = make_session(world.other)
    over = make_session(world.user, ended_at=timezone.now(), end_reason=SessionEndReason.SIGNED_OUT)
    heard: list[tuple[str, str]] = []

    def hear(*, session: SSOSession, reason: str, **kwargs: Any) -> None:
        heard.append((session.sid, reason))

    session_ended.connect(hear)
    try:
        assert world.call(name).status_code in (200, 204)
        if name != "changeUserPasswordWithVerification":  # the old password is another one now
            world.call(name)
    finally:
        session_ended.disconnect(hear)
    assert heard == [(machine.session.sid, ENDING[name])]
    told = Delivery.objects.values_list("kind", "url", "sid")
    assert sorted(told) == [
        ("cas_logout", service.url, machine.session.sid),
        ("oidc_backchannel_logout", "https://web.example/logout", machine.session.sid),
    ]
    bystander.refresh_from_db()
    over.refresh_from_db()
    assert (bystander.ended_at, over.end_reason) == (None, "signed_out")


def test_a_password_that_is_set_must_be_changed_unless_said_otherwise(world: World) -> None:
    for body, expected in (
        ({"password": NEW_PASSWORD}, True),
        ({"password": f"{NEW_PASSWORD}b", "pwd_must_modify": False}, False),
    ):
        call = Call({"user_id": world.user.public_id}, body=body)
        assert world.call("changeUserPassword", call).status_code == 200
        assert world.call("getUserById").json()["pwd_must_modify"] is expected


# Queries ---------------------------------------------------------------------------------------------------

LISTS = [*PAGED, "listApplicationRoleMembers", "listUserAccounts"]


def fill(world: World, count: int) -> None:
    """Rows for every list."""
    for _number in range(count):
        user = make_user(world.tenant, mobile=f"138{User.objects.count():08}")
        organization = make_organization(parent=world.child)
        make_membership(user, organization)
        make_membership(user, world.root, is_primary=False)
        account = make_account(user, world.application, organization=make_app_organization(parent=world.app_root))
        make_role(world.application, account, world.account)
        AppRoleMember.objects.create(role=world.role, account=account)
        make_account(world.user, make_application(world.tenant))


def test_a_creation_asks_as_often_however_much_is_given(world: World) -> None:
    # The token, the attributes' definitions, the names; the row, the number of users, the organisations, memberships.
    control = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "SET CONSTRAINTS")
    assert world.token
    world.call("getUserById")  # what the process keeps is read
    for body in (new_user(), {"user_name": "x", "mobile": "12345678904", "org_code": "10000"}):
        with CaptureQueriesContext(connection) as captured:
            assert world.call("createUser", Call(body=body)).status_code == 201
        sent = [query["sql"] for query in captured if not query["sql"].startswith(control)]
        assert len([sql for sql in sent if AuditEvent._meta.db_table not in sql]) == 7


@pytest.mark.parametrize("name", LISTS)
def test_a_list_asks_as_often_whatever_its_length(world: World, name: str) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert world.call(name).status_code == 200
        return len(captured)

    fill(world, 1)
    world.call(name)  # what the process keeps is read
    few = statements()
    fill(world, 9)
    world.call(name)
    assert statements() == few
    assert few <= 6


# As the documents print it -----------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.1.4.1")
@pytest.mark.parametrize(
    "operation,codes",
    [
        ("createOrganization", ("ORG.0012", "ORG.0015")),
        ("createApplicationOrganization", ("APP_ORG.0003", "APP_ORG.0010")),
    ],
)
def test_a_creation_that_is_sent_again_is_told_by_its_code(
    world: World, operation: str, codes: tuple[str, str]
) -> None:
    call = world.good(operation)
    assert world.call(operation, call).status_code == 201
    assert code(world.call(operation, call)) == (400, codes[0])
    name = "org_code" if "org_code" in call.body else "code"
    call.body = {**call.body, name: "another"}
    assert code(world.call(operation, call)) == (400, codes[1])


@pytest.mark.spec("OneAccess-3.1.6.2")
def test_an_account_is_not_renamed_to_nothing(world: World) -> None:
    call = world.good("updateApplicationAccount")
    call.body = {"name": ""}
    assert code(world.call("updateApplicationAccount", call)) == (400, "APP_ACCOUNT.0008")
    call.body = {"name": "x" * 500}
    assert code(world.call("updateApplicationAccount", call)) == (400, "APP_ACCOUNT.0036")
    assert AppAccount.objects.get(pk=world.account.pk).name == "Zhang"


@pytest.mark.spec("OneAccess-3.1.3.2")
def test_a_person_whose_name_is_emptied_has_the_user_name_as_in_a_creation(world: World) -> None:
    assert world.send("PUT", f"/api/v2/tenant/users/{world.user.public_id}", {"name": ""}).status_code == 200
    assert User.objects.get(pk=world.user.pk).name == world.user.user_name


@pytest.mark.spec("OneAccess-3.1.7.4")
def test_a_new_role_was_last_changed_when_it_was_made(world: World) -> None:
    role = world.call("createApplicationRole").json()["role_id"]
    call = world.good("getApplicationRole")
    call.path = {**call.path, "role_id": role}
    answer = world.call("getApplicationRole", call).json()
    assert answer["updatedAt"] == answer["createdAt"]


@pytest.mark.spec("OneAccess-3.1.6.5")
@pytest.mark.parametrize("kind", ["orphan", "public"])
def test_accounts_without_an_owner_are_made_and_listed(world: World, kind: str) -> None:
    path = f"/api/v2/tenant/applications/{world.application.public_id}/accounts"
    answer = world.send("POST", f"{path}/{kind}-account", {"account_name": "reception", "name": "Reception"})
    assert answer.status_code == 201, answer.content
    listed = world.send("GET", f"{path}?account_type={kind.upper()}_ACCOUNT&offset=0&limit=10").json()
    assert [(row["id"], row["account_name"]) for row in listed["accounts"]] == [
        (answer.json()["account_id"], "reception")
    ]
    assert code(world.send("POST", f"{path}/{kind}-account", {"account_name": "reception"})) == (
        400,
        "APP_ACCOUNT.0002",
    )
    assert code(world.send("POST", f"{path}/{kind}-account", {"name": "nobody"})) == (400, "APP_ACCOUNT.0035")


# One telephone, however it is spelled ------------------------------------------------------------------------

SPELLINGS = ["13862233907", "+8613862233907", "8613862233907", "008613862233907", "013862233907", "138-6223-3907"]


@pytest.mark.security("S31")
@pytest.mark.spec("OneAccess-3.1.3.1")
@pytest.mark.parametrize("first", SPELLINGS)
def test_one_telephone_is_one_person_however_it_is_spelled(world: World, first: str) -> None:
    created = world.call("createUser", Call(body=new_user(user_name="sa", mobile=first)))
    assert created.status_code == 201, created.content
    for spelling in SPELLINGS:
        answer = world.call("createUser", Call(body=new_user(user_name="sb", mobile=spelling)))
        assert code(answer) == (400, "USER.0030"), spelling
        changed = world.send("PUT", f"/api/v2/tenant/users/{world.user.public_id}", {"mobile": spelling})
        assert code(changed) == (400, "USER.0030"), spelling
        assert authentication.resolve(spelling, tenant=world.tenant).user.user_name == "sa"
        assert authentication.resolve_mobile(spelling, tenant=world.tenant).user.user_name == "sa"
    for pasted in ("\u202d13862233907\u202c", "１３８６２２３３９０７"):
        assert authentication.resolve_mobile(pasted, tenant=world.tenant).user.user_name == "sa"
    shown = world.send("GET", f"/api/v2/tenant/users/{created.json()['user_id']}").json()
    assert shown["mobile"] == "13862233907"  # as the document prints numbers
    assert User.objects.get(user_name="sa").mobile == "+8613862233907"


def test_a_telephone_of_another_country_is_shown_with_it(world: World) -> None:
    body = new_user(user_name="sa", mobile="+819012345678")
    created = world.call("createUser", Call(body=body)).json()["user_id"]
    assert world.send("GET", f"/api/v2/tenant/users/{created}").json()["mobile"] == "+819012345678"


def test_a_user_name_that_is_somebodys_telephone_is_taken_however_it_is_spelled(world: World) -> None:
    world.call("createUser", Call(body=new_user(user_name="sa", mobile="13862233907")))
    for spelling in ("8613862233907", "13862233907"):
        answer = world.call("createUser", Call(body=new_user(user_name=spelling, mobile="13800000000")))
        assert code(answer) == (400, "USER.0029")
