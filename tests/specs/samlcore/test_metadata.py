"""Metadata, ours out and the providers' in (SAMLMeta-2)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from django.core.exceptions import ValidationError
from lxml import etree

from cas_saml.saml import registration
from identity.models import KeyUse, Tenant
from identity.services import keys
from tests.factories.saml import pem
from tests.specs.conformance import Browser
from tests.specs.saml_fixtures import RegisteredParty
from tests.specs.saml_party import METADATA, NS

BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:"
FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:"


def certificate_text(number: int = 0) -> str:
    return "".join(pem(number).splitlines()[1:-1])


def key(use: str | None = "signing", *, number: int = 0, methods: str = "") -> str:
    written = f' use="{use}"' if use else ""
    return (
        f"<md:KeyDescriptor{written}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n{certificate_text(number)}\n"
        f"</ds:X509Certificate></ds:X509Data></ds:KeyInfo>{methods}</md:KeyDescriptor>"
    )


ACS = f'<md:AssertionConsumerService index="0" Binding="{BINDING}HTTP-POST" Location="https://sp.example/acs"/>'


def described(*content: str, entity_id: str = "https://sp.example", role: str = "", entity: str = "") -> str:
    return (
        f'<md:EntityDescriptor xmlns:md="{NS["md"]}" xmlns:ds="{NS["ds"]}" entityID="{entity_id}"{entity}>'
        f'<md:SPSSODescriptor protocolSupportEnumeration="{NS["samlp"]}"{role}>{"".join(content) or ACS}'
        "</md:SPSSODescriptor></md:EntityDescriptor>"
    )


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
    keys.clear_cache()
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
        "sign_assertion": True,
        "name_id_formats": ["persistent", "transient"],
        "encryption_algorithm": "aes128-cbc",
        "key_transport": "rsa-oaep-sha256",
    }


@pytest.mark.spec("SAMLMeta-2.4.1.1")
def test_a_key_without_a_use_is_for_both() -> None:
    found = parse(described(key(None), ACS))
    assert found.signing_certificates == [found.encryption_certificate] == [pem()]


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
