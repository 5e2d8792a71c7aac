"""A request stays readable: how many files it may enter, and how often it may come back to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.test import Client as Browser
from pytest_django.plugin import DjangoDbBlocker

from identity.models import SSOSession, Tenant
from tests.admin.conftest import sign_in
from tests.architecture.walks import ROOT, Walk, walk
from tests.factories import make_application, make_tenant, make_user
from tests.factories.cas import make_cas_service, make_ticket
from tests.factories.keys import make_keys
from tests.factories.oidc import CALLBACK, make_client
from tests.factories.saml import make_saml_keys, make_service_provider
from tests.sdk_api.phone import make_phone
from tests.support.machine import VERIFIER, Machine, pkce
from tests.tenant_api.world import World

# Rule files and returns, at most. A change that needs more says why here.
BUDGETS = {
    "authorize": (20, 18),
    "token": (18, 19),
    "tenant API, create user": (16, 19),
    "SDK API, sign-in": (22, 19),
    "CAS validation": (8, 4),
    "SAML sign-on": (18, 22),
    "sign-out": (14, 7),
}
DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- walks: made by `make docs` -->", "<!-- end of the walks -->"


def of_a_client(tenant: Tenant) -> Machine:
    make_keys(tenant)
    return Machine(make_client(make_application(tenant)), make_user(tenant))


def authorize(tenant: Tenant) -> Callable[[], Any]:
    machine = of_a_client(tenant)
    assert machine.user is not None
    query = {
        "client_id": machine.client.client_id, "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid",
        "code_challenge": pkce.s256(VERIFIER), "code_challenge_method": "S256", "state": "s",
    }  # fmt: skip
    browser = sign_in(machine.user)
    return lambda: browser.get("/oauth2/authorize", query)


def token(tenant: Tenant) -> Callable[[], Any]:
    machine = of_a_client(tenant)
    code = machine.code()
    return lambda: machine.exchange(code)


def create_user(tenant: Tenant) -> Callable[[], Any]:
    world = World()
    assert world.token
    return lambda: world.call("createUser")


def sdk_sign_in(tenant: Tenant) -> Callable[[], Any]:
    return make_phone().login


def cas_validation(tenant: Tenant) -> Callable[[], Any]:
    service, user = make_cas_service(tenant=tenant), make_user(tenant)
    browser = Browser(headers={"host": tenant.domains.get().host})
    sign_in(user)
    ticket = make_ticket(service, SSOSession.objects.get(user=user))
    query = {"service": service.url, "ticket": ticket}
    return lambda: browser.get("/api/v1/cas/p3/serviceValidate", query, secure=True)


def saml_sign_on(tenant: Tenant) -> Callable[[], Any]:
    make_saml_keys(tenant)
    provider = make_service_provider(tenant=tenant)
    browser = sign_in(make_user(tenant))
    return lambda: browser.get("/api/v1/saml2/idp/sso", {"sp": provider.entity_id})


def sign_out(tenant: Tenant) -> Callable[[], Any]:
    machine = of_a_client(tenant)
    assert machine.user is not None
    hint = machine.tokens()["id_token"]
    browser = sign_in(machine.user)
    return lambda: browser.get("/oauth2/logout", {"id_token_hint": hint})


REQUESTS = dict(
    zip(BUDGETS, (authorize, token, create_user, sdk_sign_in, cas_validation, saml_sign_on, sign_out), strict=True)
)


@pytest.fixture(scope="module")
def walks(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> dict[str, Walk]:
    """Each walk once, of the second such request, when the process has read what it keeps."""
    around = transaction.atomic()
    around._from_testcase = True  # as TestCase marks its own: what stands in it is not about to be taken back
    with django_db_blocker.unblock(), around:
        found = {}
        for name, prepare in REQUESTS.items():
            prepare(make_tenant())()
            found[name] = walk(prepare(make_tenant()))
        transaction.set_rollback(True)
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("name", BUDGETS)
def test_a_walk_keeps_its_budget(name: str, walks: dict[str, Walk]) -> None:
    found = walks[name]
    files, returns = BUDGETS[name]
    assert len(found.files) <= files, found.files
    assert found.returns <= returns, found.files


@pytest.mark.django_db
def test_the_document_shows_the_walks(walks: dict[str, Walk], pytestconfig: pytest.Config) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert after
    shown = f"{before}{BEGIN}\n{in_words(walks)}{END}{after}"
    if pytestconfig.getoption("walks", default="check") == "write":
        DOCUMENT.write_text(shown, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == shown, "run `make docs`"


def in_words(walks: dict[str, Walk]) -> str:
    """The walks as a part of the document."""
    lines = ["| Walk | Rule files | Returns |", "|---|---|---|"]
    lines += [f"| {name} | {len(found.files)} | {found.returns} |" for name, found in walks.items()]
    for name, found in walks.items():
        lines += ["", f"**{name[0].upper()}{name[1:]}**:", " → ".join(f"`{path}`" for path in found.files)]
    return "\n".join(lines) + "\n"
