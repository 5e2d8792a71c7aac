"""The situation that causes each error code of each tenant API operation.

A case changes one thing of the operation's good request, or of the rows behind it. `CASES` has one for every row of the
contract's `x-likely-error-codes`, except those that tenant_api_unused.csv explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import OperationalError, connection

from tests.contract.tenant_contract import operations
from tests.factories import make_account, make_organization
from tests.tenant_api.world import Call, World

NOBODY = "20210621095935811-5E16-6B3060ABC"

Change = Callable[[World, Call], None]


@dataclass(frozen=True)
class Case:
    """What is done to the world and the good request, and what the text is filled with."""

    change: Change
    params: tuple[Any, ...] = ()
    status: int = 400
    is_away: bool = False  # the database is, from the moment of the request


# Building blocks -------------------------------------------------------------------------------------------


def path(**values: str) -> Change:
    def change(world: World, call: Call) -> None:
        call.path = {**call.path, **values}

    return change


def body(**values: Any) -> Change:
    def change(world: World, call: Call) -> None:
        call.body = {**(call.body or {}), **values}

    return change


def without(*names: str) -> Change:
    def change(world: World, call: Call) -> None:
        call.body = {name: value for name, value in call.body.items() if name not in names}

    return change


def query(**values: Any) -> Change:
    def change(world: World, call: Call) -> None:
        call.query = {**(call.query or {}), **values}

    return change


def both(*changes: Change) -> Change:
    def change(world: World, call: Call) -> None:
        for each in changes:
            each(world, call)

    return change


def switch(attribute: str, column: str, value: Any) -> Change:
    """Set a column of one of the world's rows."""

    def change(world: World, call: Call) -> None:
        row = getattr(world, attribute)
        setattr(row, column, value)
        row.save()

    return change


def define(name: str, **values: Any) -> Change:
    return lambda world, call: world.attribute(name, **values)


def policy(**values: Any) -> Change:
    """The tenant's password policy."""

    def change(world: World, call: Call) -> None:
        row = world.tenant.password_policy
        for name, value in values.items():
            setattr(row, name, value)
        row.save()

    return change


def nothing(world: World, call: Call) -> None:
    """The database is away."""


# Codes that are the same for many operations ----------------------------------------------------------------

AWAY = Case(nothing, status=503, is_away=True)
NO_APP = Case(path(application_id=NOBODY))
DISABLED_APP = Case(switch("application", "is_active", False))
NO_APP_ORGS = Case(switch("application", "has_organizations", False))
NO_ROLES = Case(switch("application", "has_roles", False))

COMMON: dict[str, Case] = {
    "COM.0002": AWAY,
    "APP.0001": NO_APP,
    "APP.0003": DISABLED_APP,
    "APP_ORG.0002": NO_APP_ORGS,
    "APP_ROLE.0002": NO_ROLES,
    "PAGE.0001": Case(query(limit=9)),
}

# Built-in attributes: name on the wire, our name, code when it is empty, code when it is wrong, a wrong value.
ATTRIBUTES = (
    ("user_name", "user_name", "USER.0008", "USER.0036", "two words"),
    ("name", "name", "USER.0009", "USER.0037", "a\u0001b"),
    ("mobile", "mobile", "USER.0010", "USER.0038", "call me"),
    ("email", "email", "USER.0011", "USER.0039", "nobody"),
    ("first_name", "first_name", "USER.0012", "USER.0040", "x" * 151),
    ("middle_name", "middle_name", "USER.0013", "USER.0041", "a\u0001b"),
    ("last_name", "last_name", "USER.0014", "USER.0042", ["L"]),
    ("attr_nick_name", "nick_name", "USER.0015", "USER.0043", "a\u0001b"),
    ("attr_birthday", "birth_date", "USER.0016", "USER.0044", "1990-02-30"),
    ("attr_gender", "gender", "USER.0017", "USER.0045", "other"),
    ("attr_identity_type", "identity_type", "USER.0018", "USER.0046", "library_card"),
    ("attr_identity_number", "identity_number", "USER.0019", "USER.0047", "9" * 65),
    ("attr_area", "area", "USER.0020", "USER.0048", "x" * 65),
    ("attr_city", "city", "USER.0021", "USER.0049", "a\u0001b"),
    ("employee_id", "employee_id", "USER.0022", "USER.0050", "x" * 65),
    ("attr_manager_id", "manager", "USER.0024", "USER.0052", {"id": 1}),
    ("attr_user_type", "user_type", "", "USER.0053", "robot"),
    ("attr_hire_date", "hire_date", "USER.0026", "USER.0054", "yesterday"),
    ("attr_work_place", "work_place", "USER.0027", "USER.0055", "x" * 151),
)


# What an attribute holds before it is emptied.
FILLED = {
    "birth_date": date(1990, 2, 1),
    "gender": "male",
    "identity_type": "id_card",
    "hire_date": date(2021, 4, 1),
    "email": "z@example.com",
    "mobile": "12345678909",
}


def user_attributes(*, is_new: bool) -> Iterator[tuple[str, Case]]:
    """The rules of attributes, for creating and for changing."""
    for wire, name, required, invalid, wrong in ATTRIBUTES:
        if required:
            rule = [] if name in ("user_name", "mobile") else [define(name, is_required=True)]
            emptied = both(switch("user", name, FILLED.get(name, "x")), body(**{wire: ""}))
            yield required, Case(both(*rule, without(wire) if is_new else emptied))
        yield invalid, Case(body(**{wire: wrong}))
    if is_new:
        # A name that is not given is the user name, so it can be missing only where that may be.
        nameless = both(define("user_name", is_required=False), define("name", is_required=True))
        yield "USER.0009", Case(both(nameless, without("user_name", "name")))
    badge = define("badge", is_required=True)
    yield "USER.0028", Case(both(badge, nothing if is_new else body(extension={"badge": ""})), params=("badge",))
    taken = "zhangsan" if is_new else "lisi"
    yield "USER.0029", Case(body(user_name=taken.upper()))
    yield "USER.0030", Case(body(mobile="12345678901" if is_new else "12345678902"))
    yield "USER.0031", Case(body(email=f"{taken.title()}@example.com"))
    yield "USER.0032", Case(both(_other_identity_number, body(attr_identity_number="id-2")))
    yield "USER.0033", Case(body(employee_id="E1" if is_new else "E2"))
    yield "USER.0035", Case(both(_unique_badge, body(extension={"badge": "b2"})), params=("badge",))
    yield "USER.0056", Case(body(extension={"shoe": "42"}), params=("shoe",))
    yield "ORG.0001", Case(both(without("user_org_relation_list") if is_new else nothing, body(org_code="nowhere")))


def _other_identity_number(world: World, call: Call) -> None:
    world.other.identity_number = "ID-2"
    world.other.save()


def _unique_badge(world: World, call: Call) -> None:
    """Somebody else has the value already, in another spelling."""
    from identity.context import RequestContext
    from identity.directory import attributes

    world.other.extension = {"badge": "B2"}
    world.other.save()
    attributes.define(tenant=world.tenant, name="badge", context=RequestContext(tenant=world.tenant), is_unique=True)


def passwords(user_name: str) -> Iterator[tuple[str, Case]]:
    """The rules of the tenant's policy. user_name: of the person."""
    yield "PWD.0002", Case(body(password=f"{user_name[::-1]}-7"))
    yield "PWD.0003", Case(body(password=f"{user_name}-7x"))
    yield "PWD.0004", Case(both(policy(weak_words="Company2024"), body(password="company2024")))
    yield "PWD.0005", Case(both(policy(min_classes=3), body(password="quietharbour41")))
    yield "PWD.0006", Case(both(policy(max_identical=2), body(password="Aaaa-4711-x")), params=(2,))
    yield "PWD.0007", Case(body(password="Sh0rt-x"), params=(8, 64))


def _password_before(world: World, call: Call) -> None:
    from identity.context import RequestContext
    from identity.passwords import credentials
    from tests.tenant_api.world import NEW_PASSWORD, OLD_PASSWORD

    context = RequestContext(tenant=world.tenant)
    credentials.set_password(user=world.user, password=NEW_PASSWORD, context=context)
    credentials.set_password(user=world.user, password=OLD_PASSWORD + "x", context=context)
    if "old_password" in call.body:
        call.body["old_password"] = OLD_PASSWORD + "x"


def _fifty_one(world: World, call: Call) -> None:
    call.body["account_Ids"] = [f"{NOBODY}{number}" for number in range(51)]


def _sibling(world: World, call: Call) -> None:
    make_organization(parent=world.root, code="taken", name=call.body["name"])


NO_USER = Case(path(user_id=NOBODY))

OWN: dict[str, dict[str, Case]] = {
    "createUser": {**dict(user_attributes(is_new=True)), **dict(passwords("wangwu"))},
    "listUsers": {"ORG.0001": Case(query(org_id=NOBODY)), "PARAM.0017": Case(lambda w, c: c.query.pop("org_id"))},
    "updateUser": {"USER.0001": NO_USER, **dict(user_attributes(is_new=False))},
    "deleteUser": {"USER.0001": NO_USER},
    "getUserById": {"USER.0001": NO_USER, "USER.0061": Case(path(user_id=""))},
    "enableUser": {"USER.0001": NO_USER},
    "disableUser": {"USER.0001": NO_USER},
    "changeUserPassword": {
        "USER.0001": NO_USER,
        "USER.0004": Case(switch("user", "is_active", False)),
        "PWD.0001": Case(_password_before),
        **dict(passwords("zhangsan")),
        "PWD.0008": Case(body(password="")),
    },
    "changeUserPasswordWithVerification": {
        "USER.0001": NO_USER,
        "USER.0004": Case(switch("user", "is_active", False)),
        "PARAM.0018": Case(without("old_password")),
        "PARAM.0019": Case(body(password="")),
        "PARAM.0020": Case(lambda w, c: c.body.update(password=c.body["old_password"])),
        "PARAM.0028": Case(body(old_password="Wrong-Door-12")),
        "PWD.0001": Case(_password_before),
        **dict(passwords("zhangsan")),
    },
    "getUserByUsername": {"USER.0001": Case(body(user_name="nobody")), "USER.0008": Case(body(user_name=""))},
    "authorizeApplicationAccount": {
        "USER.0001": NO_USER,
        "APP.0002": Case(path(application_id="")),
        "APP_ACCOUNT.0002": Case(body(account_name="zhangsan")),
        "APP_ACCOUNT.0036": Case(body(account_name="a\u0001b")),
    },
    "listUserAccounts": {"USER.0001": NO_USER},
    "createOrganization": {
        "ORG.0002": Case(body(parent_id=NOBODY)),
        "ORG.0010": Case(without("code")),
        "ORG.0011": Case(body(name="")),
        "ORG.0012": Case(body(code="10000")),
        "ORG.0014": Case(body(code="a b")),
        "ORG.0015": Case(_sibling),
    },
    "listOrganizations": {"ORG.0001": Case(query(org_id=NOBODY))},
    "updateOrganization": {
        "ORG.0001": Case(path(org_id=NOBODY)),
        "ORG.0002": Case(body(parent_id=NOBODY)),
        "ORG.0012": Case(body(code="10000")),
        "ORG.0014": Case(body(code="a/b")),
        "ORG.0015": Case(body(name="<b>")),
        "ORG.0017": Case(lambda w, c: c.body.update(parent_id=w.child.public_id)),
    },
    "deleteOrganization": {
        "ORG.0001": Case(path(org_id=NOBODY)),
        "ORG.0016": Case(lambda w, c: c.path.update(org_id=w.root.public_id)),
    },
    "getOrganization": {"ORG.0001": Case(path(org_id=NOBODY))},
    "createApplicationOrganization": {
        "APP_ORG.0003": Case(body(org_code="10000")),
        "APP_ORG.0004": Case(body(parent_id=NOBODY)),
        "APP_ORG.0008": Case(without("org_code")),
        "APP_ORG.0009": Case(body(name="")),
        "APP_ORG.0010": Case(body(name="Branch")),
        "APP_ORG.0011": Case(body(org_code="a b")),
        "APP_ORG.0012": Case(body(name="a/b")),
    },
    "updateApplicationOrganization": {
        "APP_ORG.0001": Case(path(org_id=NOBODY)),
        "APP_ORG.0004": Case(body(parent_id=NOBODY)),
        "APP_ORG.0006": Case(lambda w, c: c.body.update(parent_id=w.app_child.public_id)),
        "APP_ORG.0010": Case(body(name="Empty")),
        "APP_ORG.0012": Case(body(name="a/b")),
    },
    "deleteApplicationOrganization": {
        "APP_ORG.0001": Case(path(org_id=NOBODY)),
        "APP_ORG.0007": Case(lambda w, c: c.path.update(org_id=w.app_root.public_id)),
    },
    "getApplicationOrganization": {"APP_ORG.0001": Case(path(org_id=NOBODY))},
    "createApplicationAccount": {
        "USER.0001": Case(body(user_id=NOBODY)),
        "USER.0061": Case(without("user_id")),
        "APP_ACCOUNT.0002": Case(lambda w, c: c.body.update(user_id=w.user.public_id)),
        "APP_ACCOUNT.0007": Case(body(extension={"shoe": "42"})),
        "APP_ACCOUNT.0036": Case(body(account_name="x" * 151)),
        "APP_ORG.0001": Case(body(org_code="nowhere")),
    },
    "updateApplicationAccount": {
        "APP_ACCOUNT.0001": Case(path(account_id=NOBODY)),
        "APP_ACCOUNT.0002": Case(
            both(lambda w, c: make_account(w.other, w.application) and None, body(account_name="lisi"))
        ),
        "APP_ACCOUNT.0007": Case(body(extension={"shoe": "42"})),
        "APP_ACCOUNT.0008": Case(body(name="")),
        "APP_ACCOUNT.0035": Case(body(account_name="")),
        "APP_ACCOUNT.0036": Case(body(account_name=["Test02"])),
        "APP_ORG.0001": Case(body(org_code="nowhere")),
    },
    "deleteApplicationAccount": {"APP_ACCOUNT.0001": Case(path(account_id=NOBODY))},
    "getApplicationAccount": {"APP_ACCOUNT.0001": Case(path(account_id=NOBODY))},
    "listApplicationAccounts": {"APP_ACCOUNT.0003": Case(query(account_type="ADMIN_ACCOUNT"))},
    "enableApplicationAccount": {"APP_ACCOUNT.0001": Case(path(account_id=NOBODY))},
    "disableApplicationAccount": {"APP_ACCOUNT.0001": Case(path(account_id=NOBODY))},
    "createApplicationRole": {
        "APP_ROLE.0003": Case(body(code="admin")),
        "APP_ROLE.0005": Case(without("code")),
        "APP_ROLE.0006": Case(body(code="a b")),
        "APP_ROLE.0007": Case(body(name="")),
        "APP_ROLE.0008": Case(body(name="x" * 33)),
    },
    "updateApplicationRole": {
        "APP_ROLE.0001": Case(path(role_id=NOBODY)),
        "APP_ROLE.0007": Case(without("name")),
        "APP_ROLE.0008": Case(body(name="x" * 33)),
    },
    "deleteApplicationRole": {
        "APP_ROLE.0001": Case(path(role_id=NOBODY)),
        "APP_ROLE.0004": Case(lambda w, c: c.path.update(role_id=w.role.public_id)),
    },
    "getApplicationRole": {"APP_ROLE.0001": Case(path(role_id=NOBODY))},
    "listApplicationRoles": {},
    "addApplicationRoleMembers": {"APP_ROLE.0001": Case(body(role_id=NOBODY)), "PARAM.0029": Case(_fifty_one)},
    "removeApplicationRoleMembers": {"APP_ROLE.0001": Case(body(role_id=NOBODY)), "PARAM.0029": Case(_fifty_one)},
    "listApplicationRoleMembers": {
        "APP_ROLE.0001": Case(path(role_id=NOBODY)),
        "PAGE.0001": Case(body(limit="101")),
    },
}

CASES: dict[tuple[str, str], Case] = {
    (operation, code): case for operation, cases in OWN.items() for code, case in cases.items()
} | {
    (row.name, code): COMMON[code]
    for row in operations()
    for code in row.codes
    if code in COMMON and code not in OWN.get(row.name, {})
}


def away(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """What a lost database does to a statement."""
    raise OperationalError("server closed the connection unexpectedly")


def perform(world: World, operation: str, case: Case) -> Any:
    """Send the request of a case."""
    call = world.good(operation)
    case.change(world, call)
    assert world.token
    if case.is_away:
        with connection.execute_wrapper(away):
            return world.call(operation, call)
    return world.call(operation, call)


__all__ = ["CASES", "Case", "perform"]
