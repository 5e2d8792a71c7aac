"""Attacks on signed messages at our endpoints (SAMLCore-5): wrapping, foreign keys, parsers that disagree."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from cas_saml.models import SAMLSession
from tests.specs.conformance import Browser
from tests.specs.saml_attacks import check_refused, get_message, post
from tests.specs.saml_fixtures import NewProvider, RegisteredParty
from tests.specs.saml_party import NS, SLO, SSO
from tests.support import saml

VICTIM = "<saml:NameID>minghui</saml:NameID>"
SHAPES = ("duplicate_id", "signature_form", "reference_wrong", "signature_misplaced", "several_signatures")


@pytest.fixture
def strict(new_provider: NewProvider) -> RegisteredParty:
    """A provider whose requests must be signed."""
    return new_provider(requests_must_be_signed=True)


def forge_consumer(element: Any) -> None:
    element.set("ForceAuthn", "false")
    element.set("AssertionConsumerServiceURL", "https://evil.example/acs")


def forge_person(element: Any) -> None:
    element.find("saml:NameID", NS).text = "minghui"


@pytest.mark.security("S17")
@pytest.mark.spec("SAMLCore-5.4.2")
@pytest.mark.parametrize("has_same_id", [True, False], ids=["same_id", "new_id"])
@pytest.mark.parametrize("template", saml.WRAPPINGS)
def test_a_wrapped_authn_request_is_refused(strict: RegisteredParty, template: str, has_same_id: bool) -> None:
    signed = etree.fromstring(strict.sign(strict.authn_request()))
    data = saml.wrap(signed, template, forge=forge_consumer, has_same_id=has_same_id)
    check_refused(post(strict, data), *SHAPES)


@pytest.mark.security("S17")
@pytest.mark.security("S20")
@pytest.mark.parametrize("has_same_id", [True, False], ids=["same_id", "new_id"])
@pytest.mark.parametrize("template", saml.WRAPPINGS)
def test_a_wrapped_logout_request_ends_nobodys_session(
    provider: RegisteredParty, browser: Browser, template: str, has_same_id: bool
) -> None:
    provider.sign_in(browser)
    mine = provider.logout_request("<saml:NameID>mallory</saml:NameID>")
    data = saml.wrap(etree.fromstring(provider.sign(mine)), template, forge=forge_person, has_same_id=has_same_id)
    check_refused(post(provider, data, path=SLO), *SHAPES)
    assert SAMLSession.objects.filter(ended_at=None).count() == 1


@pytest.mark.security("S16")
@pytest.mark.parametrize("path", [SSO, SLO], ids=["sso", "slo"])
def test_the_certificate_in_a_message_counts_for_nothing(strict: RegisteredParty, path: str) -> None:
    message = strict.authn_request() if path == SSO else strict.logout_request(VICTIM)
    signed = saml.sign(etree.fromstring(message), saml.credential("mallory"))
    assert saml.credential("mallory").certificate_base64.encode() in etree.tostring(signed)
    check_refused(post(strict, etree.tostring(signed), path=path), "signature_wrong")


@pytest.mark.security("S16")
def test_the_key_of_another_provider_counts_for_nothing(new_provider: NewProvider) -> None:
    victim, mallory = new_provider(requests_must_be_signed=True), new_provider(key=1)
    check_refused(post(victim, mallory.sign(victim.authn_request())), "signature_wrong")


@pytest.mark.security("S18")
def test_a_signed_message_that_was_changed_is_refused(strict: RegisteredParty) -> None:
    signed = strict.sign(strict.authn_request())
    changed = signed.replace(b'Version="2.0"', b'Version="2.0" IsPassive="true"', 1)
    assert changed != signed
    check_refused(post(strict, changed), "signature_wrong")


@pytest.mark.security("S18")
def test_a_bad_signature_is_refused_even_where_none_is_needed(provider: RegisteredParty) -> None:
    assert provider.row is not None
    assert not provider.row.requests_must_be_signed
    changed = provider.sign(provider.authn_request()).replace(b'Version="2.0"', b'Version="2.0" IsPassive="true"', 1)
    check_refused(post(provider, changed), "signature_wrong")


@pytest.mark.security("S18")
@pytest.mark.parametrize("comment", ["<!-- -->", "<?x y?>", "<![CDATA[]]><!-- -->"])
def test_a_name_that_is_cut_by_a_comment_is_refused(provider: RegisteredParty, browser: Browser, comment: str) -> None:
    provider.sign_in(browser)
    name = f"<saml:NameID>minghui{comment}.evil</saml:NameID>"
    # What its signature covers has no comment, so it holds with and without one.
    signed = provider.sign(provider.logout_request("<saml:NameID>minghui.evil</saml:NameID>"))
    data = signed.replace(b"<saml:NameID>minghui.evil</saml:NameID>", name.encode())
    check_refused(post(provider, data, path=SLO), "comment_or_instruction")
    assert SAMLSession.objects.filter(ended_at=None).count() == 1


@pytest.mark.security("S18")
def test_an_issuer_that_is_cut_by_a_comment_is_refused(provider: RegisteredParty) -> None:
    message = provider.authn_request().replace("</saml:Issuer>", "<!-- -->.evil</saml:Issuer>")
    check_refused(post(provider, message), "comment_or_instruction")


@pytest.mark.security("S18")
@pytest.mark.security("S21")
@pytest.mark.parametrize(
    "prefix",
    [
        "<!DOCTYPE x>",
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "http://127.0.0.1:9/">]>',
        '<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;&a;&a;">]>',
        '<!DOCTYPE x [<!ATTLIST samlp:AuthnRequest ForceAuthn CDATA "true">]>',
    ],
    ids=["empty", "file", "network", "expansion", "attribute"],
)
@pytest.mark.parametrize("binding", ["post", "redirect"])
def test_a_document_type_is_refused(provider: RegisteredParty, prefix: str, binding: str) -> None:
    send = post if binding == "post" else get_message
    check_refused(send(provider, prefix + provider.authn_request()), "doctype")


@pytest.mark.security("S18")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_another_encoding_is_refused(provider: RegisteredParty, encoding: str) -> None:
    check_refused(post(provider, provider.authn_request().encode(encoding)), "encoding", "not_xml")


@pytest.mark.security("S21")
def test_a_message_that_is_too_large_or_deep_is_refused(provider: RegisteredParty) -> None:
    message = provider.authn_request()
    deep = message.replace("</saml:Issuer>", "</saml:Issuer>" + "<a>" * 60 + "</a>" * 60)
    check_refused(post(provider, deep), "too_deep")
    large = message.replace("</saml:Issuer>", "</saml:Issuer>" + " " * 70_000)
    check_refused(post(provider, large), "too_large")


@pytest.mark.security("S21")
def test_a_signature_with_hundreds_of_transforms_is_refused(strict: RegisteredParty) -> None:
    signed = strict.sign(strict.authn_request())
    one = f'<ds:Transform Algorithm="{saml.EXCLUSIVE}"/>'.encode()
    assert one in signed
    check_refused(post(strict, signed.replace(one, one * 400)), "transforms")


@pytest.mark.spec("SAMLCore-5.4.1")
def test_rsa_sha1_is_refused_unless_the_provider_is_flagged(strict: RegisteredParty, browser: Browser) -> None:
    owner = saml.credential("old")
    assert strict.row is not None
    strict.change(signing_certificates=[saml.pem(owner.certificate)])

    def signed() -> bytes:
        element = etree.fromstring(strict.authn_request())
        return bytes(etree.tostring(saml.sign(element, owner, saml.Spec(method=saml.RSA_SHA1, digest=saml.SHA1))))

    check_refused(post(strict, signed()), "sha1")
    strict.change(allow_rsa_sha1=True)
    assert post(strict, signed()).status_code in (302, 303)
