"""Metadata, ours out and the providers' in (SAMLMeta-2)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from django.core.exceptions import ValidationError
from lxml import etree

from cas_saml.saml import registration, requested_attributes
from cas_saml.saml.certificates import to_pem as pem_of
from identity import copies
from identity.keyring import keys
from identity.models import KeyUse, Tenant
from tests.factories.saml import pem, provider_credential
from tests.specs.conformance import Browser
from tests.specs.saml_fixtures import RegisteredParty
from tests.specs.saml_party import METADATA, NS
from tests.support.saml_metadata import ACS, BINDING, FORMAT, certificate_text, described, key


def parse(text: str, **options: Any) -> Any:
    return registration.parse(text.encode(), **options)


# Ours ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("SAMLMeta-2.4.3")
def test_the_metadata_shows_the_current_certificate_and_the_next_one(
    provider: RegisteredParty, tenant: Tenant, browser: Browser
) -> None:
    before = provider.idp_certificates()
    assert len(before) == 2
    assert provider.sign_in(browser).assertion is not None  # checked with the first one
    keys.rotate(tenant=tenant, use=KeyUse.SAML, alg="RS256")
    copies.clear()
    after = provider.idp_certificates()
    assert after[0] == before[1]
    assert after[1] not in before
    # Who has loaded the metadata before can still check what is signed now.
    assert provider.sign_in(browser).assertion is not None


@pytest.mark.spec("SAMLMeta-2.4.3")
def test_the_metadata_is_valid_in_order_and_the_same_each_time(provider: RegisteredParty) -> None:
    response = provider.api.get(METADATA, secure=True)
    again = provider.api.get(METADATA, secure=True)
    assert response.content == again.content
    role = etree.fromstring(response.content)[0]
    order = [etree.QName(each).localname for each in role]
    assert list(dict.fromkeys(order)) == ["KeyDescriptor", "SingleLogoutService", "NameIDFormat", "SingleSignOnService"]
    assert response["Content-Type"] == "application/samlmetadata+xml"
    assert response["Cache-Control"] == "public, max-age=300"
    for text in role.xpath(".//ds:X509Certificate/text()", namespaces=NS):
        certificate = x509.load_der_x509_certificate(base64.b64decode(text))
        assert certificate.not_valid_after_utc > datetime.now(UTC)


# Theirs ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("SAMLMeta-2.4.4")
def test_a_providers_metadata_becomes_its_registration() -> None:
    methods = "".join(
        f'<md:EncryptionMethod Algorithm="{uri}"/>'
        for uri in ("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "http://www.w3.org/2009/xmlenc11#rsa-oaep")
    )
    text = described(
        "<!-- written by hand -->",
        key(),
        key(number=1),
        key("encryption", number=2, methods=methods),
        f'<md:SingleLogoutService Binding="{BINDING}HTTP-Redirect" Location="https://sp.example/slo" '
        'ResponseLocation="https://sp.example/slo/done"/>',
        f'<md:SingleLogoutService Binding="{BINDING}SOAP" Location="https://sp.example/soap"/>',
        f"<md:NameIDFormat>{FORMAT}persistent</md:NameIDFormat>",
        f"<md:NameIDFormat> {FORMAT}transient </md:NameIDFormat>",
        f"<md:NameIDFormat>{FORMAT}kerberos</md:NameIDFormat>",
        f'<md:AssertionConsumerService index="1" Binding="{BINDING}HTTP-Artifact" Location="https://sp.example/art"/>',
        f'<md:AssertionConsumerService index="2" Binding="{BINDING}HTTP-POST" Location="https://sp.example/a"/>',
        f'<md:AssertionConsumerService index="5" isDefault="true" Binding="{BINDING}HTTP-POST" '
        'Location="https://sp.example/b"/>',
        role=' AuthnRequestsSigned="true" WantAssertionsSigned="true"',
        entity=' validUntil="2030-01-01T00:00:00Z"',
    )
    found = parse(text)
    assert found.entity_id == "https://sp.example"
    assert found.trust == {
        "assertion_consumer_services": [
            {"index": 2, "location": "https://sp.example/a", "is_default": False},
            {"index": 5, "location": "https://sp.example/b", "is_default": True},
        ],
        "single_logout_services": [
            {
                "binding": "redirect",
                "location": "https://sp.example/slo",
                "response_location": "https://sp.example/slo/done",
            },
            {"binding": "soap", "location": "https://sp.example/soap", "response_location": ""},
        ],
        "signing_certificates": [pem(), pem(1)],
        "encryption_certificate": pem(2),
        "metadata_valid_until": datetime(2030, 1, 1, tzinfo=UTC),
    }
    assert found.preferences == {
        "requests_must_be_signed": True,
        "attributes": dict(requested_attributes.DEFAULT),
        "sign_assertion": True,
        "name_id_formats": ["persistent", "transient"],
        "encryption_algorithm": "aes128-cbc",
        "key_transport": "rsa-oaep-sha256",
    }


@pytest.mark.spec("SAMLMeta-2.4.1.1")
def test_a_key_without_a_use_is_for_both() -> None:
    found = parse(described(key(None), ACS))
    assert found.signing_certificates == [found.encryption_certificate] == [pem()]


ORGANIZATION = (
    '<md:Organization><md:OrganizationName xml:lang="zh">中文é</md:OrganizationName>'
    '<md:OrganizationDisplayName xml:lang="zh">中文é</md:OrganizationDisplayName>'
    '<md:OrganizationURL xml:lang="zh">https://sp.example</md:OrganizationURL></md:Organization>'
)


def declared(encoding: str, text: str) -> str:
    named = text.replace("</md:EntityDescriptor>", f"{ORGANIZATION}</md:EntityDescriptor>")
    return f'<?xml version="1.0" encoding="{encoding}"?>\n{named}'


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "utf-16"),
        ("utf-8", "UTF-16"),
        ("gb18030", "GB18030"),
        ("gbk", "GB2312"),
        ("latin-1", "ISO-8859-1"),
        ("shift_jis", "Shift_JIS"),
        ("big5", "Big5"),
    ],
)
def test_a_file_is_read_in_the_encoding_that_it_declares(written: str, said: str) -> None:
    text = declared(said, described(key(), ACS)).encode(written, "xmlcharrefreplace")
    found = registration.parse(text)
    assert (found.entity_id, found.signing_certificates) == ("https://sp.example", [pem()])


@pytest.mark.parametrize("said", ["GB2312", "UTF-16", "iso-8859-1", "utf-7", "nonsense"])
def test_a_pasted_text_is_read_whatever_it_declares(said: str) -> None:
    assert registration.parse(declared(said, described())).entity_id == "https://sp.example"


def elliptic(use: str | None) -> str:
    text = "".join(pem_of(provider_credential(9, "ES256").certificate).splitlines()[1:-1])
    return key(use).replace(certificate_text(), text)


@pytest.mark.spec("SAMLMeta-2.4.1.1")
def test_an_elliptic_key_signs_and_nothing_is_encrypted_for_it(tenant: Tenant) -> None:
    found = parse(described(elliptic(None), ACS))
    assert (len(found.signing_certificates), found.encryption_certificate) == (1, "")
    both = parse(described(key(), elliptic("encryption"), ACS))
    assert (both.signing_certificates, both.encryption_certificate) == ([pem()], "")
    fitting = parse(described(elliptic("encryption"), key("encryption", number=1), ACS))
    assert fitting.encryption_certificate == pem(1)


def test_a_bad_certificate_beside_a_good_one_is_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    bad = key(number=1).replace("MII", "!!!")
    found = parse(described(bad, key(), ACS))
    assert found.signing_certificates == [pem()]
    assert [record.reason for record in caplog.records] == ["certificate_unreadable"]  # type: ignore[attr-defined]
    assert parse(described(key(), key("encryption").replace("MII", "!!!"), ACS)).encryption_certificate == ""


def test_white_space_round_an_address_is_none_of_it() -> None:
    slo = f'<md:SingleLogoutService Binding="{BINDING}HTTP-Redirect" Location=" https://sp.example/slo&#10;"/>'
    spaced = ACS.replace("https://sp.example/acs", "\n  https://sp.example/acs ")
    found = parse(described(slo, spaced, entity_id=" https://sp.example\n"), entity_id="https://sp.example ")
    assert found.entity_id == "https://sp.example"
    assert [each["location"] for each in found.consumers] == ["https://sp.example/acs"]
    assert [each["location"] for each in found.logout_services] == ["https://sp.example/slo"]


def test_an_empty_logout_address_is_none() -> None:
    empty = f'<md:SingleLogoutService Binding="{BINDING}HTTP-Redirect" Location=""/>'
    there = f'<md:SingleLogoutService Binding="{BINDING}HTTP-Redirect" Location="https://sp.example/slo"/>'
    assert parse(described(empty, ACS)).logout_services == []
    assert [each["location"] for each in parse(described(empty, there, ACS)).logout_services] == [
        "https://sp.example/slo"
    ]


@pytest.mark.spec("SAMLCore-1.3.3")
def test_an_instant_without_a_zone_is_in_utc() -> None:
    found = parse(described(entity=' validUntil="2030-01-01T00:00:00"'))
    assert found.valid_until == datetime(2030, 1, 1, tzinfo=UTC)


def asked(*requested: str, service: str = "") -> str:
    wanted = "".join(f"<md:RequestedAttribute {each}/>" for each in requested)
    name = '<md:ServiceName xml:lang="en">x</md:ServiceName>'
    return f'<md:AttributeConsumingService index="1"{service}>{name}{wanted}</md:AttributeConsumingService>'


@pytest.mark.spec("SAMLMeta-2.4.4.2")
def test_what_the_metadata_asks_for_is_released_where_we_have_it() -> None:
    wanted = asked(
        'Name="urn:oid:0.9.2342.19200300.100.1.3" FriendlyName="mail"',
        'Name="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"',
        'Name="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"',
        'Name="urn:x-vendor:1" FriendlyName="surname"',
        'Name="memberOf"',
        'Name="shoeSize"',
    )
    assert parse(described(ACS, wanted)).attributes == {
        "urn:oid:0.9.2342.19200300.100.1.3": "email",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname": "first_name",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name": "account_name",
        "urn:x-vendor:1": "last_name",
        "memberOf": "roles",
    }


def test_of_several_lists_of_attributes_the_default_one_is_meant() -> None:
    lists = asked('Name="mail"') + asked('Name="sn"', service=' isDefault="true"')
    assert parse(described(ACS, lists)).attributes == {"sn": "last_name"}


@pytest.mark.parametrize("wanted", ["", asked(), asked('Name="shoeSize"')])
def test_without_a_list_that_we_know_the_usual_attributes_are_released(wanted: str) -> None:
    assert list(parse(described(ACS, wanted)).attributes) == [
        *("uid", "mail", "displayName", "givenName", "sn", "phone", "groups")
    ]


@pytest.mark.spec("SAMLMeta-2.3.1")
def test_one_of_several_entities_is_chosen_by_its_id() -> None:
    both = described(entity_id="https://a.example") + described(entity_id="https://b.example")
    text = (
        f'<md:EntitiesDescriptor xmlns:md="{NS["md"]}" validUntil="2031-01-01T00:00:00Z">{both}</md:EntitiesDescriptor>'
    )
    found = parse(text, entity_id="https://b.example")
    assert (found.entity_id, found.valid_until) == ("https://b.example", datetime(2031, 1, 1, tzinfo=UTC))
    with pytest.raises(ValidationError, match="several"):
        parse(text)
    with pytest.raises(ValidationError, match=r"c\.example"):
        parse(text, entity_id="https://c.example")


@pytest.mark.security("S18")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not_xml"),
        ("<html/>", "no SAML 2.0 metadata"),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', "doctype"),
        (described().replace("SAML:2.0:protocol", "SAML:1.1:protocol"), "no SAML 2.0 service provider"),
        (described("<md:NameIDFormat/>"), "no assertion consumer service"),
        (described(ACS.replace('index="0" ', "")), "no index"),
        (described(key().replace("MII", "!!!"), ACS), "certificate_unreadable"),
        (described(entity=' validUntil="tomorrow"'), "instant"),
    ],
    ids=range(8),
)
def test_metadata_that_cannot_be_used_says_why(text: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        parse(text)
