"""docs/contract/saml.yaml: every operation, refusal and example."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from jsonschema import Draft202012Validator
from lxml import etree

from identity.models import SSOSession
from tests.factories import make_account
from tests.specs.conformance import ISSUER, Browser, Page
from tests.specs.saml_fixtures import NewProvider, RegisteredParty, browser, new_provider, person, provider, tenant
from tests.specs.saml_party import NS
from tests.support.contracts import read_contract

__all__ = ["browser", "new_provider", "person", "provider", "tenant"]

CONTRACT = read_contract("saml")
SSO, METADATA = CONTRACT["paths"]
SIGN_ON, SHOWN = CONTRACT["paths"][SSO]["get"], CONTRACT["paths"][METADATA]["get"]
ROWS = {row["id"]: row for row in SIGN_ON["x-errors"]}
SAID = SIGN_ON["x-saml-response"]
PRINTED_SP = next(parameter for parameter in SIGN_ON["parameters"] if parameter["name"] == "sp")["example"]
JSON = {"accept": "application/json"}


def start(browser: Browser, entity_id: str, **headers: str) -> Any:
    return browser.transport.get(f"{SSO}?sp={quote(entity_id, safe='')}", secure=True, headers=headers)


# Refusals --------------------------------------------------------------------------------------------------


def missing(provider: RegisteredParty, browser: Browser) -> Any:
    return browser.transport.get(SSO, secure=True, headers=JSON)


def unknown(provider: RegisteredParty, browser: Browser) -> Any:
    return start(browser, f"{provider.entity_id}/", **JSON)


def disabled(provider: RegisteredParty, browser: Browser) -> Any:
    assert provider.row is not None
    provider.row.application.is_active = False
    provider.row.application.save()
    return start(browser, provider.entity_id, **JSON)


def account(provider: RegisteredParty, browser: Browser) -> Any:
    assert provider.row is not None
    provider.sign_in(browser)
    provider.row.application.access = "assigned"
    provider.row.application.save()
    return start(browser, provider.entity_id, **JSON)


CAUSES: dict[str, Callable[[RegisteredParty, Browser], Any]] = {
    "missing": missing,
    "unknown": unknown,
    "disabled": disabled,
    "account": account,
}


@pytest.mark.parametrize("row_id", ROWS)
def test_a_refusal_in_the_products_words(provider: RegisteredParty, browser: Browser, row_id: str) -> None:
    row = ROWS[row_id]
    response = CAUSES[row_id](provider, browser)
    body = response.json()
    document = {"components": CONTRACT["components"], "$ref": "#/components/schemas/ErrorCode"}
    Draft202012Validator(document).validate(body)
    assert row["delivery"] == "direct"
    assert (response.status_code, body) == (
        row["status"],
        {"error_code": row["error_code"], "error_msg": row["error_msg"]},
    )
    examples = SIGN_ON["responses"]["400"]["content"]["application/json"]["examples"]
    assert examples[row_id]["value"] == body


@pytest.mark.parametrize("row_id", ["missing", "unknown"])
def test_a_refusal_as_a_page(provider: RegisteredParty, browser: Browser, row_id: str) -> None:
    response = browser.transport.get(SSO if row_id == "missing" else f"{SSO}?sp=x", secure=True)
    assert (response.status_code, response["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert ROWS[row_id]["error_code"] in response.content.decode()


def test_every_row_of_the_contract_is_caused_here() -> None:
    assert set(ROWS) == set(CAUSES)


# Good answers ----------------------------------------------------------------------------------------------


def test_the_documents_request_is_answered(new_provider: NewProvider, browser: Browser) -> None:
    """The entity ID stands unencoded in the printed request, and ends in a slash."""
    app = new_provider(entity_id=PRINTED_SP, assertion_consumer_services=[{"location": "https://example.com/sp/acs"}])
    printed = SIGN_ON["x-document-request-example"].removeprefix("https://{domain_name}")
    response = browser.transport.get(printed, secure=True)
    assert response.status_code == 302
    assert response["Location"].startswith("/login?")
    answer = app.sign_in(browser, browser.get(printed))
    # What the example's form says.
    derived = SIGN_ON["responses"]["200"]["content"]["text/html"]["examples"]["derived"]["value"]
    form = etree.fromstring(derived)
    arrived = answer.callback
    assert form.get("action") == arrived.address
    assert [each.get("name") for each in form] == [name for name, _value in arrived.pairs]
    assert arrived.response["Content-Type"].startswith("text/html")
    described = SIGN_ON["responses"]["200"]["headers"]["Cache-Control"]["description"]
    assert "no-cache, no-store" in described
    assert {"no-cache", "no-store"} <= set(arrived.response["Cache-Control"].split(", "))


def test_the_assertion_is_what_the_contract_says(provider: RegisteredParty, browser: Browser) -> None:
    answer = provider.sign_in(browser, browser.get(f"{SSO}?sp={quote(provider.entity_id, safe='')}"))
    said = SAID["Assertion"]
    assert set(SAID["form_fields"]) >= set(answer.callback.params)
    assert SAID["binding"].endswith("HTTP-POST")
    signature = answer.find("./saml:Assertion/ds:Signature")
    for name in ("signature_algorithm", "digest_algorithm", "canonicalization"):
        tag = {
            "signature_algorithm": "SignatureMethod",
            "digest_algorithm": "DigestMethod",
            "canonicalization": "CanonicalizationMethod",
        }[name]
        assert {each.get("Algorithm") for each in signature.iter(f"{{{NS['ds']}}}{tag}")} == {said[name]}
    assertion = answer.assertion
    assert assertion.findtext(".//saml:Audience", namespaces=NS) == provider.entity_id
    assert answer.root.get("InResponseTo") is None
    assert answer.root.get("Destination") == provider.acs
    assert answer.root.findtext("saml:Issuer", namespaces=NS) == f"{ISSUER}{METADATA}"
    confirmation = assertion.find(".//saml:SubjectConfirmation", NS)
    assert confirmation.get("Method").endswith(":bearer")
    assert confirmation[0].get("Recipient") == provider.acs
    statement = assertion.find("saml:AuthnStatement", NS)
    assert {"AuthnInstant", "SessionIndex"} <= set(statement.attrib)


def test_the_metadata_is_what_the_contract_says(provider: RegisteredParty) -> None:
    response = provider.api.get(METADATA, secure=True)
    [media_type] = SHOWN["responses"]["200"]["content"]
    assert (response.status_code, response["Content-Type"]) == (200, media_type)
    derived = SHOWN["responses"]["200"]["content"][media_type]["examples"]["derived"]["value"]
    printed, ours = etree.fromstring(derived), etree.fromstring(response.content)
    host = "https://sso.example.com"
    assert printed.get("entityID").replace(host, ISSUER) == ours.get("entityID")
    role = ours.find("md:IDPSSODescriptor", NS)
    for name, value in printed.find("md:IDPSSODescriptor", NS).attrib.items():
        assert role.get(name) == value
    for each in printed.iter():
        if each.tag.endswith(("SingleSignOnService", "NameIDFormat")):
            expected = {name: value.replace(host, ISSUER) for name, value in each.attrib.items()}
            texts = [(dict(found.attrib), (found.text or "").strip()) for found in role.iter(each.tag)]
            assert (expected, (each.text or "").strip()) in texts
    certificates = role.xpath(".//ds:X509Certificate/text()", namespaces=NS)
    assert len(certificates) == 2
    assert all(base64.b64decode(text, validate=True) for text in certificates)


def test_the_name_of_an_account_is_told(new_provider: NewProvider, browser: Browser) -> None:
    app = new_provider(application={"access": "assigned"})
    place = browser.get(f"{SSO}?sp={quote(app.entity_id, safe='')}")
    place = browser.sign_in(place, app.user_name, app.password)
    assert isinstance(place, Page)
    assert app.row is not None
    make_account(SSOSession.objects.get().user, app.row.application, account_name="ming")
    assert app.read(browser.get(f"{SSO}?sp={quote(app.entity_id, safe='')}")).name_id.text == "ming"
