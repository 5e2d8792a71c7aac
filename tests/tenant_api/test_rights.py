"""Who may call: every operation without a token, with a bad one, without the right, with another tenant's ids."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from identity.models import AuditEvent, User
from oidc_provider.models import AccessToken, ApiScope
from tenant_api.permissions import Right
from tests.contract.tenant_contract import ContractOperation, operations
from tests.factories import make_account, make_application, make_user
from tests.factories.oidc import CLIENT_SECRET, make_client
from tests.support.machine import Machine, basic
from tests.tenant_api.world import ALL_RIGHTS, Call, World, new_user

pytestmark = pytest.mark.django_db

CALLED = [pytest.param(row, id=row.name) for row in operations() if row.name != "obtainAccessToken"]
INVALID = (401, {"error": "invalid_token", "error_description": "Invalid access token."})
MISSING = (
    401,
    {"error": "unauthorized", "error_description": "Full authentication is required to access this resource"},
)

# By the chapters of the document; a question may be asked by whoever may change the answer.
CHAPTERS = {
    "users": ("user_read", "user_all"),
    "organizations": ("org_read", "org_all"),
    "application-organizations": ("app_read", "app_all"),
    "application-accounts": ("app_read", "app_all"),
    "application-roles": ("app_read", "app_all"),
}
QUESTIONS = {"getUserByUsername"}


def enough(row: ContractOperation) -> set[str]:
    read, write = CHAPTERS[row.tag]
    return {read, write} if row.method == "GET" or row.name in QUESTIONS else {write}


def result(answer: Any) -> tuple[int, Any]:
    return answer.status_code, answer.json()


def untouched(world: World) -> Any:
    """What a refused call must leave as it is."""
    world.user.refresh_from_db()
    rows = (world.user, world.child, world.empty, world.app_child, world.app_empty, world.account, world.role)
    return [type(row).objects.filter(pk=row.pk).values().get() for row in rows]


# Tokens ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", CALLED)
@pytest.mark.security("S36")
def test_no_expired_revoked_and_foreign_tokens_open_nothing(row: ContractOperation) -> None:
    world, foreign = World(), World()
    call = world.good(row.name)
    assert result(world.call(row.name, call, token="")) == MISSING
    assert result(world.call(row.name, call, token=foreign.token)) == INVALID
    assert result(world.call(row.name, call, HTTP_AUTHORIZATION=f"Basic {world.token}")) == MISSING
    before = untouched(world)
    tokens = AccessToken.objects.filter(application=world.client)
    token = world.token
    now = timezone.now()
    tokens.update(created=now - timedelta(hours=1), expires=now - timedelta(seconds=1))
    assert result(world.call(row.name, call, token=token)) == INVALID
    tokens.delete()
    assert result(world.call(row.name, call, token=token)) == INVALID
    assert untouched(world) == before
    assert AuditEvent.objects.filter(event_type="token:use", outcome="refused").count() == 5


@pytest.mark.security("S12")
def test_a_token_for_another_audience_opens_nothing(world: World) -> None:
    world.client.api_scopes.add(_scope(world, "orders:read", "https://orders.example"))
    token = _client_token(world, scope="orders:read")
    assert result(world.call("getUserById", token=token)) == INVALID


def _scope(world: World, name: str, audience: str) -> Any:
    return ApiScope.objects.create(tenant=world.tenant, name=name, audience=audience)


def _client_token(world: World, *, scope: str) -> str:
    answer = world.http.generic(
        "POST",
        "/oauth2/token",
        f"grant_type=client_credentials&scope={scope}",
        content_type="application/x-www-form-urlencoded",
        HTTP_AUTHORIZATION=basic(world.client.client_id, CLIENT_SECRET),
    )
    assert answer.status_code == 200, answer.content
    token: str = answer.json()["access_token"]
    return token


def test_a_token_of_the_standard_endpoint_is_as_good(world: World) -> None:
    token = _client_token(world, scope="user_read")
    assert world.call("getUserById", token=token).status_code == 200
    assert world.call("deleteUser", token=token).status_code == 403


@pytest.mark.security("S12")
def test_a_token_of_a_user_opens_nothing_whatever_its_scope(world: World) -> None:
    client = make_client(make_application(world.tenant))
    client.api_scopes.set(world.client.api_scopes.all())
    machine = Machine(client, make_user(world.tenant))
    token = machine.tokens(scope="openid user_all user_read")["access_token"]
    assert "user_all" in AccessToken.objects.get(user=machine.user).scope
    assert result(world.call("getUserById", token=token)) == INVALID


@pytest.mark.security("S26")
def test_a_disabled_client_is_out_at_once(world: World) -> None:
    token = world.token
    world.client.is_active = False
    world.client.save()
    assert result(world.call("getUserById", token=token)) == INVALID
    assert world.ask_for_token().json()["error"] == "invalid_client"


# Rights ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", CALLED)
def test_each_operation_needs_its_right_and_no_other(row: ContractOperation) -> None:
    others = tuple(name for name in ALL_RIGHTS if name not in enough(row))
    world = World(rights=others)
    before = untouched(world)
    answer = world.call(row.name)
    body = {"error": "insufficient_scope", "error_description": "Insufficient scope for this resource"}
    assert result(answer) == (403, body)
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert untouched(world) == before
    event = AuditEvent.objects.get(event_type="token:use", outcome="refused")
    assert (event.reason, event.client_id) == ("insufficient_scope", world.client.client_id)
    for right in enough(row):
        assert World(rights=(right,)).call(row.name).status_code == row.success


def test_every_right_is_one_that_can_be_granted() -> None:
    assert {name for right in Right for name in right.value} | {"auth_api"} == set(ALL_RIGHTS)


# Tenants ---------------------------------------------------------------------------------------------------

FOREIGN = {
    "user_id": ("user", "USER.0001"),
    "application_id": ("application", "APP.0001"),
    "account_id": ("account", "APP_ACCOUNT.0001"),
    "role_id": ("role", "APP_ROLE.0001"),
}


def foreign_ids(row: ContractOperation, call: Call) -> list[tuple[str, str]]:
    """Where ids of rows stand in this operation: ("path" or "body" or "query", name)."""
    places = [("path", name) for name in call.path]
    places += [(place, name) for place in ("body", "query") for name in (getattr(call, place) or {}) if _is_id(name)]
    return places


def _is_id(name: str) -> bool:
    return name in (*FOREIGN, "org_id", "parent_id")


def expected(row: ContractOperation, place: str, name: str) -> tuple[str, str]:
    """The row of the other tenant, and the refusal."""
    in_app = row.tag == "application-organizations"
    if name == "org_id":
        return ("app_root", "APP_ORG.0001") if in_app else ("root", "ORG.0001")
    if name == "parent_id":
        return ("app_root", "APP_ORG.0004") if in_app else ("root", "ORG.0002")
    return FOREIGN[name]


@pytest.mark.parametrize("row", CALLED)
@pytest.mark.security("S36")
def test_ids_of_another_tenant_do_not_exist_here(row: ContractOperation) -> None:
    world, foreign = World(), World()
    theirs, call = untouched(foreign), world.good(row.name)
    for place, name in foreign_ids(row, call):
        attribute, code = expected(row, place, name)
        changed = world.good(row.name)
        getattr(changed, place)[name] = getattr(foreign, attribute).public_id
        answer = world.call(row.name, changed)
        assert (answer.status_code, answer.json()["error_code"]) == (400, code), (place, name)
    if row.name == "getUserByUsername":
        make_user(foreign.tenant, user_name="only-there")
        assert world.call(row.name, Call(body={"user_name": "only-there"})).json()["error_code"] == "USER.0001"
    assert untouched(foreign) == theirs


@pytest.mark.security("S36")
def test_accounts_of_another_tenant_or_application_join_no_role(world: World) -> None:
    foreign = World()
    neighbour = make_application(world.tenant)
    elsewhere = make_account(world.other, neighbour)
    ids = [foreign.account.public_id, elsewhere.public_id, world.account.public_id]
    call = world.good("addApplicationRoleMembers")
    call.body["account_Ids"] = ids
    assert world.call("addApplicationRoleMembers", call).json() == {"success_list": ids[2:], "fail_list": ids[:2]}


@pytest.mark.security("S36")
def test_lists_show_the_own_tenant_only(world: World) -> None:
    foreign = World()
    users = world.call("listUsers").json()
    assert users["total"] == 2
    assert {user["user_id"] for user in users["users"]} == {world.user.public_id, world.other.public_id}
    organizations = world.call("listOrganizations").json()
    assert organizations["total"] == 4
    assert foreign.root.public_id not in {entry["org_id"] for entry in organizations["organizations"]}


def test_on_the_shared_host_the_header_names_the_tenant_and_the_token_must_be_its(world: World) -> None:
    foreign = World()
    token = world.token
    shared = {"HTTP_HOST": "api.monban.example"}
    answer = world.call("getUserById", **shared, HTTP_X_TENANT_ID=world.tenant.public_id)
    assert answer.status_code == 200
    for value in ("", "nobody", "a\x7fb"):
        answer = world.call("getUserById", **shared, HTTP_X_TENANT_ID=value)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "APP.0001")
    answer = world.call("getUserById", **shared, HTTP_X_TENANT_ID=foreign.tenant.public_id, token=token)
    assert result(answer) == INVALID
    # On a tenant's own host the header says nothing.
    assert world.call("getUserById", HTTP_X_TENANT_ID=foreign.tenant.public_id).status_code == 200
    body = f"grant_type=client_credentials&client_id={world.client.client_id}&client_secret={CLIENT_SECRET}"
    for tenant, status in ((world.tenant, 200), (foreign.tenant, 400)):
        answer = world.http.generic(
            "POST",
            "/api/v2/tenant/token",
            body,
            content_type="application/x-www-form-urlencoded",
            HTTP_X_TENANT_ID=tenant.public_id,
            **shared,
        )
        assert answer.status_code == status, answer.content


# What no body can say ---------------------------------------------------------------------------------------


@pytest.mark.security("S37")
def test_the_owner_of_an_account_cannot_be_changed(world: World) -> None:
    call = world.good("updateApplicationAccount")
    call.body = {**call.body, "user_id": world.other.public_id, "application_id": "x", "account_type": "PUBLIC_ACCOUNT"}
    assert world.call("updateApplicationAccount", call).status_code == 200
    world.account.refresh_from_db()
    assert (world.account.user, world.account.account_type) == (world.user, "BASIC_ACCOUNT")
    assert world.account.application == world.application


@pytest.mark.security("S25")
@pytest.mark.parametrize("name", ["createUser", "updateUser"])
def test_members_that_the_document_does_not_have_are_ignored(world: World, name: str) -> None:
    forged = {
        "email_verified": True,
        "phone_number_verified": True,
        "is_staff": True,
        "is_superuser": True,
        "is_active": False,
        "tenant": World().tenant.pk,
        "user_id": "x",
        "grade": 9,
        "password_hash": "!",
    }
    call = world.good(name)
    call.body = {**call.body, **forged}
    answer = world.call(name, call)
    user = User.objects.get(public_id=answer.json()["user_id"])
    flags = (user.email_verified, user.phone_number_verified, user.is_staff, user.is_superuser)
    assert flags == (False, False, False, False)
    assert (user.is_active, user.tenant, user.grade) == (True, world.tenant, 1)


@pytest.mark.security("S39")
@pytest.mark.parametrize("value", ["0;select 1", "0 OR 1=1", "0--", "'", "0\x00", "1e9", "0x10", "-0", " 0", "٠"])
@pytest.mark.parametrize("name", ["offset", "limit"])
def test_a_forged_page_is_refused_by_its_type(world: World, name: str, value: str) -> None:
    for operation in ("listUsers", "listOrganizations", "listApplicationRoles", "listApplicationRoleMembers"):
        call = world.good(operation)
        call.query = {"org_id": "", "offset": "0", "limit": "10", name: value}
        assert world.call(operation, call).json()["error_code"] == "PAGE.0001"


@pytest.mark.security("S46")
def test_a_directory_marks_the_numbers_that_it_answers_for(world: World) -> None:
    created = world.call("createUser", Call(body=new_user(mobile_verified=True)))
    user = User.objects.get(public_id=created.json()["user_id"])
    assert (user.phone_number_verified, user.email_verified) == (True, False)
    path = {"user_id": user.public_id}
    for body, expected in (
        ({"mobile": "13800000099"}, False),  # a new number has to earn it
        ({"mobile_verified": True}, True),
        ({"mobile": "13800000098", "mobile_verified": "true"}, True),
        ({"name": "Wang"}, True),
        ({"mobile_verified": False}, False),
    ):
        assert world.call("updateUser", Call(path, body=body)).status_code == 200
        user.refresh_from_db()
        assert user.phone_number_verified is expected, body
    event = AuditEvent.objects.filter(target_id=user.public_id).latest("pk")
    assert event.changes == {"phone_number_verified": [True, False]}


def test_no_number_is_marked_that_is_not_there(world: World) -> None:
    User.objects.filter(pk=world.user.pk).update(mobile_sealed="", mobile_index="")
    answer = world.call("updateUser", Call({"user_id": world.user.public_id}, body={"mobile_verified": True}))
    assert (answer.status_code, answer.json()["error_code"]) == (400, "USER.0010")


def test_a_number_that_is_not_the_apis_to_write_is_not_its_to_mark(world: World) -> None:
    world.attribute("mobile", editable_by="operator")
    answer = world.call("updateUser", Call({"user_id": world.user.public_id}, body={"mobile_verified": True}))
    assert (answer.status_code, answer.json()["error_code"]) == (400, "USER.0038")
