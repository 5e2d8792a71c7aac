"""AuthnRequests (SAMLCore-3.4): what is asked for, what is answered, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from cas_saml.models import PersistentName
from identity.models import AuditEvent, SSOSession, User
from tests.factories import make_account
from tests.specs.conformance import Browser, Callback, Page
from tests.specs.saml_fixtures import NewProvider, RegisteredParty
from tests.specs.saml_party import NS, STATUS, Answer, instant
from tests.specs.trusted import is_asked_for_a_code, trust_browser

FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:"
OLD_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:"
PASSWORD_CLASS = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
SINGLE, MULTI = "urn:monban:acr:single-factor", "urn:monban:acr:multi-factor"
KEY = "urn:monban:acr:phishing-resistant"


def policy(name_format: str | None = None, *, create: str | None = "true", qualifier: str | None = None) -> str:
    values = {"Format": name_format, "AllowCreate": create, "SPNameQualifier": qualifier}
    written = "".join(f' {key}="{value}"' for key, value in values.items() if value is not None)
    return f"<samlp:NameIDPolicy{written}/>"


def context(*classes: str, comparison: str | None = None) -> str:
    written = f' Comparison="{comparison}"' if comparison else ""
    refs = "".join(f"<saml:AuthnContextClassRef>{name}</saml:AuthnContextClassRef>" for name in classes)
    return f"<samlp:RequestedAuthnContext{written}>{refs}</samlp:RequestedAuthnContext>"


def ask(provider: RegisteredParty, browser: Browser, *content: str, **changes: str | None) -> Answer:
    """Send a request and go on until something arrives."""
    return provider.sign_in(browser, provider.start(browser, provider.authn_request(*content, **changes)))


def refused(provider: RegisteredParty, browser: Browser, *content: str, **changes: str | None) -> str:
    """Send a request that is refused on our page, and return the reason."""
    return reason(provider.start(browser, provider.authn_request(*content, **changes)))


def reason(place: Page | Callback) -> str:
    assert isinstance(place, Page)
    assert place.status == 400, place.text
    event = AuditEvent.objects.latest("pk")
    assert (event.event_type, event.outcome, event.dialect) == ("assertion:grant", "refused", "saml")
    return str(event.reason)


# Where the answer goes -------------------------------------------------------------------------------------


@pytest.mark.spec("SAMLCore-3.4.1")
def test_the_address_is_the_registered_one_that_the_request_names(new_provider: NewProvider, browser: Browser) -> None:
    provider = new_provider(
        entity_id="https://sp.example",
        assertion_consumer_services=[
            {"index": 3, "location": "https://sp.example/first"},
            {"index": 7, "location": "https://sp.example/second", "is_default": True},
        ],
    )
    none: dict[str, Any] = {"AssertionConsumerServiceURL": None, "ProtocolBinding": None}
    for changes, address in (
        ({"AssertionConsumerServiceURL": "https://sp.example/first"}, "first"),
        ({**none, "AssertionConsumerServiceIndex": "3"}, "first"),
        ({**none, "AssertionConsumerServiceIndex": "7"}, "second"),
        (none, "second"),
    ):
        provider.acs = f"https://sp.example/{address}"
        answer = ask(provider, browser, **changes)
        assert answer.status == ("Success",)
        assert answer.root.get("Destination") == provider.acs
        assert answer.find(".//saml:SubjectConfirmationData/@Recipient") == provider.acs


@pytest.mark.spec("SAMLCore-3.4.1")
@pytest.mark.security("S1")
@pytest.mark.parametrize(
    "changes",
    [
        {"AssertionConsumerServiceURL": "https://evil.example/acs"},
        {"AssertionConsumerServiceURL": "ACS/"},
        {"AssertionConsumerServiceURL": "ACS?x=1"},
        {"AssertionConsumerServiceURL": None, "ProtocolBinding": None, "AssertionConsumerServiceIndex": "9"},
    ],
    ids=["foreign", "slash", "query", "index"],
)
def test_a_foreign_address_is_refused_on_our_page(
    provider: RegisteredParty, browser: Browser, changes: dict[str, str | None]
) -> None:
    changed = {name: value.replace("ACS", provider.acs) if value else value for name, value in changes.items()}
    assert refused(provider, browser, **changed) == "consumer_unknown"


@pytest.mark.spec("SAMLCore-3.4.1")
def test_index_and_address_exclude_each_other(provider: RegisteredParty, browser: Browser) -> None:
    assert refused(provider, browser, AssertionConsumerServiceIndex="0") == "value"
    assert refused(provider, browser, AssertionConsumerServiceURL=None, AssertionConsumerServiceIndex="x") == "value"


@pytest.mark.spec("SAMLCore-3.4.1")
def test_another_binding_for_the_answer_is_unsupported(provider: RegisteredParty, browser: Browser) -> None:
    binding = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"
    assert ask(provider, browser, ProtocolBinding=binding).status == ("Requester", "UnsupportedBinding")


@pytest.mark.security("S22")
def test_an_address_that_is_taken_away_while_the_user_signs_in_gets_nothing(
    provider: RegisteredParty, browser: Browser
) -> None:
    place = provider.start(browser)
    provider.change(assertion_consumer_services=[{"index": 0, "location": "https://new.example", "is_default": False}])
    assert isinstance(place, Page)
    assert reason(browser.sign_in(place, provider.user_name, provider.password)) == "consumer_unknown"


# The message itself ----------------------------------------------------------------------------------------


@pytest.mark.spec("SAMLCore-3.2.1")
@pytest.mark.security("S19")
def test_a_request_for_another_destination_is_refused(provider: RegisteredParty, browser: Browser) -> None:
    assert refused(provider, browser, Destination="https://other.example/api/v1/saml2/idp/sso") == "destination"
    assert refused(provider, browser, Destination="https://id.monban.example/api/v1/saml2/idp/slo") == "destination"
    assert ask(provider, browser, Destination=None).status == ("Success",)


@pytest.mark.spec("SAMLCore-3.2.1")
@pytest.mark.security("S19")
@pytest.mark.parametrize(("minutes", "is_taken"), [(-11, False), (-9, True), (2, True), (4, False)])
def test_a_request_is_of_now(provider: RegisteredParty, browser: Browser, minutes: int, is_taken: bool) -> None:
    message = provider.authn_request(IssueInstant=instant(datetime.now(UTC) + timedelta(minutes=minutes)))
    place = provider.start(browser, message)
    if is_taken:
        assert isinstance(place, Page)
        assert place.is_sign_in
    else:
        assert reason(place) == "issue_instant"


@pytest.mark.spec("SAMLCore-1.3.4")
@pytest.mark.security("S19")
def test_a_request_is_answered_once(provider: RegisteredParty, browser: Browser) -> None:
    message = provider.authn_request()
    assert provider.sign_in(browser, provider.start(browser, message)).status == ("Success",)
    assert reason(provider.start(browser, message)) == "replayed"
    assert reason(provider.start(browser, provider.authn_request(ID=message.partition('ID="')[2][:33]))) == "replayed"


@pytest.mark.security("S19")
def test_a_request_is_answered_once_under_a_new_pepper_too(
    provider: RegisteredParty, browser: Browser, settings: Any
) -> None:
    message = provider.authn_request()
    assert provider.sign_in(browser, provider.start(browser, message)).status == ("Success",)
    peppers = settings.IDENTITY["hash_peppers"]
    settings.IDENTITY = {**settings.IDENTITY, "hash_peppers": (b"n" * 32, *peppers)}
    assert reason(provider.start(browser, message)) == "replayed"


@pytest.mark.security("S19")
def test_a_refusal_answers_the_request_too(provider: RegisteredParty, browser: Browser) -> None:
    message = provider.authn_request(IsPassive="true")
    assert provider.read(provider.start(browser, message)).status == ("Responder", "NoPassive")
    assert reason(provider.start(browser, message)) == "replayed"


@pytest.mark.spec("SAMLCore-3.2.2.2")
def test_another_version_is_a_mismatch(provider: RegisteredParty, browser: Browser) -> None:
    answer = ask(provider, browser, Version="1.1")
    assert answer.status == ("VersionMismatch",)
    assert answer.verified(".").get("InResponseTo") == answer.root.get("InResponseTo") != ""


@pytest.mark.parametrize("value", [None, "", "1abc", "a b", "x" * 257])
def test_an_id_is_a_short_name(provider: RegisteredParty, browser: Browser, value: str | None) -> None:
    assert refused(provider, browser, ID=value) == "header"


def test_nonsense_in_a_flag_is_refused(provider: RegisteredParty, browser: Browser) -> None:
    assert refused(provider, browser, ForceAuthn="yes") == "value"
    assert refused(provider, browser, context(SINGLE, comparison="best")) == "value"


def test_an_unknown_provider_is_told_on_our_page(provider: RegisteredParty, browser: Browser) -> None:
    provider.entity_id = "https://unknown.example"
    assert refused(provider, browser) == "APP.0001"


def test_a_disabled_provider_or_application_is_told_on_our_page(provider: RegisteredParty, browser: Browser) -> None:
    assert provider.row is not None
    provider.change(is_active=False)
    assert refused(provider, browser) == "APP.0003"
    provider.change(is_active=True)
    provider.row.application.is_active = False
    provider.row.application.save()
    assert refused(provider, browser) == "APP.0003"


def test_only_a_request_begins_a_sign_in(provider: RegisteredParty, browser: Browser) -> None:
    message = provider.logout_request(
        "<saml:NameID>x</saml:NameID>", Destination="https://id.monban.example/api/v1/saml2/idp/sso"
    )
    assert reason(provider.start(browser, message)) == "message_kind"
    place = browser.get(
        provider.redirect_url(provider.logout_response("_x"), parameter="SAMLResponse") + "&SAMLRequest="
    )
    assert isinstance(place, Page)
    assert place.status == 400


# ForceAuthn and IsPassive ----------------------------------------------------------------------------------


@pytest.mark.spec("SAMLCore-3.4.1")
def test_a_second_sign_in_asks_nothing(provider: RegisteredParty, browser: Browser) -> None:
    provider.sign_in(browser)
    browser.shown.clear()
    assert isinstance(provider.start(browser), Callback)
    assert browser.sign_in_pages == 0


@pytest.mark.spec("SAMLCore-3.4.1")
@pytest.mark.security("S29")
def test_force_authn_asks_for_the_password_again(provider: RegisteredParty, browser: Browser) -> None:
    provider.sign_in(browser)
    before = SSOSession.objects.get().authenticated_at
    place = provider.start(browser, provider.authn_request(ForceAuthn="true"))
    assert isinstance(place, Page)
    assert place.is_sign_in
    answer = provider.sign_in(browser, place)
    assert answer.status == ("Success",)
    assert SSOSession.objects.get().authenticated_at > before
    # The way back is spent, and cannot be walked without the password.
    place = provider.start(browser, provider.authn_request(ForceAuthn="1"))
    assert isinstance(place, Page)
    assert place.is_sign_in


@pytest.mark.spec("SAMLCore-3.4.1")
@pytest.mark.security("S28")
def test_force_authn_asks_for_the_second_factor_in_a_trusted_browser(
    provider: RegisteredParty, browser: Browser
) -> None:
    trust_browser(browser, User.objects.get(user_name=provider.user_name))
    assert provider.sign_in(browser).status == ("Success",)
    place = provider.start(browser, provider.authn_request(ForceAuthn="true"))
    assert is_asked_for_a_code(browser, place, provider.user_name, provider.password)


@pytest.mark.spec("SAMLCore-3.4.1")
def test_is_passive_shows_nothing(provider: RegisteredParty, browser: Browser) -> None:
    answer = provider.read(provider.start(browser, provider.authn_request(IsPassive="true")))
    assert answer.status == ("Responder", "NoPassive")
    assert answer.find("./saml:Assertion") is None
    provider.sign_in(browser)
    browser.shown.clear()
    assert provider.read(provider.start(browser, provider.authn_request(IsPassive="true"))).status == ("Success",)
    both = provider.authn_request(IsPassive="true", ForceAuthn="true")
    assert provider.read(provider.start(browser, both)).status == ("Responder", "NoPassive")
    assert browser.shown == []


# Name identifiers ------------------------------------------------------------------------------------------


@pytest.mark.spec("SAMLCore-8.3.7")
def test_a_persistent_name_is_lasting_and_another_one_at_each_provider(
    new_provider: NewProvider, browser: Browser
) -> None:
    names = []
    for provider in (new_provider(), new_provider()):
        answers = [ask(provider, browser, policy(f"{FORMAT}persistent")) for _ in range(2)]
        assert len({answer.name_id.text for answer in answers}) == 1
        name = answers[0].name_id
        assert (name.get("Format"), name.get("SPNameQualifier")) == (f"{FORMAT}persistent", provider.entity_id)
        assert name.get("NameQualifier") == "https://id.monban.example/api/v1/saml2/idp/metadata"
        names.append(name.text)
    assert len(set(names)) == 2
    assert all("minghui" not in name and len(name) >= 22 for name in names)


@pytest.mark.spec("SAMLCore-3.4.1.1")
def test_without_allow_create_no_lasting_name_is_made(provider: RegisteredParty, browser: Browser) -> None:
    for create in ("false", None):
        answer = ask(provider, browser, policy(f"{FORMAT}persistent", create=create))
        assert answer.status == ("Requester", "InvalidNameIDPolicy")
    assert not PersistentName.objects.exists()
    made = ask(provider, browser, policy(f"{FORMAT}persistent"))
    again = ask(provider, browser, policy(f"{FORMAT}persistent", create="false"))
    assert made.name_id.text == again.name_id.text


@pytest.mark.spec("SAMLCore-8.3.8")
def test_a_transient_name_lives_as_long_as_the_session(provider: RegisteredParty, browser: Browser) -> None:
    first = ask(provider, browser, policy(f"{FORMAT}transient"))
    assert ask(provider, browser, policy(f"{FORMAT}transient")).name_id.text == first.name_id.text
    other = ask(provider, Browser(), policy(f"{FORMAT}transient"))
    assert other.name_id.text != first.name_id.text
    assert first.name_id.get("Format") == f"{FORMAT}transient"


@pytest.mark.spec("SAMLCore-8.3.2")
@pytest.mark.security("S23")
def test_an_email_address_is_told_only_if_it_is_verified(
    provider: RegisteredParty, browser: Browser, person: User
) -> None:
    answer = ask(provider, browser, policy(f"{OLD_FORMAT}emailAddress"))
    assert answer.name_id.text == "minghui@example.org"
    User.objects.filter(pk=person.pk).update(email_verified=False)
    answer = ask(provider, browser, policy(f"{OLD_FORMAT}emailAddress"))
    assert answer.status == ("Requester", "InvalidNameIDPolicy")


@pytest.mark.spec("SAMLCore-3.4.1.1")
def test_unspecified_is_the_registrations_choice(new_provider: NewProvider, browser: Browser) -> None:
    provider = new_provider(name_id_formats=["emailAddress", "unspecified"])
    for content in ((), (policy(f"{OLD_FORMAT}unspecified"),), (policy(),)):
        assert ask(provider, browser, *content).name_id.text == "minghui@example.org"
    provider = new_provider(name_id_source="employee_id")
    User.objects.update(employee_id="E-42")
    answer = ask(provider, browser)
    assert (answer.name_id.text, answer.name_id.get("Format")) == ("E-42", f"{OLD_FORMAT}unspecified")


@pytest.mark.spec("SAMLCore-3.4.1.1")
@pytest.mark.parametrize(
    "content",
    [
        policy(f"{FORMAT}transient"),
        policy(f"{FORMAT}encrypted"),
        policy("urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"),
        policy(qualifier="https://somebody.else.example"),
    ],
    ids=["not allowed", "encrypted", "unknown", "qualifier"],
)
def test_a_policy_that_cannot_be_met(new_provider: NewProvider, browser: Browser, content: str) -> None:
    provider = new_provider(name_id_formats=["persistent", "unspecified"])
    answer = ask(provider, browser, content)
    assert answer.status == ("Requester", "InvalidNameIDPolicy")
    assert browser.sign_in_pages == 0


@pytest.mark.spec("SAMLCore-8.3.1")
def test_the_name_in_an_application_with_accounts_is_the_accounts(
    new_provider: NewProvider, browser: Browser, person: User
) -> None:
    provider = new_provider(application={"access": "assigned"})
    assert provider.row is not None
    answer = ask(provider, browser)
    assert answer.status == ("Responder", "RequestDenied")
    make_account(person, provider.row.application, account_name="ming")
    assert ask(provider, browser).name_id.text == "ming"


@pytest.mark.spec("SAMLCore-3.4.1.4")
def test_a_request_about_somebody_is_answered_about_nobody_else(provider: RegisteredParty, browser: Browser) -> None:
    def subject(name: str, extra: str = "") -> str:
        return f"<saml:Subject><saml:NameID>{name}</saml:NameID>{extra}</saml:Subject>"

    assert ask(provider, browser, subject("minghui")).status == ("Success",)
    assert ask(provider, browser, subject("somebody")).status == ("Responder", "UnknownPrincipal")
    confirmation = '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>'
    assert ask(provider, browser, subject("minghui", confirmation)).status == ("Requester", "RequestUnsupported")


@pytest.mark.spec("SAMLCore-3.4.1.3")
def test_a_request_for_other_identity_providers(provider: RegisteredParty, browser: Browser) -> None:
    def scoping(*listed: str) -> str:
        entries = "".join(f'<samlp:IDPEntry ProviderID="{name}"/>' for name in listed)
        return f"<samlp:Scoping><samlp:IDPList>{entries}</samlp:IDPList></samlp:Scoping>"

    assert ask(provider, browser, scoping("https://other.example")).status == ("Responder", "NoSupportedIDP")
    ours = "https://id.monban.example/api/v1/saml2/idp/metadata"
    assert ask(provider, browser, scoping("https://other.example", ours)).status == ("Success",)


# Authentication contexts -----------------------------------------------------------------------------------


@pytest.mark.spec("SAMLCore-3.3.2.2.1")
@pytest.mark.parametrize(
    ("content", "stated"),
    [
        ("", SINGLE),
        (context(PASSWORD_CLASS), PASSWORD_CLASS),
        (context("urn:example:unknown", PASSWORD_CLASS, SINGLE), PASSWORD_CLASS),
        (context(SINGLE, comparison="minimum"), SINGLE),
        (context(MULTI, comparison="maximum"), SINGLE),
        (context(MULTI, SINGLE), SINGLE),
    ],
    ids=["none", "password", "several", "minimum", "maximum", "either"],
)
def test_a_password_is_a_single_factor(provider: RegisteredParty, browser: Browser, content: str, stated: str) -> None:
    assert ask(provider, browser, content).authn_class == stated


@pytest.mark.spec("SAMLCore-3.3.2.2.1")
@pytest.mark.parametrize(
    "content",
    [
        context("urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos"),
        context(KEY, comparison="better"),
        context().replace("><", "><saml:AuthnContextDeclRef>x</saml:AuthnContextDeclRef><"),
    ],
    ids=["unknown", "better", "declaration"],
)
def test_a_context_that_nobody_reaches_here(provider: RegisteredParty, browser: Browser, content: str) -> None:
    assert ask(provider, browser, content).status == ("Responder", "NoAuthnContext")
    assert browser.sign_in_pages == 0


@pytest.mark.spec("SAMLCore-3.3.2.2.1")
@pytest.mark.security("S28")
@pytest.mark.parametrize(
    ("content", "amr", "stated"),
    [
        (context(KEY), ["pwd", "hwk"], KEY),
        (context(MULTI, comparison="better"), ["swk", "user"], KEY),
        (context(MULTI, comparison="minimum"), ["swk", "user"], KEY),
        (context(MULTI), ["swk", "user"], MULTI),
        (context(KEY, MULTI), ["pwd", "otp"], MULTI),
        (context(MULTI, comparison="maximum"), ["swk", "user"], MULTI),
    ],
    ids=["exact", "better", "minimum", "exactly less", "either", "maximum"],
)
def test_a_passkey_is_stated_as_what_was_asked_for(
    provider: RegisteredParty, browser: Browser, content: str, amr: list[str], stated: str
) -> None:
    provider.sign_in(browser)
    SSOSession.objects.update(amr=amr)
    assert ask(provider, browser, content).authn_class == stated


@pytest.mark.spec("SAMLCore-3.3.2.2.1")
@pytest.mark.security("S28")
@pytest.mark.parametrize("content", [context(MULTI), context(SINGLE, comparison="better")], ids=["exact", "better"])
def test_a_second_factor_is_asked_for_and_stated(provider: RegisteredParty, browser: Browser, content: str) -> None:
    provider.sign_in(browser)
    place = provider.start(browser, provider.authn_request(content))
    assert isinstance(place, Page)
    assert place.form_with("verification_code") is not None
    # What the session recorded decides, whatever page was visited.
    SSOSession.objects.update(amr=["pwd", "otp"], acr=MULTI)
    assert ask(provider, browser, content).authn_class == MULTI
    passive = provider.authn_request(content, IsPassive="true")
    SSOSession.objects.update(amr=["pwd"], acr=SINGLE)
    assert provider.read(provider.start(browser, passive)).status == ("Responder", "NoPassive")


@pytest.mark.security("S28")
def test_the_applications_own_rule_holds_here_too(new_provider: NewProvider, browser: Browser) -> None:
    provider = new_provider(application={"mfa_mode": "always"})
    place = browser.sign_in(provider.start(browser), provider.user_name, provider.password)
    assert isinstance(place, Page)
    assert place.form_with("verification_code") is not None


# The gate --------------------------------------------------------------------------------------------------


@pytest.mark.security("S26")
def test_a_disabled_user_gets_no_assertion(provider: RegisteredParty, browser: Browser, person: User) -> None:
    provider.sign_in(browser)
    User.objects.filter(pk=person.pk).update(is_active=False)
    place = provider.start(browser)
    assert isinstance(place, Page)
    assert place.is_sign_in


@pytest.mark.security("S36")
def test_a_provider_of_another_tenant_is_unknown(provider: RegisteredParty, browser: Browser) -> None:
    from tests.factories import make_tenant
    from tests.factories.saml import make_service_provider

    stranger = make_service_provider(tenant=make_tenant())
    provider.entity_id = stranger.entity_id
    assert refused(provider, browser) == "APP.0001"


# What is said ----------------------------------------------------------------------------------------------


@pytest.mark.spec("SAMLCore-2.5.1")
@pytest.mark.security("S19")
def test_an_assertion_says_for_whom_and_for_how_long(provider: RegisteredParty, browser: Browser) -> None:
    message = provider.authn_request()
    answer = provider.sign_in(browser, provider.start(browser, message))
    request_id = message.partition('ID="')[2].partition('"')[0]
    session = SSOSession.objects.get()
    assertion = answer.assertion
    conditions = assertion.find("saml:Conditions", NS)
    assert conditions.find(".//saml:Audience", NS).text == provider.entity_id
    data = assertion.find(".//saml:SubjectConfirmationData", NS)
    assert (data.get("InResponseTo"), data.get("Recipient")) == (request_id, provider.acs)
    assert answer.root.get("InResponseTo") == request_id
    limit = datetime.fromisoformat(data.get("NotOnOrAfter"))
    assert timedelta(minutes=4) < limit - timezone.now() <= timedelta(minutes=5)
    assert conditions.get("NotOnOrAfter") == data.get("NotOnOrAfter")
    assert datetime.fromisoformat(conditions.get("NotBefore")) < timezone.now()
    statement = assertion.find("saml:AuthnStatement", NS)
    assert statement.get("AuthnInstant") == instant(session.authenticated_at)
    assert statement.get("SessionNotOnOrAfter") == instant(session.expires_at)
    assert assertion.find("saml:Issuer", NS).text == "https://id.monban.example/api/v1/saml2/idp/metadata"


@pytest.mark.spec("SAMLCore-2.7.3")
def test_attributes_are_those_of_the_mapping(new_provider: NewProvider, browser: Browser, person: User) -> None:
    User.objects.filter(pk=person.pk).update(extension={"badge": ["a", "<b>"]}, first_name="Ming")
    mapping = {
        "urn:oid:0.9.2342.19200300.100.1.3": "email",
        "badge": "attribute:badge",
        "given": "first_name",
        "verified": "email_verified",
        "hired": "hire_date",
    }
    answer = ask(new_provider(attributes=mapping), browser)
    assert answer.attributes == {
        "urn:oid:0.9.2342.19200300.100.1.3": ["minghui@example.org"],
        "badge": ["a", "<b>"],
        "given": ["Ming"],
        "verified": ["true"],
    }
    formats = {each.get("Name"): each.get("NameFormat") for each in answer.root.iter(f"{{{NS['saml']}}}Attribute")}
    assert formats["given"] == "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
    assert formats["urn:oid:0.9.2342.19200300.100.1.3"] == "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
    assert ask(new_provider(), browser).find(".//saml:AttributeStatement") is None


@pytest.mark.spec("SAMLCore-5.3")
@pytest.mark.parametrize(("response", "assertion"), [(True, False), (False, True), (True, True)])
def test_what_is_signed_is_the_registrations_choice(
    new_provider: NewProvider, browser: Browser, response: bool, assertion: bool
) -> None:
    answer = ask(new_provider(sign_response=response, sign_assertion=assertion), browser)
    signed = [each.getparent().tag.rpartition("}")[2] for each in answer.root.iter(f"{{{NS['ds']}}}Signature")]
    assert sorted(signed) == ["Assertion"] * assertion + ["Response"] * response
    if response:
        assert answer.verified(".").tag == f"{{{NS['samlp']}}}Response"
    if assertion:
        assert answer.assertion.tag == f"{{{NS['saml']}}}Assertion"


@pytest.mark.spec("SAMLCore-5.4.1")
@pytest.mark.parametrize("bits", ["256", "384", "512"])
def test_signatures_are_rsa_with_sha_2(new_provider: NewProvider, browser: Browser, bits: str) -> None:
    answer = ask(new_provider(signature_algorithm=f"rsa-sha{bits}"), browser)
    methods = {each.get("Algorithm") for each in answer.root.iter(f"{{{NS['ds']}}}SignatureMethod")}
    assert methods == {f"http://www.w3.org/2001/04/xmldsig-more#rsa-sha{bits}"}
    assert answer.assertion is not None


def test_a_status_is_signed_and_has_no_assertion(provider: RegisteredParty, browser: Browser) -> None:
    answer = ask(provider, browser, policy(f"{FORMAT}encrypted"))
    signed = answer.verified(".")
    assert signed.find(".//samlp:StatusCode", NS).get("Value") == f"{STATUS}Requester"
    assert answer.find(".//samlp:StatusMessage").text
    assert answer.find("./saml:Assertion") is None
