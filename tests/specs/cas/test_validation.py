"""The validations (CAS-2.4, CAS-2.5, CAS-2.8)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
import time_machine
from django.utils import timezone

from cas_saml.cas import bodies, tickets
from cas_saml.models import ServiceTicket
from identity.directory import users
from identity.models import AuditEvent, SSOSession, User
from tests.factories import make_account, make_role, make_tenant
from tests.specs.cas.conftest import SERVICE, Service
from tests.specs.conformance import Browser

NewService = Callable[..., Service]
SUCCESS, FAILURE = "authenticationSuccess", "authenticationFailure"
ENDPOINTS = ["serviceValidate", "p3/serviceValidate", "proxyValidate", "p3/proxyValidate"]
NS = {"cas": "http://www.yale.edu/tp/cas"}


@pytest.mark.spec("CAS-2.4.2")
def test_cas_1_says_yes_and_the_name(service: Service, browser: Browser) -> None:
    ticket = service.ticket(browser)
    answers = [service.validate(ticket, endpoint="validate") for _ in range(2)]
    assert [answer.content for answer in answers] == [b"yes\nminghui\n", b"no\n\n"]
    assert answers[0]["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.spec("CAS-2.5.2")
def test_cas_2_names_the_user_and_nothing_more(service: Service, browser: Browser) -> None:
    response = service.validate(service.ticket(browser), endpoint="serviceValidate")
    assert (response.status_code, response["Content-Type"]) == (200, "application/xml; charset=utf-8")
    assert response.content.decode() == (
        '<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas">\n'
        "  <cas:authenticationSuccess>\n"
        "    <cas:user>minghui</cas:user>\n"
        "  </cas:authenticationSuccess>\n"
        "</cas:serviceResponse>\n"
    )


@pytest.mark.spec("CAS-2.5.5")
def test_cas_3_has_the_three_standard_attributes(service: Service, browser: Browser) -> None:
    member = service.validated(service.ticket(browser))[SUCCESS]
    session = SSOSession.objects.get()
    assert member == {
        "user": "minghui",
        "attributes": {
            "authenticationDate": bodies.moment(session.authenticated_at),
            "longTermAuthenticationRequestTokenUsed": False,
            "isFromNewLogin": True,
        },
    }


@pytest.mark.spec("CAS-2.5.5")
def test_a_ticket_of_an_older_sign_in_says_so(service: Service, browser: Browser) -> None:
    service.sign_in(browser)
    assert service.validated(service.ticket(browser))[SUCCESS]["attributes"]["isFromNewLogin"] is False


@pytest.mark.spec("CAS-2.5.5")
def test_a_service_is_told_of_the_factors_where_its_mapping_asks(new_service: NewService, browser: Browser) -> None:
    told = new_service(attributes={"authenticationMethod": "authentication_method", "amr": "amr"})
    ticket = told.ticket(browser)
    SSOSession.objects.update(amr=["pwd", "otp"])
    attributes = told.validated(ticket)[SUCCESS]["attributes"]
    assert attributes["authenticationMethod"] == "urn:monban:acr:multi-factor"
    assert attributes["amr"] == ["pwd", "otp", "mfa"]


def test_released_attributes_in_both_forms(new_service: NewService, browser: Browser, person: User) -> None:
    told = new_service(
        application={"access": "assigned"},
        attributes={
            "birthday": "birth_date",
            "createAt": "created_at",
            "disabledAt": "disabled_at",
            "disabed": "disabled",
            "memberOf": "roles",
            "badge": "attribute:badge",
            "nothing": "attribute:nothing",
        },
    )
    person.birth_date, person.extension = timezone.datetime(2020, 2, 5).date(), {"badge": '<7 & "8">'}
    person.save()
    account = make_account(person, told.row.application)
    for code in ("reader", "writer"):
        make_role(told.row.application, account, code=code)
    created = bodies.moment(person.created_at)
    attributes = told.validated(told.ticket(browser))[SUCCESS]["attributes"]
    standard = {name: attributes.pop(name) for name in list(attributes)[:3]}
    assert list(standard) == ["authenticationDate", "longTermAuthenticationRequestTokenUsed", "isFromNewLogin"]
    assert attributes == {
        # The day begins in Shanghai, as in the vendor's example.
        "birthday": "2020-02-04T16:00:00.000Z",
        "createAt": created,
        "disabed": False,
        "memberOf": ["reader", "writer"],
        "badge": '<7 & "8">',
    }
    root = ElementTree.fromstring(told.validate(told.ticket(browser)).content)
    found = root.find(".//cas:attributes", NS)
    assert found is not None
    assert [(child.tag.partition("}")[2], child.text) for child in found][3:] == [
        ("badge", '<7 & "8">'),
        ("birthday", "2020-02-04T16:00:00.000Z"),
        ("createAt", created),
        ("disabed", "false"),
        ("disabledAt", "null"),
        ("memberOf", "reader"),
        ("memberOf", "writer"),
        ("nothing", "null"),
    ]


@pytest.mark.spec("CAS-2.5.1")
@pytest.mark.parametrize("format_", ["JSON", "json", "Json"])
def test_format_is_read_without_regard_to_case(service: Service, browser: Browser, format_: str) -> None:
    response = service.validate(service.ticket(browser), format=format_)
    assert (response["Content-Type"], response.json()["serviceResponse"][SUCCESS]["user"]) == (
        "application/json",
        "minghui",
    )


@pytest.mark.spec("CAS-3.1.1")
@pytest.mark.security("S44")
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_ticket_is_good_once(service: Service, browser: Browser, endpoint: str) -> None:
    ticket = service.ticket(browser)
    assert SUCCESS in service.validated(ticket, endpoint=endpoint)
    assert service.validated(ticket, endpoint=endpoint) == {
        FAILURE: {"code": "INVALID_TICKET", "description": f"the ticket provided was not valid, ticket is {ticket}"}
    }


@pytest.mark.spec("CAS-2.5.3")
@pytest.mark.security("S44")
def test_a_ticket_of_one_service_is_worthless_at_another_and_spent(
    service: Service, new_service: NewService, browser: Browser
) -> None:
    other = new_service(url="https://other.example.org/")
    ticket = service.ticket(browser)
    assert other.code(ticket) == "INVALID_SERVICE"
    assert service.code(ticket) == "INVALID_TICKET"


@pytest.mark.spec("CAS-2.5.3")
@pytest.mark.security("S44")
@pytest.mark.parametrize(
    "address", [SERVICE.replace("app.", "APP."), SERVICE + "&x=1", SERVICE.partition("?")[0], f"{SERVICE} ", "x\x00"]
)
def test_the_service_is_compared_as_a_string(service: Service, browser: Browser, address: str) -> None:
    ticket = service.ticket(browser)
    expected = "INVALID_TICKET" if "\x00" in address else "INVALID_SERVICE"
    assert service.code(ticket, service=address) == expected


@pytest.mark.spec("CAS-3.1.1")
@pytest.mark.parametrize(
    ("lifetime", "seconds", "is_good"),
    [(None, -20, True), (None, 14, True), (None, 16, False), (300, 299, True), (300, 301, False)],
)
def test_a_ticket_lives_ten_seconds_unless_its_service_says_more(
    new_service: NewService, browser: Browser, lifetime: int | None, seconds: int, is_good: bool
) -> None:
    """With five seconds for clocks of other nodes, where they are a large part of its life (F9)."""
    service = new_service(ticket_lifetime_seconds=lifetime)
    ticket = service.ticket(browser)
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds)):
        answer = service.validated(ticket)
        if not is_good:
            assert answer[FAILURE]["code"] == "INVALID_TICKET"
        # Spent whatever came of it.
        assert service.code(ticket) == "INVALID_TICKET"
    assert (SUCCESS in answer) is is_good


@pytest.mark.spec("CAS-2.5.1")
def test_renew_takes_tickets_of_a_new_sign_in_only(service: Service, browser: Browser) -> None:
    first, second = service.ticket(browser), service.ticket(browser)
    assert SUCCESS in service.validated(first, renew="true")
    assert service.code(second, renew="true") == "INVALID_TICKET"
    assert service.code(second) == "INVALID_TICKET"


@pytest.mark.spec("CAS-2.5.3")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"service": SERVICE},
        {"ticket": "ST-x"},
        {"service": "", "ticket": "ST-x"},
        {"service": SERVICE, "ticket": ""},
    ],
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_both_parameters_must_be_there(service: Service, endpoint: str, params: dict[str, str]) -> None:
    response = service.ask(endpoint, {**params, "format": "json"})
    assert (response.status_code, response.json()) == (
        200,
        {
            "serviceResponse": {
                FAILURE: {
                    "code": "INVALID_REQUEST",
                    "description": "'service' and 'ticket' parameters are both required",
                }
            }
        },
    )
    assert service.ask("validate", params).content == b"no\n\n"


@pytest.mark.security("S45")
@pytest.mark.parametrize("twice", ["service", "ticket", "renew", "pgtUrl", "format"])
def test_a_parameter_that_comes_twice_is_refused(service: Service, browser: Browser, twice: str) -> None:
    pairs = [("service", SERVICE), ("ticket", service.ticket(browser)), (twice, "a"), (twice, "b")]
    query = "&".join(f"{name}={value}" for name, value in pairs)
    assert b"INVALID_REQUEST" in service.api.get(f"/api/v1/cas/serviceValidate?{query}", secure=True).content


@pytest.mark.spec("CAS-2.5")
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_proxy_ticket_is_refused_and_told_why(service: Service, endpoint: str) -> None:
    member = service.validated("PT-1856339-aA5Yuvrxzpv8Tau1cYQ7", endpoint=endpoint)[FAILURE]
    assert member == {
        "code": "INVALID_TICKET",
        "description": "a proxy ticket was given; proxy tickets are not accepted",
    }


@pytest.mark.spec("CAS-2.5.4")
@pytest.mark.parametrize(
    ("pgt_url", "code"),
    [
        ("https://app.example.org/pgt", "UNAUTHORIZED_SERVICE_PROXY"),
        ("http://app.example.org/pgt", "INVALID_PROXY_CALLBACK"),
    ],
)
def test_nobody_is_given_a_proxy_granting_ticket(service: Service, browser: Browser, pgt_url: str, code: str) -> None:
    ticket = service.ticket(browser)
    assert service.code(ticket, pgtUrl=pgt_url) == code
    assert service.code(ticket) == "INVALID_TICKET"


@pytest.mark.spec("CAS-2.5.1")
def test_a_format_that_nobody_writes_is_refused(service: Service, browser: Browser) -> None:
    ticket = service.ticket(browser)
    refused = service.validate(ticket, format="YAML")
    assert refused["Content-Type"] == "application/xml; charset=utf-8"
    assert b'code="INVALID_REQUEST"' in refused.content
    assert SUCCESS in service.validated(ticket)


@pytest.mark.spec("CAS-2.7.2")
@pytest.mark.parametrize(
    ("params", "code"),
    [({}, "INVALID_REQUEST"), ({"pgt": "PGT-1", "targetService": SERVICE}, "UNAUTHORIZED_SERVICE")],
)
def test_nobody_is_given_a_proxy_ticket(service: Service, params: dict[str, str], code: str) -> None:
    root = ElementTree.fromstring(service.ask("proxy", params).content)
    found = root.find("cas:proxyFailure", NS)
    assert found is not None
    assert found.attrib == {"code": code}


@pytest.mark.spec("CAS-2.5.2")
@pytest.mark.parametrize("ticket", ["ST-<b>&\"'", "ST-]]>", "ST-\x0b\x1f", "ST-" + "x" * 5000, "ST-\x00", "ST-\ufffe"])
def test_what_was_sent_is_escaped(service: Service, ticket: str) -> None:
    response = service.validate(ticket, endpoint="serviceValidate")
    found = ElementTree.fromstring(response.content).find("cas:authenticationFailure", NS)
    assert found is not None
    assert (found.attrib, len(found)) == ({"code": "INVALID_TICKET"}, 0)
    assert found.text is not None
    assert found.text.startswith("Ticket ST-")
    assert len(response.content) < 1000
    assert service.code(ticket) == "INVALID_TICKET"


@pytest.mark.spec("CAS-2.5.2")
def test_a_name_is_escaped(service: Service, browser: Browser, person: User) -> None:
    person.user_name = "ming<hui>&co"
    person.save()
    service.user_name = person.user_name
    root = ElementTree.fromstring(service.validate(service.ticket(browser)).content)
    assert root.findtext(".//cas:user", namespaces=NS) == "ming<hui>&co"


@pytest.mark.security("S26", "S49")
@pytest.mark.parametrize("event", ["disabled", "session", "password", "service", "application", "account"])
def test_a_ticket_dies_with_what_it_stands_on(
    new_service: NewService, browser: Browser, person: User, event: str, django_capture_on_commit_callbacks: Any
) -> None:
    service = new_service(application={"access": "assigned"})
    account = make_account(person, service.row.application)
    ticket = service.ticket(browser)
    if event == "disabled":
        User.objects.filter(pk=person.pk).update(is_active=False)
    elif event == "session":
        SSOSession.objects.update(ended_at=timezone.now())
    elif event == "password":
        User.objects.filter(pk=person.pk).update(epoch=person.epoch + 1)
    elif event == "account":
        type(account).objects.filter(pk=account.pk).update(is_active=False)
    else:
        row = service.row if event == "service" else service.row.application
        type(row)._default_manager.filter(pk=row.pk).update(is_active=False)
    assert service.code(ticket) == "INVALID_TICKET"
    assert service.code(ticket) == "INVALID_TICKET"


@pytest.mark.security("S36")
def test_a_ticket_is_unknown_to_another_tenant(service: Service, browser: Browser) -> None:
    make_tenant(host="other.monban.example")
    ticket = service.ticket(browser)
    response = service.api.get(
        "/api/v1/cas/validate",
        {"service": SERVICE, "ticket": ticket},
        secure=True,
        headers={"host": "other.monban.example"},
    )
    assert response.content == b"no\n\n"
    assert SUCCESS in service.validated(ticket)


@pytest.mark.security("S40")
def test_only_a_hash_is_kept_until_the_service_has_taken_it(service: Service, browser: Browser) -> None:
    ticket = service.ticket(browser)

    def stored() -> str:
        return " ".join(str(value) for value in ServiceTicket.objects.values().get().values())

    assert ticket not in stored()
    service.validated(ticket)
    assert ticket not in stored()
    assert tickets.session_index(ServiceTicket.objects.get()) == ticket
    assert service.code(ticket[:-1]) == "INVALID_TICKET"


@pytest.mark.security("S41")
def test_neither_log_nor_trail_holds_a_ticket(
    service: Service, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    ticket = service.ticket(browser)
    service.validated(ticket)
    service.code(ticket)
    assert ticket not in "".join(str(vars(record)) for record in caplog.records)
    trail = [str(values) for values in AuditEvent.objects.values()]
    assert ticket not in "".join(trail)
    events = AuditEvent.objects.filter(event_type="ticket:validate").order_by("pk").values_list("outcome", "reason")
    assert list(events) == [("success", ""), ("refused", "ticket")]


@pytest.mark.spec("CAS-2.5.3")
def test_our_own_failure_is_told_in_the_protocols_words(
    service: Service, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = service.ticket(browser)
    monkeypatch.setattr("cas_saml.cas.tickets.access.check", lambda **kwargs: 1 / 0)
    assert service.validated(ticket)[FAILURE] == {"code": "INTERNAL_ERROR", "description": "internal error"}
    assert AuditEvent.objects.filter(event_type="ticket:validate", reason="internal").exists()


@pytest.mark.parametrize("endpoint", ["validate", *ENDPOINTS])
def test_only_get_is_answered(service: Service, browser: Browser, endpoint: str) -> None:
    ticket = service.ticket(browser)
    for method in (service.api.post, service.api.put):
        response = method(f"/api/v1/cas/{endpoint}?service={SERVICE}&ticket={ticket}", secure=True)
        assert response.status_code == 405
    assert ServiceTicket.objects.get().consumed_at is None


def test_a_deleted_person_is_not_told_of(service: Service, browser: Browser, person: User) -> None:
    ticket = service.ticket(browser)
    from identity.context import SYSTEM

    users.delete(user=person, context=SYSTEM)
    assert service.code(ticket) == "INVALID_TICKET"
