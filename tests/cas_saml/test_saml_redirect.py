"""The Redirect binding: bounded inflation, and signatures over the octets that came."""

from __future__ import annotations

import base64
import logging
import time
import zlib
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from cas_saml.saml import redirect, xml
from cas_saml.saml.redirect import RedirectRefused
from cas_saml.saml.signatures import SIGNING, SignatureRefused, key_algorithm
from tests.support import saml

OWNER = saml.credential()
LOCATION = "https://idp.example.org/sso"


def query_of(**changes) -> str:
    arguments = {"parameter": "SAMLRequest", "message": saml.authn_request(), "relay_state": "/home?a=1&b=2", **changes}
    return redirect.encode(LOCATION, **arguments).partition("?")[2]


def signed_query(algorithm="rsa-sha256", **changes) -> str:
    owner = saml.credential("redirect", kind=key_algorithm(algorithm))
    return query_of(credential=owner, algorithm=algorithm, **changes)


def refusal(query: str) -> str:
    with pytest.raises(xml.Refused) as caught:
        redirect.decode(query)
    return caught.value.reason


def message_parameter(data: bytes) -> str:
    return "SAMLRequest=" + quote(base64.b64encode(data).decode(), safe="")


def signature_refusal(query: str, *known, **options) -> str:
    with pytest.raises(SignatureRefused) as caught:
        redirect.verify(redirect.decode(query), list(known), **options)
    return caught.value.reason


@pytest.mark.spec("SAMLBind-3.4.4.1")
@pytest.mark.parametrize("algorithm", SIGNING)
@pytest.mark.parametrize("parameter", ["SAMLRequest", "SAMLResponse"])
@pytest.mark.parametrize("relay_state", [None, "/home?a=1&b=2", "é +%/=&"])
def test_what_is_encoded_is_decoded_and_verified(algorithm, parameter, relay_state):
    request = saml.authn_request()
    query = signed_query(algorithm, message=request, parameter=parameter, relay_state=relay_state)
    message = redirect.decode(query)
    assert (message.parameter, message.relay_state) == (parameter, relay_state)
    known = [OWNER.certificate, saml.credential("redirect", kind=key_algorithm(algorithm)).certificate]
    assert redirect.verify(message, known).get("ID") == request.get("ID")


def test_a_location_with_a_query_keeps_it():
    url = redirect.encode(f"{LOCATION}?tenant=1", parameter="SAMLRequest", message=saml.authn_request())
    assert url.startswith(f"{LOCATION}?tenant=1&SAMLRequest=")
    assert redirect.decode(url.partition("?")[2]).parameter == "SAMLRequest"


@pytest.mark.spec("SAMLBind-3.4.4.1")
def test_the_escaped_form_of_the_sender_is_what_was_signed():
    # Other senders write lower-case escapes and a plus sign for a space.
    value = base64.b64encode(redirect.deflate(xml.serialize(saml.authn_request()))).decode()
    escaped = value.replace("+", "%2b").replace("/", "%2f").replace("=", "%3d")
    octets = f"SAMLRequest={escaped}&RelayState=a+b&SigAlg={quote(saml.RSA_SHA256, safe='').lower()}"
    signature = OWNER.private.sign(octets.encode(), padding.PKCS1v15(), hashes.SHA256())
    query = f"{octets}&Signature={quote(base64.b64encode(signature).decode(), safe='')}"
    message = redirect.decode(query)
    assert message.relay_state == "a b"
    redirect.verify(message, [OWNER.certificate])
    # The same values in our own escapes are not what was signed.
    assert (
        signature_refusal(query.replace("%2b", "%2B").replace("a+b", "a%20b"), OWNER.certificate) == "signature_wrong"
    )


def test_the_order_in_the_query_does_not_matter():
    pairs = signed_query().split("&")
    known = saml.credential("redirect").certificate
    redirect.verify(redirect.decode("&".join(["utm=1", *reversed(pairs)])), [known])


@pytest.mark.security("S18")
@pytest.mark.parametrize(
    "change", ["relay_state", "relay_state_added", "relay_state_removed", "message", "kind", "signature", "algorithm"]
)
def test_a_changed_query_is_refused(change):
    query = signed_query()
    redirect.verify(redirect.decode(query), [saml.credential("redirect").certificate])
    pairs = dict(pair.split("=", 1) for pair in query.split("&"))
    match change:
        case "relay_state":
            pairs["RelayState"] = "https%3A%2F%2Fevil.example"
        case "relay_state_added":
            pairs = dict(pair.split("=", 1) for pair in signed_query(relay_state=None).split("&"))
            pairs["RelayState"] = "x"
        case "relay_state_removed":
            del pairs["RelayState"]
        case "message":
            pairs["SAMLRequest"] = message_parameter(redirect.deflate(b"<a/>")).partition("=")[2]
        case "kind":
            pairs["SAMLResponse"] = pairs.pop("SAMLRequest")
        case "signature":
            pairs["Signature"] = "AAAA"
        case "algorithm":
            pairs["SigAlg"] = quote(f"{saml.DSIG_MORE}rsa-sha512", safe="")
    query = "&".join(f"{name}={value}" for name, value in pairs.items())
    assert signature_refusal(query, saml.credential("redirect").certificate) == "signature_wrong"


def test_an_unsigned_query_is_not_verified():
    assert signature_refusal(query_of(), OWNER.certificate) == "unsigned"


def test_a_signature_by_somebody_else_is_refused():
    assert signature_refusal(signed_query(), OWNER.certificate) == "signature_wrong"
    assert signature_refusal(signed_query()) == "no_certificate"


@pytest.mark.security("S42")
@pytest.mark.parametrize(
    "algorithm", ["", f"{saml.DSIG_MORE}hmac-sha256", "http://www.w3.org/2000/09/xmldsig#dsa-sha1", "none"]
)
def test_other_algorithms_are_refused(algorithm):
    query = f"{query_of()}&SigAlg={quote(algorithm, safe='')}&Signature=AAAA"
    assert signature_refusal(query, OWNER.certificate, allow_sha1=True) == "algorithm"


@pytest.mark.security("S42")
def test_an_algorithm_of_another_kind_of_key_is_refused():
    query = f"{query_of()}&SigAlg={quote(f'{saml.DSIG_MORE}ecdsa-sha256', safe='')}&Signature={'A' * 84}AA%3D%3D"
    curve = saml.credential("curve", kind="ES256").certificate
    assert signature_refusal(query, OWNER.certificate, curve) == "signature_wrong"


def test_sha1_is_refused_unless_the_provider_is_flagged_and_then_logged(caplog):
    octets = f"{query_of()}&SigAlg={quote(saml.RSA_SHA1, safe='')}"
    signature = OWNER.private.sign(octets.encode(), padding.PKCS1v15(), hashes.SHA1())
    query = f"{octets}&Signature={quote(base64.b64encode(signature).decode(), safe='')}"
    assert signature_refusal(query, OWNER.certificate) == "sha1"
    with caplog.at_level(logging.WARNING):
        redirect.verify(redirect.decode(query), [OWNER.certificate], allow_sha1=True)
    assert [record.getMessage() for record in caplog.records] == ["saml.signature_sha1"]


@pytest.mark.security("S21")
@pytest.mark.parametrize("size", [1_000_000, 40_000_000], ids=["megabyte", "forty"])
def test_a_deflate_bomb_is_refused_before_it_is_large(size):
    bomb = redirect.deflate(b"<a>" + b" " * size + b"</a>")
    started = time.process_time()
    assert refusal(message_parameter(bomb)) == "too_large"
    assert time.process_time() - started < 1


@pytest.mark.security("S21")
def test_nested_deflate_is_not_undone_twice():
    nested = redirect.deflate(redirect.deflate(xml.serialize(saml.authn_request())))
    assert refusal(message_parameter(nested)) in {"not_xml", "encoding"}


@pytest.mark.security("S21")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_deflated"),
        (b"<a/>", "not_deflated"),
        (zlib.compress(b"<a/>"), "not_deflated"),
        (redirect.deflate(b"<a/>")[:-2], "not_deflated"),
        (redirect.deflate(b"<a/>") + b"more", "not_deflated"),
        (redirect.deflate(b"<!DOCTYPE a []><a/>"), "doctype"),
    ],
    ids=["empty", "plain", "zlib_header", "cut", "trailing", "doctype"],
)
def test_what_is_not_one_deflated_message_is_refused(data, reason):
    assert refusal(message_parameter(data)) == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda q: "RelayState=x", "message_missing"),
        (lambda q: "", "message_missing"),
        (lambda q: q + "&SAMLResponse=AA", "two_messages"),
        (lambda q: q + "&" + q.split("&")[0], "repeated_parameter"),
        (lambda q: q + "&RelayState=y", "repeated_parameter"),
        (lambda q: q + "&Relay%53tate=y", "repeated_parameter"),
        (lambda q: q.replace("SAMLRequest", "%53AMLRequest"), "repeated_parameter"),
        (lambda q: q + "&SigAlg=x", "half_signature"),
        (lambda q: q + "&Signature=AAAA", "half_signature"),
        (lambda q: q + "&SAMLEncoding=urn:other", "encoding_unknown"),
        (lambda q: "SAMLRequest=%%%", "not_base64"),
        (lambda q: "SAMLRequest=\xe9", "query_not_ascii"),
        (lambda q: "SAMLRequest=" + "A" * 70_000, "too_large"),
        (lambda q: q.split("&")[0] + "&RelayState=%ff", "relay_state"),
    ],
    ids=[
        *("relay_state_only", "empty", "two_kinds", "message_twice", "relay_state_twice", "escaped_second", "escaped"),
        *("algorithm_only", "signature_only", "encoding", "base64", "not_ascii", "long", "relay_state_bytes"),
    ],
)
@pytest.mark.security("S45")
def test_a_query_that_can_be_read_in_two_ways_is_refused(change, reason):
    assert refusal(change(query_of())) == reason


@pytest.mark.spec("SAMLBind-3.4.3")
@pytest.mark.security("S22")
@pytest.mark.parametrize("value", ["x" * 1025, "é" * 513, "a\nb", "a\x00b", "\u202eabc", "\ud800"])
def test_a_relay_state_that_is_too_long_or_not_printable_is_refused(value):
    with pytest.raises(RedirectRefused, match="relay_state"):
        redirect.check_relay_state(value)


@pytest.mark.spec("SAMLBind-3.4.3")
@pytest.mark.parametrize("value", ["x" * 1024, "https://sp.example.org/?a=b&c=日本", "'\"><script>"])
def test_a_relay_state_is_kept_as_it_is(value):
    assert redirect.check_relay_state(value) == value


def test_an_empty_relay_state_is_none():
    assert redirect.check_relay_state("") is redirect.check_relay_state(None) is None


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=120))
def test_no_query_does_more_than_being_refused(text):
    for query in (text, f"SAMLRequest={text}"):
        with pytest.raises(xml.Refused):
            redirect.decode(query)
