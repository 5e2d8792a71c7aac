"""Encrypted assertions: another implementation opens them with the provider's key, and with no other."""

from __future__ import annotations

import pytest
import xmlsec
from lxml import etree

from cas_saml.saml import encryption, signatures, xml
from cas_saml.saml.encryption import EncryptionRefused
from tests.support import saml

PROVIDER = saml.credential()
IDP = saml.credential("idp")


def signed_assertion():
    made = xml.element(
        "saml:Assertion",
        {"ID": xml.new_id(), "Version": "2.0"},
        xml.element("saml:Issuer", None, "https://idp.example.org"),
        xml.element("saml:Subject", None, xml.element("saml:NameID", None, "愛麗絲 <alice>")),
    )
    return signatures.sign(made, IDP)


def decrypt(encrypted, owner):
    """As a provider does it: python-xmlsec finds the session key in the message."""
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(saml.private_pem(owner), xmlsec.constants.KeyDataFormatPem))
    document = xml.parse(xml.serialize(encrypted))
    return xmlsec.EncryptionContext(manager).decrypt(document[0])


@pytest.mark.spec("SAMLCore-6.1")
@pytest.mark.parametrize("data_algorithm", encryption.DATA_ALGORITHMS)
@pytest.mark.parametrize("key_algorithm", encryption.KEY_ALGORITHMS)
def test_another_implementation_opens_it_and_the_signature_inside_holds(data_algorithm, key_algorithm):
    assertion = signed_assertion()
    encrypted = encryption.encrypt(
        assertion, PROVIDER.certificate, data_algorithm=data_algorithm, key_algorithm=key_algorithm
    )
    written = xml.serialize(encrypted)
    assert xml.is_named(encrypted, "saml:EncryptedAssertion")
    assert encrypted[0].get("Type") == "http://www.w3.org/2001/04/xmlenc#Element"
    assert "alice" not in written.decode()
    opened = xml.parse(xml.serialize(decrypt(encrypted, PROVIDER)))
    assert xml.serialize(opened) == xml.serialize(assertion)
    assert signatures.verify(opened, [IDP.certificate]).get("ID") == assertion.get("ID")


def test_the_algorithms_are_the_chosen_ones():
    encrypted = encryption.encrypt(signed_assertion(), PROVIDER.certificate)
    methods = [each.get("Algorithm") for each in encrypted.iter(xml.qname("xenc:EncryptionMethod"))]
    assert methods == [
        "http://www.w3.org/2009/xmlenc11#aes256-gcm",
        "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
    ]


def test_nobody_else_opens_it():
    with pytest.raises((xmlsec.Error, etree.LxmlError)):
        decrypt(encryption.encrypt(signed_assertion(), PROVIDER.certificate), saml.credential("stranger"))


@pytest.mark.security("S17")
def test_a_changed_message_does_not_open():
    encrypted = encryption.encrypt(signed_assertion(), PROVIDER.certificate)
    value = encrypted[0].find(f"{xml.qname('xenc:CipherData')}/{xml.qname('xenc:CipherValue')}")
    value.text = value.text[:40] + ("A" if value.text[40] != "A" else "B") + value.text[41:]
    with pytest.raises(xmlsec.Error):
        decrypt(encrypted, PROVIDER)


def test_two_encryptions_have_nothing_in_common():
    assertion = signed_assertion()
    values = [
        {each.text for each in encryption.encrypt(assertion, PROVIDER.certificate).iter(xml.qname("xenc:CipherValue"))}
        for _ in range(2)
    ]
    assert values[0].isdisjoint(values[1])


def test_a_certificate_of_an_elliptic_curve_cannot_encrypt():
    with pytest.raises(EncryptionRefused, match="certificate_key_kind"):
        encryption.encrypt(signed_assertion(), saml.credential("curve", kind="ES256").certificate)


def test_the_two_libraries_carry_the_same_libxml2():
    """They share elements in one process; docs/adr/0017 says why both are pinned."""
    assert xmlsec.get_libxml_compiled_version() == etree.LIBXML_COMPILED_VERSION
    assert xmlsec.get_libxml_version() == etree.LIBXML_VERSION
