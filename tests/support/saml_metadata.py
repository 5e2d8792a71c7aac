"""Metadata of service providers, written by hand."""

from __future__ import annotations

from tests.factories.saml import pem
from tests.specs.saml_party import NS

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
