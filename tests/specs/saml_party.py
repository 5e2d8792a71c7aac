"""A service provider for black-box tests: it knows our metadata, its own key, and the wire.

Messages are written and read here with lxml, signxml and cryptography directly, not with the code under test.
"""

from __future__ import annotations

import base64
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit
from xml.sax.saxutils import quoteattr

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree
from signxml import DigestAlgorithm, SignatureConfiguration, SignatureMethod, XMLSigner, XMLVerifier

from tests.factories import PASSWORD
from tests.specs.conformance import ISSUER, Browser, Callback, Page, Transport, new_transport

NS = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "xenc": "http://www.w3.org/2001/04/xmlenc#",
}
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SSO, SLO, METADATA = (f"/api/v1/saml2/idp/{name}" for name in ("sso", "slo", "metadata"))
IDP = f"{ISSUER}{METADATA}"


def now() -> str:
    return instant(datetime.now(UTC))


def instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def new_id() -> str:
    return f"_{secrets.token_hex(16)}"


@dataclass
class Party:
    """A service provider, and the person who uses it."""

    entity_id: str
    acs: str
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    user_name: str = ""
    password: str = PASSWORD
    api: Transport = field(default_factory=new_transport)

    # Requests --------------------------------------------------------------------------------------------------

    def authn_request(self, *content: str, **changes: str | None) -> str:
        """A valid AuthnRequest with changed attributes; None takes one away."""
        attributes = {
            "ID": new_id(),
            "Version": "2.0",
            "IssueInstant": now(),
            "Destination": f"{ISSUER}{SSO}",
            "AssertionConsumerServiceURL": self.acs,
            "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
            **changes,
        }
        return self.message("AuthnRequest", attributes, *content)

    def logout_request(self, name_id: str, *session_index: str, extra: str = "", **changes: str | None) -> str:
        """A valid LogoutRequest. name_id: the element."""
        attributes = {
            "ID": new_id(),
            "Version": "2.0",
            "IssueInstant": now(),
            "Destination": f"{ISSUER}{SLO}",
            **changes,
        }
        indexes = "".join(f"<samlp:SessionIndex>{index}</samlp:SessionIndex>" for index in session_index)
        return self.message("LogoutRequest", attributes, extra, name_id, indexes)

    def logout_response(self, in_response_to: str, *, status: str = "Success", **changes: str | None) -> str:
        attributes = {
            "ID": new_id(),
            "Version": "2.0",
            "IssueInstant": now(),
            "Destination": f"{ISSUER}{SLO}",
            "InResponseTo": in_response_to,
            **changes,
        }
        code = f'<samlp:Status><samlp:StatusCode Value="{STATUS}{status}"/></samlp:Status>'
        return self.message("LogoutResponse", attributes, code)

    def message(self, name: str, attributes: Mapping[str, str | None], *content: str) -> str:
        written = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items() if value is not None)
        return (
            f'<samlp:{name} xmlns:samlp="{NS["samlp"]}" xmlns:saml="{NS["saml"]}"{written}>'
            f"<saml:Issuer>{self.entity_id}</saml:Issuer>{''.join(content)}</samlp:{name}>"
        )

    # Bindings --------------------------------------------------------------------------------------------------

    def redirect_url(
        self,
        message: str,
        *,
        path: str = SSO,
        parameter: str = "SAMLRequest",
        relay_state: str | None = None,
        signed: bool = False,
    ) -> str:
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        deflated = compressor.compress(message.encode()) + compressor.flush()
        pairs = [(parameter, base64.b64encode(deflated).decode())]
        if relay_state is not None:
            pairs.append(("RelayState", relay_state))
        if signed:
            pairs.append(("SigAlg", RSA_SHA256))
        query = urlencode(pairs, quote_via=quote)
        if signed:
            signature = self.key.sign(query.encode(), padding.PKCS1v15(), hashes.SHA256())
            query += "&" + urlencode({"Signature": base64.b64encode(signature).decode()}, quote_via=quote)
        return f"{path}?{query}"

    def form(
        self,
        message: str,
        *,
        parameter: str = "SAMLRequest",
        relay_state: str | None = None,
        signed: bool = False,
    ) -> dict[str, str]:
        data = self.sign(message) if signed else message.encode()
        fields = {parameter: base64.b64encode(data).decode()}
        return fields if relay_state is None else {**fields, "RelayState": relay_state}

    def sign(self, message: str) -> bytes:
        root = etree.fromstring(message.encode())
        place = etree.Element(f"{{{NS['ds']}}}Signature", {"Id": "placeholder"}, nsmap={"ds": NS["ds"]})
        root.insert(1, place)
        signer = XMLSigner(
            signature_algorithm=SignatureMethod.RSA_SHA256,
            digest_algorithm=DigestAlgorithm.SHA256,
            c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",  # type: ignore[arg-type]
        )
        signed = signer.sign(
            root, key=self.key, cert=[self.certificate], reference_uri=f"#{root.get('ID')}", id_attribute="ID"
        )
        return bytes(etree.tostring(signed))

    # Going through a sign-in -----------------------------------------------------------------------------------

    def start(self, browser: Browser, message: str | None = None, **options: Any) -> Page | Callback:
        return browser.get(self.redirect_url(message or self.authn_request(), **options))

    def sign_in(self, browser: Browser, place: Page | Callback | None = None) -> Answer:
        """Go through the sign-in page where there is one, and read what arrives."""
        place = place or self.start(browser)
        if isinstance(place, Page):
            place = browser.sign_in(place, self.user_name, self.password)
        return self.read(place)

    def read(self, place: Page | Callback) -> Answer:
        """What arrived at the assertion consumer service."""
        assert isinstance(place, Callback), (place.status, place.text)
        assert (place.address, place.mode) == (self.acs, "form_post")
        params = place.params
        return Answer(self, base64.b64decode(params["SAMLResponse"]), params.get("RelayState"), place)

    def idp_certificates(self) -> list[x509.Certificate]:
        root = etree.fromstring(self.api.get(METADATA, secure=True).content)
        texts = root.xpath("//md:KeyDescriptor[@use='signing']//ds:X509Certificate/text()", namespaces=NS)
        return [x509.load_der_x509_certificate(base64.b64decode(text)) for text in texts]


@dataclass
class Answer:
    """A Response as it arrived."""

    party: Party
    data: bytes
    relay_state: str | None
    callback: Callback

    @property
    def root(self) -> Any:
        return etree.fromstring(self.data)

    def find(self, path: str) -> Any:
        found = self.root.xpath(path, namespaces=NS)
        return found[0] if found else None

    @property
    def status(self) -> tuple[str, ...]:
        """The codes, top-level first, without their prefix."""
        values = self.root.xpath("./samlp:Status//samlp:StatusCode/@Value", namespaces=NS)
        return tuple(value.removeprefix(STATUS) for value in values)

    def verified(self, path: str) -> Any:
        """The element at a path, as the IdP's current key signed it."""
        element = self.find(path)
        assert element is not None, self.data
        certificate = self.party.idp_certificates()[0]
        # Its own signature only, and as a document of its own.
        alone = etree.fromstring(etree.tostring(element, exclusive=False, with_tail=False))
        for nested in alone.xpath("./saml:Assertion/ds:Signature", namespaces=NS):
            assert alone.tag.endswith("Response")
            del nested
        result = XMLVerifier().verify(
            alone, x509_cert=certificate, id_attribute="ID", expect_config=_own_signature(element)
        )
        assert not isinstance(result, list)
        return result.signed_xml

    @property
    def assertion(self) -> Any:
        return self.verified("./saml:Assertion")

    @property
    def name_id(self) -> Any:
        return self.find(".//saml:Subject/saml:NameID")

    @property
    def name_id_xml(self) -> str:
        """As a LogoutRequest repeats it."""
        name_id = self.name_id
        attributes = "".join(f' {key}="{value}"' for key, value in name_id.attrib.items())
        return f"<saml:NameID{attributes}>{name_id.text}</saml:NameID>"

    @property
    def session_index(self) -> str:
        return str(self.find(".//saml:AuthnStatement/@SessionIndex"))

    @property
    def authn_class(self) -> str:
        return str(self.find(".//saml:AuthnContextClassRef").text)

    @property
    def attributes(self) -> dict[str, list[str]]:
        return {
            each.get("Name"): [value.text for value in each]
            for each in self.root.xpath(".//saml:Attribute", namespaces=NS)
        }


def _own_signature(element: Any) -> Any:
    return SignatureConfiguration(location="./", expect_references=1)


def query_message(address: str) -> tuple[str, dict[str, str], Any]:
    """What a Redirect binding carries: the address, its parameters, and the message."""
    parts = urlsplit(address)
    params = dict(parse_qsl(parts.query))
    name = "SAMLRequest" if "SAMLRequest" in params else "SAMLResponse"
    inflated = zlib.decompress(base64.b64decode(params[name]), -15)
    return f"{parts.scheme}://{parts.netloc}{parts.path}", params, etree.fromstring(inflated)


def verify_query(address: str, certificate: x509.Certificate) -> None:
    """Check the signature of a Redirect binding. Raises InvalidSignature."""
    query = urlsplit(address).query
    signed, _, signature = query.rpartition("&Signature=")
    public = certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(base64.b64decode(unquote(signature)), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
