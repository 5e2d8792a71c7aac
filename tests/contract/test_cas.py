"""docs/contract/cas.yaml: every operation, refusal and example."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from identity.models import SSOSession, User
from tests.specs.cas.conftest import Service, browser, new_service, person, service, tenant
from tests.specs.conformance import ISSUER, Browser, Callback
from tests.support.contracts import read_contract

__all__ = ["browser", "new_service", "person", "service", "tenant"]

CONTRACT = read_contract("cas")
OPERATIONS = {
    item[method]["operationId"]: (method, path, item[method])
    for path, item in CONTRACT["paths"].items()
    for method in ("get", "post")
    if method in item
}
ROWS = [
    (operation, row) for operation, (_, _, described) in OPERATIONS.items() for row in described.get("x-errors", ())
]
NewService = Callable[..., Service]
JSON = {"accept": "application/json"}
VENDORS_ATTRIBUTES = {
    "date": "hire_date",
    "birthday": "birth_date",
    "createAt": "created_at",
    "disabledAt": "disabled_at",
    "disabed": "disabled",
}


def example(operation: str, media_type: str, name: str, status: str = "200") -> Any:
    content = OPERATIONS[operation][2]["responses"][status]["content"]
    return content[media_type]["examples"][name]["value"]


def endpoint(operation: str) -> str:
    return str(OPERATIONS[operation][1]).removeprefix("/api/v1/cas/")


def check_schema(schema: str, value: Any) -> None:
    Draft202012Validator({"components": CONTRACT["components"], "$ref": f"#/components/schemas/{schema}"}).validate(
        value
    )


def post_form(browser: Browser, **data: str) -> Any:
    path = OPERATIONS["casLoginForm"][1]
    return browser.transport.post(path, data, secure=True, headers={"origin": ISSUER})


# Refusals --------------------------------------------------------------------------------------------------


def wrong(service: Service, browser: Browser, new_service: NewService) -> Any:
    return post_form(browser, username=service.user_name, password="wrong")


def locked(service: Service, browser: Browser, new_service: NewService) -> Any:
    for _ in range(5):
        wrong(service, browser, new_service)
    return wrong(service, browser, new_service)


def not_registered(service: Service, browser: Browser, new_service: NewService) -> Any:
    return service.api.get("/api/v1/cas/login?service=https://elsewhere.example/", secure=True, headers=JSON)


def no_account(service: Service, browser: Browser, new_service: NewService) -> Any:
    closed = new_service(url="https://closed.example.org/", application={"access": "assigned"})
    service.sign_in(browser)
    return browser.transport.get(closed.login_url(), secure=True, headers=JSON)


DIRECT = {
    ("casLoginForm", "wrong"): (wrong, ("4",)),
    ("casLoginForm", "locked"): (locked, ("9", "59")),
    ("casLogin", "service"): (not_registered, ()),
    ("casLogin", "account"): (no_account, ()),
}


@pytest.mark.parametrize(("operation", "row_id"), DIRECT)
def test_a_refusal_in_the_products_words(
    service: Service, browser: Browser, new_service: NewService, operation: str, row_id: str
) -> None:
    row = next(row for name, row in ROWS if (name, row["id"]) == (operation, row_id))
    cause, params = DIRECT[operation, row_id]
    response = cause(service, browser, new_service)
    body = response.json()
    check_schema("ErrorCode", body)
    expected = row["error_msg"]
    for number, value in enumerate(params):
        expected = expected.replace(f"{{{number}}}", value)
    if row_id == "locked":
        assert body["error_msg"].partition("unlocked in")[0] == expected.partition("unlocked in")[0]
        expected = body["error_msg"]
    assert (response.status_code, body) == (row["status"], {"error_code": row["error_code"], "error_msg": expected})


VALIDATIONS: dict[str, Callable[[Service, Browser], dict[str, str]]] = {
    "ticket": lambda service, browser: {"service": service.url, "ticket": "ST-unknown"},
    "request": lambda service, browser: {"service": service.url},
    "service": lambda service, browser: {"service": f"{service.url}&x", "ticket": service.ticket(browser)},
    "internal": lambda service, browser: {"service": service.url, "ticket": service.ticket(browser)},
    "any": lambda service, browser: {"service": service.url, "ticket": "ST-unknown"},
}


@pytest.mark.parametrize("operation", ["casValidate2", "casValidate3"])
@pytest.mark.parametrize("row_id", ["ticket", "request", "service", "internal"])
@pytest.mark.parametrize("form", ["xml", "json"])
def test_a_refused_validation(
    service: Service, browser: Browser, operation: str, row_id: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = next(row for name, row in ROWS if (name, row["id"]) == (operation, row_id))
    params = VALIDATIONS[row_id](service, browser)
    if row_id == "internal":
        monkeypatch.setattr("cas_saml.cas.tickets.access.check", lambda **kwargs: 1 / 0)
    response = service.ask(endpoint(operation), {**params, "format": form})
    text = row.get("text", row.get(f"text_{form}")).replace("<ticket>", params.get("ticket", ""))
    assert response.status_code == row["status"]
    if form == "json":
        check_schema("ServiceResponse", response.json())
        expected = {"serviceResponse": {"authenticationFailure": {"code": row["code"], "description": text}}}
        assert response.json() == expected
    else:
        assert response.content.decode() == (
            '<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas">\n'
            f'  <cas:authenticationFailure code="{row["code"]}">{text}</cas:authenticationFailure>\n'
            "</cas:serviceResponse>\n"
        )


def test_a_refused_validation_of_cas_1(service: Service, browser: Browser) -> None:
    row = next(row for name, row in ROWS if name == "casValidate1")
    for cause in VALIDATIONS.values():
        if cause is not VALIDATIONS["internal"]:
            response = service.ask("validate", cause(service, browser))
            assert (response.status_code, response.content.decode()) == (row["status"], row["body"])


def test_every_row_of_the_contract_is_caused_here() -> None:
    caused = {*DIRECT, ("casValidate1", "any")}
    caused |= {(operation, row) for operation in ("casValidate2", "casValidate3") for row in VALIDATIONS}
    assert {(operation, row["id"]) for operation, row in ROWS} == caused - {
        ("casValidate2", "any"),
        ("casValidate3", "any"),
    }


# Good answers and printed examples -------------------------------------------------------------------------


def test_login_and_its_form(service: Service, browser: Browser) -> None:
    service.start(browser)
    response = post_form(browser, username=service.user_name, password=service.password)
    assert response.status_code == 302
    arrived = browser.get(response["Location"])
    assert isinstance(arrived, Callback)
    assert arrived.response.status_code == 302
    assert arrived.params["ticket"].startswith(CONTRACT["x-ticket-format"]["prefix"])


def test_the_documents_request_is_answered(new_service: NewService, browser: Browser) -> None:
    """The service stands unencoded in the printed requests, and has no path."""
    app = new_service(url="https://example.com")
    printed = OPERATIONS["casLogin"][2]["x-document-request-example"].removeprefix("https://{domain_name}")
    place = browser.get(printed)
    arrived = browser.sign_in(place, app.user_name, app.password)
    assert isinstance(arrived, Callback)
    assert arrived.response["Location"].startswith("https://example.com?ticket=ST-")
    printed = OPERATIONS["casValidate3"][2]["x-document-request-example"].removeprefix("https://{domain_name}")
    printed = printed.replace("ST-eYlKs8FrLCltwRwfm8AiwCxmQ8gAL...", arrived.params["ticket"])
    assert app.api.get(printed, secure=True).json()["serviceResponse"]["authenticationSuccess"]["user"] == "minghui"
    arrived = browser.get("/api/v1/cas/logout?service=https://example.com")
    assert isinstance(arrived, Callback)
    assert (
        arrived.response["Location"] == OPERATIONS["casLogout"][2]["responses"]["302"]["headers"]["Location"]["example"]
    )


def test_login_without_a_service_is_decided_otherwise(service: Service, browser: Browser) -> None:
    """Decision 37: the person is signed in, and told so; the row `service` is for addresses that nobody registered."""
    place = service.start(browser, service=None)
    assert getattr(place, "status", None) == 200


def test_the_printed_answers_of_cas_1(service: Service, browser: Browser) -> None:
    ticket = service.ticket(browser)
    answers = [service.validate(ticket, endpoint="validate").content.decode() for _ in range(2)]
    assert answers == [example("casValidate1", "text/plain", name) for name in ("success", "failure")]


def test_the_printed_answers_of_cas_2(service: Service, browser: Browser) -> None:
    def ask(ticket: str, **changes: str) -> Any:
        return service.validate(ticket, endpoint=endpoint("casValidate2"), **changes)

    printed = "ST-l1HnvKIWa0hhKTapEMdR7CU31iSG2..."
    assert ask(service.ticket(browser)).content.decode() == example("casValidate2", "application/xml", "success")
    assert ask(printed).content.decode() == example("casValidate2", "application/xml", "failure")
    good = ask(service.ticket(browser), format="JSON").json()
    assert good == example("casValidate2", "application/json", "success")
    assert ask(printed, format="JSON").json() == example("casValidate2", "application/json", "failure")


def test_the_printed_answers_of_cas_3(new_service: NewService, browser: Browser, person: User) -> None:
    app = new_service(attributes=VENDORS_ATTRIBUTES)
    created_at = datetime(2020, 1, 10, 9, 1, 4, tzinfo=UTC)
    User.objects.filter(pk=person.pk).update(
        hire_date=date(2020, 2, 4), birth_date=date(2020, 2, 5), created_at=created_at
    )
    ticket = app.ticket(browser)
    SSOSession.objects.update(authenticated_at=datetime(2020, 2, 11, 9, 28, 14, 987000, tzinfo=UTC))
    # Line by line: the order of the attributes means nothing.
    printed = example("casValidate3", "application/xml", "success")
    answered = app.validate(ticket).content.decode()
    assert sorted(answered.splitlines()) == sorted(printed.splitlines())
    assert answered.startswith(printed.partition("      <cas:date>")[0])
    browser.get("/api/v1/cas/logout")
    ticket = app.ticket(browser)
    SSOSession.objects.update(authenticated_at=datetime(2020, 2, 11, 6, 43, 30, 588000, tzinfo=UTC))
    body = app.validate(ticket, format="JSON").json()
    check_schema("ServiceResponse", body)
    assert body == example("casValidate3", "application/json", "success")
