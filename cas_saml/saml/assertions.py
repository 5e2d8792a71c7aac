"""Responses and assertions (SAMLCore-2.3.3, SAMLProf-4.1.4.2): built as elements, signed, encrypted, serialised.

The target, the audience and the recipient are the registration's. Everything here is pure: what is said was decided
before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lxml import etree

from cas_saml.conf import conf
from cas_saml.saml import certificates, encryption, formats, signatures, xml
from cas_saml.saml.certificates import Credential
from cas_saml.saml.errors import SUCCESS, ErrorSpec
from cas_saml.saml.models import ServiceProvider
from cas_saml.saml.xml import Attributes, Element, Node
from identity.models import Tenant

_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
_URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"


@dataclass(frozen=True)
class Statement:
    """What is said of one person to one provider."""

    issuer: str  # our entity ID
    audience: str  # the provider's
    consumer_url: str
    in_response_to: str  # "" where nobody asked
    name_id: str
    name_id_format: str  # a short name of `formats`
    authenticated_at: datetime
    session_index: str
    session_expires_at: datetime
    authn_class: str
    issued_at: datetime
    attributes: Mapping[str, Any] = field(default_factory=dict)  # name to value or values, None where there is none


def credential_for(provider: ServiceProvider, tenant: Tenant) -> Credential:
    """Return the key that signs for a provider."""
    return certificates.active(tenant=tenant, algorithm=signatures.key_algorithm(provider.signature_algorithm))


def success(statement: Statement, provider: ServiceProvider, *, credential: Credential) -> bytes:
    """Return the signed Response with its assertion, as bytes that must not be reformatted. Raises xml.Refused."""
    made = xml.make(assertion(statement))
    algorithm = provider.signature_algorithm
    if provider.sign_assertion:
        made = signatures.sign(made, credential, algorithm=algorithm)
    if provider.encrypt_assertions:
        # SAMLCore-6.2: signed first, so that the signature is hidden too.
        made = encryption.encrypt(
            made,
            certificates.load(provider.encryption_certificate),
            data_algorithm=provider.encryption_algorithm,
            key_algorithm=provider.key_transport,
        )
    response = _response(
        "samlp:Response",
        made,
        issuer=statement.issuer,
        destination=statement.consumer_url,
        in_response_to=statement.in_response_to,
        issued_at=statement.issued_at,
        status=status(SUCCESS),
    )
    if provider.sign_response:
        response = signatures.sign(response, credential, algorithm=algorithm)
    return xml.serialize(response)


def refusal(
    spec: ErrorSpec,
    provider: ServiceProvider,
    *,
    issuer: str,
    consumer_url: str,
    in_response_to: str,
    issued_at: datetime,
    credential: Credential,
) -> bytes:
    """Return the signed Response that says what was wrong."""
    response = _response(
        "samlp:Response",
        issuer=issuer,
        destination=consumer_url,
        in_response_to=in_response_to,
        issued_at=issued_at,
        status=status(spec.status, spec.second_status, spec.text),
    )
    return xml.serialize(signatures.sign(response, credential, algorithm=provider.signature_algorithm))


def logout_response(
    *, issuer: str, destination: str, in_response_to: str, issued_at: datetime, status_node: Node
) -> Element:
    """Return a LogoutResponse (SAMLCore-3.7.2), not yet signed: that is the binding's matter."""
    return _response(
        "samlp:LogoutResponse",
        issuer=issuer,
        destination=destination,
        in_response_to=in_response_to,
        issued_at=issued_at,
        status=status_node,
    )


def status(code: str, second: str = "", text: str = "") -> Node:
    """Return a samlp:Status (SAMLCore-3.2.2.1)."""
    inner = Node("samlp:StatusCode", attributes={"Value": second}) if second else None
    message = Node("samlp:StatusMessage", text) if text else None
    return Node("samlp:Status", [Node("samlp:StatusCode", [inner], {"Value": code}), message])


def name_id(value: str, kind: str, *, issuer: str, audience: str) -> Node:
    """Return a saml:NameID (SAMLCore-2.2.3). The lasting and the passing ones say between whom they hold."""
    is_qualified = kind in (formats.PERSISTENT, formats.TRANSIENT)
    attributes = {
        "Format": formats.URIS[kind],
        "NameQualifier": issuer if is_qualified else None,
        "SPNameQualifier": audience if is_qualified else None,
    }
    return Node("saml:NameID", value, attributes)


def assertion(statement: Statement) -> Node:
    """Return the saml:Assertion, not yet signed."""
    not_after = statement.issued_at + conf.saml_assertion_lifetime
    confirmation_data = {
        "InResponseTo": statement.in_response_to or None,
        "NotOnOrAfter": not_after,
        "Recipient": statement.consumer_url,
    }
    name = name_id(statement.name_id, statement.name_id_format, issuer=statement.issuer, audience=statement.audience)
    confirmed = Node("saml:SubjectConfirmationData", attributes=confirmation_data)
    conditions = Node(
        "saml:Conditions",
        [Node("saml:AudienceRestriction", [Node("saml:Audience", statement.audience)])],
        # Clocks of providers may be behind ours.
        {"NotBefore": statement.issued_at - conf.saml_clock_skew, "NotOnOrAfter": not_after},
    )
    authn_statement = Node(
        "saml:AuthnStatement",
        [Node("saml:AuthnContext", [Node("saml:AuthnContextClassRef", statement.authn_class)])],
        {
            "AuthnInstant": statement.authenticated_at,
            "SessionIndex": statement.session_index,
            "SessionNotOnOrAfter": statement.session_expires_at,
        },
    )
    content = [
        Node("saml:Issuer", statement.issuer),
        Node("saml:Subject", [name, Node("saml:SubjectConfirmation", [confirmed], {"Method": _BEARER})]),
        conditions,
        authn_statement,
        attribute_statement(statement.attributes),
    ]
    attributes: Attributes = {"ID": xml.new_id(), "Version": "2.0", "IssueInstant": statement.issued_at}
    return Node("saml:Assertion", content, attributes, prefixes=("xs", "xsi"))


def attribute_statement(attributes: Mapping[str, Any]) -> Node | None:
    """Return the saml:AttributeStatement; None where nothing is released: SAMLCore-2.7.3 allows no empty one."""
    made = [_attribute(name, value) for name, value in attributes.items() if value is not None]
    return Node("saml:AttributeStatement", made) if made else None


def readable(node: Node) -> str:
    """Return an element for people to read: indented, so no signature would fit it."""
    made = xml.make(node)
    etree.indent(made)
    return xml.serialize(made).decode()


def _attribute(name: str, value: Any) -> Node:
    """SAMLProf-8.1 and 8.2: a name with a colon is a URI."""
    values = value if isinstance(value, list) else [value]
    name_format = _URI if ":" in name else _BASIC
    return Node("saml:Attribute", [*map(_value, values)], {"Name": name, "NameFormat": name_format})


def _value(value: Any) -> Node:
    if isinstance(value, bool):
        kind, text = "xs:boolean", "true" if value else "false"
    elif isinstance(value, int):
        kind, text = "xs:integer", str(value)
    elif isinstance(value, datetime):
        kind, text = "xs:dateTime", xml.instant(value)
    else:
        kind, text = "xs:string", str(value)
    return Node("saml:AttributeValue", text, {"xsi:type": kind}, prefixes=("xs", "xsi"))


def _response(
    name: str,
    *content: Element,
    issuer: str,
    destination: str,
    in_response_to: str,
    issued_at: datetime,
    status: Node,
) -> Element:
    attributes: Attributes = {
        "ID": xml.new_id(),
        "Version": "2.0",
        "IssueInstant": issued_at,
        "Destination": destination,
        "InResponseTo": in_response_to or None,
    }
    return xml.element(name, attributes, Node("saml:Issuer", issuer), status, *content)
