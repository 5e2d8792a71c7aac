"""The HTTP-Redirect binding (SAMLBind-3.4): deflated messages in query strings, and signatures over the query string.

Signatures are checked over the octets that came, not over a new encoding of what was decoded: senders escape
differently, and what was checked must be what is read.
"""

from __future__ import annotations

import base64
import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_plus

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from cas_saml.saml import xml
from cas_saml.saml.certificates import Credential
from cas_saml.saml.signatures import DEFAULT_ALGORITHM, SIGNING, SignatureRefused
from cas_saml.saml.xml import RAW_DEFLATE, Element, Refused

log = logging.getLogger(__name__)

# SAMLBind-3.4.3 says 80 bytes, and senders put whole addresses there. Ours have at most 80.
MAX_RELAY_STATE_BYTES = 1024


class RedirectRefused(Refused):
    """The query string is no message of this binding."""


@dataclass(frozen=True)
class RedirectMessage:
    """One message of a query string. Nothing of it is authentic before `verify`."""

    parameter: str  # SAMLRequest or SAMLResponse
    element: Element
    relay_state: str | None
    signature_algorithm: str | None  # None: unsigned
    signature: bytes
    signed_octets: bytes

    @property
    def is_signed(self) -> bool:
        return self.signature_algorithm is not None


_DEFLATE = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"
_MESSAGES = ("SAMLRequest", "SAMLResponse")
_NAMES = frozenset({*_MESSAGES, "RelayState", "SigAlg", "Signature", "SAMLEncoding"})
# A query string longer than this is refused by most servers; ours takes less than 8 kB.
_MAX_QUERY_CHARACTERS = 64 * 1024

SHA1_URI = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
_RSA_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": hashes.SHA256(),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384": hashes.SHA384(),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": hashes.SHA512(),
}
_EC_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": hashes.SHA256(),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": hashes.SHA384(),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": hashes.SHA512(),
}


# In --------------------------------------------------------------------------------------------------------


def decode(query_string: str) -> RedirectMessage:
    """Read a query string as the server got it (QUERY_STRING). Raises RedirectRefused and XMLRefused."""
    raw = _parameters(query_string)
    names = [name for name in _MESSAGES if name in raw]
    if len(names) != 1:
        raise RedirectRefused("message_missing" if not names else "two_messages")
    if "SAMLEncoding" in raw and unquote(raw["SAMLEncoding"]) != _DEFLATE:
        raise RedirectRefused("encoding_unknown")
    if ("SigAlg" in raw) != ("Signature" in raw):
        raise RedirectRefused("half_signature")
    relay_state = check_relay_state(_text(raw["RelayState"])) if "RelayState" in raw else None
    # SAMLBind-3.4.4.1: these, in this order, as they were escaped.
    covered = [f"{name}={raw[name]}" for name in (names[0], "RelayState", "SigAlg") if name in raw]
    return RedirectMessage(
        parameter=names[0],
        element=xml.parse(xml.inflate(_octets(raw[names[0]]))),
        relay_state=relay_state,
        signature_algorithm=unquote(raw["SigAlg"]) if "SigAlg" in raw else None,
        signature=_octets(raw["Signature"]) if "Signature" in raw else b"",
        signed_octets="&".join(covered).encode("ascii"),
    )


def _parameters(query_string: str) -> dict[str, str]:
    """SAML's parameters, still escaped. Others are somebody's own and not ours to judge."""
    if len(query_string) > _MAX_QUERY_CHARACTERS:
        raise RedirectRefused("too_large")
    if not query_string.isascii():
        raise RedirectRefused("query_not_ascii")
    raw: dict[str, str] = {}
    for pair in query_string.split("&"):
        name, _, value = pair.partition("=")
        plain = unquote_plus(name)
        if plain not in _NAMES:
            continue
        # S45: of two values one would be checked and the other one read. An escaped name is a second spelling.
        if plain in raw or plain != name:
            raise RedirectRefused("repeated_parameter")
        raw[plain] = value
    return raw


def _octets(value: str) -> bytes:
    # Base64 has no space, so a plus sign is itself even where the sender forgot to escape it.
    return xml.decode_base64(unquote(value))


def _text(value: str) -> str:
    try:
        return unquote_plus(value, errors="strict")
    except UnicodeDecodeError as error:
        raise RedirectRefused("relay_state") from error


def check_relay_state(value: str | None) -> str | None:
    """Take a RelayState as it is, or refuse it; it goes back to the sender and means nothing to us (S22).

    Empty is None. Raises RedirectRefused.
    """
    if not value:
        return None
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise RedirectRefused("relay_state") from error
    if size > MAX_RELAY_STATE_BYTES or not value.isprintable():
        raise RedirectRefused("relay_state")
    return value


def verify(message: RedirectMessage, certificates: Sequence[x509.Certificate], *, allow_sha1: bool = False) -> Element:
    """Return the message's element if a key of the certificates signed the query. Raises SignatureRefused."""
    algorithm = message.signature_algorithm
    if algorithm is None:
        raise SignatureRefused("unsigned")
    if algorithm == SHA1_URI and not allow_sha1:
        raise SignatureRefused("sha1")
    if algorithm != SHA1_URI and algorithm not in _RSA_HASHES and algorithm not in _EC_HASHES:
        raise SignatureRefused("algorithm")
    if not certificates:
        raise SignatureRefused("no_certificate")
    if not any(_is_signed_by(message, algorithm, certificate) for certificate in certificates):
        raise SignatureRefused("signature_wrong")
    if algorithm == SHA1_URI:
        log.warning("saml.signature_sha1", extra={"element": message.element.tag})
    return message.element


def _is_signed_by(message: RedirectMessage, algorithm: str, certificate: x509.Certificate) -> bool:
    public = certificate.public_key()
    try:
        if isinstance(public, rsa.RSAPublicKey) and algorithm not in _EC_HASHES:
            digest = _RSA_HASHES.get(algorithm) or hashes.SHA1()  # noqa: S303 - flagged by the caller
            public.verify(message.signature, message.signed_octets, padding.PKCS1v15(), digest)
        elif isinstance(public, ec.EllipticCurvePublicKey) and algorithm in _EC_HASHES:
            signature = _der(message.signature, public)
            public.verify(signature, message.signed_octets, ec.ECDSA(_EC_HASHES[algorithm]))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _der(signature: bytes, public: ec.EllipticCurvePublicKey) -> bytes:
    """XML Signature has the two numbers side by side (RFC4050-3.3); cryptography wants them in DER."""
    size = (public.key_size + 7) // 8
    if len(signature) != 2 * size:
        raise InvalidSignature
    return encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))


# Out -------------------------------------------------------------------------------------------------------


def encode(
    location: str,
    *,
    parameter: str,
    message: Element,
    relay_state: str | None = None,
    credential: Credential | None = None,
    algorithm: str = DEFAULT_ALGORITHM,
) -> str:
    """Return the URL that carries a message, signed if there is a credential. An enveloped signature may not be in it.

    location: an address from a registration; its own query stays.
    """
    query = f"{parameter}={_escaped(deflate(xml.serialize(message)))}"
    if relay_state:
        query += f"&RelayState={quote(relay_state, safe='')}"
    if credential is not None:
        method, _digest = SIGNING[algorithm]
        query += f"&SigAlg={quote(method.value, safe='')}"
        query += f"&Signature={_escaped(_signature(query.encode('ascii'), credential, method.value))}"
    return f"{location}{'&' if '?' in location else '?'}{query}"


def deflate(data: bytes) -> bytes:
    """DEFLATE as SAMLBind-3.4.4.1 wants it: no header, no checksum."""
    compressor = zlib.compressobj(wbits=RAW_DEFLATE)
    return compressor.compress(data) + compressor.flush()


def _escaped(octets: bytes) -> str:
    return quote(base64.b64encode(octets).decode("ascii"), safe="")


def _signature(octets: bytes, credential: Credential, method: str) -> bytes:
    private = credential.private
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(octets, padding.PKCS1v15(), _RSA_HASHES[method])
    r, s = decode_dss_signature(private.sign(octets, ec.ECDSA(_EC_HASHES[method])))
    size = (private.key_size + 7) // 8
    return r.to_bytes(size) + s.to_bytes(size)
