"""XML signatures: ours hold elsewhere, and of others only those count that cover the message that is read."""

from __future__ import annotations

import copy
import logging
from datetime import UTC, datetime

import pytest
import xmlsec
from lxml import etree

from cas_saml.saml import certificates, signatures, xml
from cas_saml.saml.signatures import SignatureRefused
from config.logging import logging_config
from tests.support import saml
from tests.support.saml import Spec

OWNER = saml.credential()
STRANGER = saml.credential("stranger")


def refusal(element, *known, **options) -> str:
    with pytest.raises(SignatureRefused) as caught:
        signatures.verify(element, list(known) or [OWNER.certificate], **options)
    return caught.value.reason


def signed_request():
    return saml.sign(saml.authn_request(), OWNER)


# Ours ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("SAMLCore-5.4.1")
@pytest.mark.parametrize("algorithm", signatures.SIGNING)
def test_another_implementation_finds_our_signatures_good(algorithm):
    owner = saml.credential("idp", kind=signatures.key_algorithm(algorithm))
    signed = xml.parse(xml.serialize(signatures.sign(saml.authn_request(), owner, algorithm=algorithm)))
    assert saml.is_valid_for_xmlsec(signed, owner.certificate)
    assert not saml.is_valid_for_xmlsec(signed, saml.credential("other", kind=owner.algorithm).certificate)


@pytest.mark.spec("SAMLCore-5.4")
def test_our_signature_has_the_form_that_saml_prescribes():
    request = saml.authn_request()
    signed = signatures.sign(request, OWNER)
    assert [etree.QName(child).localname for child in signed] == ["Issuer", "Signature"]
    info = signed[1][0]
    assert [info[0].get("Algorithm"), info[1].get("Algorithm")] == [saml.EXCLUSIVE, saml.RSA_SHA256]
    assert info[2].get("URI") == f"#{request.get('ID')}"
    assert [each.get("Algorithm") for each in info[2][0]] == [saml.ENVELOPED, saml.EXCLUSIVE]
    assert info[2][1].get("Algorithm") == saml.SHA256
    assert signed.findtext(f".//{xml.qname('ds:X509Certificate')}") == OWNER.certificate_base64
    assert not signatures.is_signed(request)


@pytest.mark.spec("SAMLCore-5.4.2")
def test_an_assertion_signed_by_itself_holds_in_a_response_that_is_signed_too():
    assertion = xml.element("saml:Assertion", {"ID": xml.new_id()}, xml.element("saml:Issuer", None, "https://idp"))
    inner = signatures.sign(assertion, OWNER)
    response = xml.element("samlp:Response", {"ID": xml.new_id()}, xml.element("saml:Issuer", None, "https://idp"))
    response.append(inner)
    whole = xml.parse(xml.serialize(signatures.sign(response, OWNER)))
    assert saml.is_valid_for_xmlsec(whole, OWNER.certificate)
    assert saml.is_valid_for_xmlsec(whole[2], OWNER.certificate)


def test_the_signed_element_may_stand_in_a_tree():
    tree = xml.element("samlp:Response", None, saml.authn_request(), " behind it")
    signed = signatures.sign(tree[0], OWNER)
    assert signatures.verify(xml.parse(xml.serialize(signed)), [OWNER.certificate]).get("ID") == tree[0].get("ID")


# Theirs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        Spec(),
        Spec(method=f"{saml.DSIG_MORE}rsa-sha512", digest="http://www.w3.org/2001/04/xmlenc#sha512"),
        Spec(method=f"{saml.DSIG_MORE}rsa-sha384"),
        Spec(prefixes="xs saml"),
        Spec(transforms=(saml.ENVELOPED, f"{saml.EXCLUSIVE}WithComments")),
    ],
    ids=["sha256", "sha512", "sha384", "prefixes", "with_comments"],
)
def test_a_good_signature_gives_the_signed_element_without_it(spec):
    request = saml.authn_request(Destination="https://idp.example.org/sso")
    expected = etree.tostring(request, method="c14n", exclusive=True)
    verified = signatures.verify(saml.sign(request, OWNER, spec), [OWNER.certificate])
    assert etree.tostring(verified, method="c14n", exclusive=True) == expected


def test_a_good_signature_of_an_elliptic_curve_counts():
    owner = saml.credential("curve", kind="ES256")
    signed = saml.sign(saml.authn_request(), owner, Spec(method=f"{saml.DSIG_MORE}ecdsa-sha256"))
    assert xml.is_named(signatures.verify(signed, [OWNER.certificate, owner.certificate]), "samlp:AuthnRequest")


def test_any_of_the_registered_certificates_counts_expired_or_not():
    old = certificates.make(OWNER.private, kid="old", not_before=datetime(2001, 1, 1, tzinfo=UTC))
    assert old.not_valid_after_utc < datetime.now(UTC)
    assert signatures.verify(signed_request(), [STRANGER.certificate, old]).get("Version") == "2.0"


@pytest.mark.security("S16")
def test_the_certificate_inside_the_message_counts_for_nothing():
    request = saml.sign(saml.authn_request(), STRANGER)
    assert signatures.verify(request, [STRANGER.certificate]).get("ID") == request.get("ID")
    assert refusal(request) == "signature_wrong"


@pytest.mark.security("S16")
@pytest.mark.parametrize("content", ["", "nonsense", STRANGER.certificate_base64], ids=["empty", "nonsense", "other"])
def test_what_key_info_says_changes_nothing(content):
    request = signed_request()
    request.find(f".//{xml.qname('ds:X509Certificate')}").text = content
    assert signatures.verify(request, [OWNER.certificate]).get("ID") == request.get("ID")


def test_without_a_registered_certificate_no_signature_counts():
    with pytest.raises(SignatureRefused, match="no_certificate"):
        signatures.verify(signed_request(), [])


def test_an_unsigned_message_is_not_verified():
    assert refusal(saml.authn_request()) == "unsigned"


@pytest.mark.security("S18")
@pytest.mark.parametrize("change", ["attribute", "text", "child", "id"])
def test_a_changed_message_is_refused(change):
    request = signed_request()
    match change:
        case "attribute":
            request.set("ForceAuthn", "true")
        case "text":
            request[0].text += ".evil.example"
        case "child":
            request.append(xml.element("samlp:NameIDPolicy", {"AllowCreate": "true"}))
        case "id":
            request.set("ID", xml.new_id())
    assert refusal(request) in {"signature_wrong", "reference_wrong"}


@pytest.mark.security("S18")
@pytest.mark.parametrize("place", ["ds:SignatureValue", "ds:DigestValue"])
@pytest.mark.parametrize("value", ["", "AAAA", "%", "AA==" * 200])
def test_a_broken_signature_or_digest_is_refused(place, value):
    request = signed_request()
    request.find(f".//{xml.qname(place)}").text = value
    assert refusal(request) == "signature_wrong"


# ruby-saml CVE-2025-66568: where a canonical form cannot be made, the digest of nothing was compared.
@pytest.mark.security("S18")
def test_the_digest_of_nothing_is_refused():
    request = signed_request()
    empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    request.find(f".//{xml.qname('ds:DigestValue')}").text = empty
    assert refusal(request) == "signature_wrong"


# Wrapping --------------------------------------------------------------------------------------------------


@pytest.mark.security("S17")
@pytest.mark.parametrize("has_same_id", [True, False], ids=["same_id", "new_id"])
@pytest.mark.parametrize("template", saml.WRAPPINGS)
@pytest.mark.parametrize("message", ["authn", "logout", "response"])
def test_a_wrapped_message_is_refused(message, template, has_same_id):
    made = {
        "authn": saml.authn_request,
        "logout": saml.logout_request,
        "response": lambda: xml.element("samlp:Response", {"ID": xml.new_id()}, xml.element("saml:Issuer", None, "i")),
    }[message]()
    signed = saml.sign(made, OWNER)
    assert signatures.verify(signed, [OWNER.certificate]).get("ID") == made.get("ID")

    def forge(element):
        element.set("Destination", "https://evil.example")

    data = saml.wrap(signed, template, forge=forge, has_same_id=has_same_id)
    with pytest.raises(xml.Refused) as caught:
        signatures.verify(xml.parse(data), [OWNER.certificate])
    expected = {
        "duplicate_id",
        *("signature_form", "reference_wrong", "signature_misplaced", "signature_wrong"),
    }
    assert caught.value.reason in expected


@pytest.mark.security("S17")
def test_a_second_signature_is_refused_even_if_it_is_good():
    request = signed_request()
    second = copy.deepcopy(request.find(xml.qname("ds:Signature")))
    request.append(second)
    assert refusal(request) == "several_signatures"


@pytest.mark.security("S17")
def test_a_signature_that_is_no_child_of_the_root_is_refused():
    request = signed_request()
    signature = request.find(xml.qname("ds:Signature"))
    request.append(xml.element("samlp:Extensions", None, signature))
    assert refusal(request) == "signature_misplaced"


@pytest.mark.security("S17")
@pytest.mark.spec("SAMLCore-5.4.2")
def test_a_signature_over_the_document_instead_of_the_element_is_refused():
    request = saml.authn_request()
    signed = saml.sign(request, OWNER, Spec(reference=""))
    assert refusal(signed) == "reference_wrong"


@pytest.mark.security("S17")
def test_two_references_are_refused():
    request = signed_request()
    info = request.find(f".//{xml.qname('ds:SignedInfo')}")
    info.append(copy.deepcopy(info[2]))
    assert refusal(request) == "signature_form"


@pytest.mark.spec("SAMLCore-5.4.2")
@pytest.mark.parametrize("uri", ["", "#", "#other", "#xpointer(/)", "http://127.0.0.1:9/", "file:///etc/passwd"])
def test_a_reference_to_anything_else_is_refused(uri):
    request = signed_request()
    request.find(f".//{xml.qname('ds:Reference')}").set("URI", uri)
    assert refusal(request) == "reference_wrong"


# Transforms and algorithms ---------------------------------------------------------------------------------


XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
BASE64 = "http://www.w3.org/2000/09/xmldsig#base64"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"


@pytest.mark.security("S21")
@pytest.mark.spec("SAMLCore-5.4.4")
@pytest.mark.parametrize(
    "transforms",
    [
        [],
        [saml.ENVELOPED],
        [saml.EXCLUSIVE],
        [saml.EXCLUSIVE, saml.ENVELOPED],
        [saml.ENVELOPED, saml.EXCLUSIVE, saml.EXCLUSIVE],
        [saml.ENVELOPED, XPATH, saml.EXCLUSIVE],
        [saml.ENVELOPED, XSLT],
        [saml.ENVELOPED, BASE64],
        [saml.ENVELOPED, INCLUSIVE],
        [saml.ENVELOPED] + [saml.EXCLUSIVE] * 500,
    ],
    ids=["none", "no_c14n", "no_enveloped", "order", "twice", "xpath", "xslt", "base64", "inclusive", "many"],
)
def test_other_transforms_are_refused(transforms):
    request = signed_request()
    parent = request.find(f".//{xml.qname('ds:Transforms')}")
    for each in list(parent):
        parent.remove(each)
    parent.extend(xml.element("ds:Transform", {"Algorithm": each}) for each in transforms)
    assert refusal(request) in {"transforms", "canonicalization"}


@pytest.mark.security("S18")
@pytest.mark.parametrize("method", [INCLUSIVE, "http://www.w3.org/2006/12/xml-c14n11", "", "urn:x"])
def test_other_canonical_forms_of_the_signature_are_refused(method):
    request = signed_request()
    request.find(f".//{xml.qname('ds:CanonicalizationMethod')}").set("Algorithm", method)
    assert refusal(request) == "canonicalization"


@pytest.mark.security("S42")
@pytest.mark.parametrize("method", ["hmac-sha256", "hmac-sha512"])
def test_a_signature_keyed_with_the_public_certificate_is_refused(method):
    for secret in (saml.pem(OWNER.certificate).encode(), certificates.to_base64(OWNER.certificate).encode()):
        key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, secret)
        request = saml.sign(saml.authn_request(), OWNER, Spec(method=f"{saml.DSIG_MORE}{method}"), key=key)
        assert refusal(request) == "algorithm"
        assert refusal(request, OWNER.certificate, allow_sha1=True) == "algorithm"


@pytest.mark.parametrize("method", ["http://www.w3.org/2000/09/xmldsig#dsa-sha1", f"{saml.DSIG_MORE}rsa-md5", "none"])
def test_other_methods_are_refused(method):
    request = signed_request()
    request.find(f".//{xml.qname('ds:SignatureMethod')}").set("Algorithm", method)
    assert refusal(request, OWNER.certificate, allow_sha1=True) == "algorithm"


@pytest.mark.security("S42")
def test_a_method_of_another_kind_of_key_is_refused():
    request = signed_request()
    request.find(f".//{xml.qname('ds:SignatureMethod')}").set("Algorithm", f"{saml.DSIG_MORE}ecdsa-sha256")
    assert refusal(request, OWNER.certificate, saml.credential("curve", kind="ES256").certificate) == "signature_wrong"


@pytest.mark.parametrize(
    "spec",
    [Spec(method=saml.RSA_SHA1, digest=saml.SHA1), Spec(method=saml.RSA_SHA1), Spec(digest=saml.SHA1)],
    ids=["both", "method", "digest"],
)
def test_sha1_is_refused_unless_the_provider_is_flagged_and_then_logged(spec, caplog):
    request = saml.sign(saml.authn_request(), OWNER, spec)
    assert refusal(request) == "sha1"
    assert caplog.records == []
    with caplog.at_level(logging.WARNING):
        assert signatures.verify(request, [OWNER.certificate], allow_sha1=True).get("ID") == request.get("ID")
    assert [record.getMessage() for record in caplog.records] == ["saml.signature_sha1"]


@pytest.mark.security("S18")
@pytest.mark.parametrize("count", [1, 16, 17, 5000])
def test_the_list_of_inclusive_prefixes_is_bounded(count):
    prefixes = " ".join(f"p{i}" for i in range(count))
    request = saml.sign(saml.authn_request(), OWNER, Spec(prefixes=prefixes))
    if count <= 16:
        assert signatures.verify(request, [OWNER.certificate]).get("ID") == request.get("ID")
    else:
        assert refusal(request) == "canonicalization"


@pytest.mark.security("S18")
def test_a_declaration_that_only_the_prefix_list_names_is_covered():
    request = xml.element("samlp:AuthnRequest", {"ID": xml.new_id()}, prefixes=["xs"])
    signed = saml.sign(request, OWNER, Spec(prefixes="xs"))
    assert signatures.verify(signed, [OWNER.certificate]).nsmap["xs"] == xml.NAMESPACES["xs"]
    data = xml.serialize(signed).replace(b'xmlns:xs="http://www.w3.org/2001/XMLSchema"', b'xmlns:xs="urn:evil"', 1)
    assert refusal(xml.parse(data)) == "signature_wrong"


@pytest.mark.security("S41")
def test_no_level_of_logging_writes_what_is_signed(caplog, monkeypatch):
    level = logging_config(level="DEBUG", form="json")["loggers"]["signxml"]["level"]
    monkeypatch.setattr(logging.getLogger("signxml"), "level", logging.getLevelName(level))
    logging.getLogger("signxml").manager._clear_cache()
    with caplog.at_level(logging.DEBUG):
        signatures.verify(xml.parse(xml.serialize(signatures.sign(saml.authn_request(), OWNER))), [OWNER.certificate])
    assert [record.getMessage() for record in caplog.records] == []
