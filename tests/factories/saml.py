"""Rows of SAML: service providers with keys of their own. Making an RSA key takes a while, so there are few."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from itertools import count
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from cas_saml.models import ServiceProvider
from cas_saml.saml import certificates
from cas_saml.saml.certificates import Credential
from identity.keyring import keys
from identity.models import Application, KeyUse, Tenant
from tests.factories import make_application
from tests.factories.keys import make_keys

_numbers = count(1)


@cache
def provider_credential(number: int = 0, alg: str = "RS256") -> Credential:
    """The number-th key pair of providers in this process, with its certificate."""
    private = keys.generate(alg)
    certificate = certificates.make(private, kid=f"sp-{number}", not_before=datetime(2026, 1, 1, tzinfo=UTC))
    return Credential(kid=f"sp-{number}", algorithm=alg, private=private, certificate=certificate)


def pem(number: int = 0) -> str:
    """Its certificate, as a registration keeps it."""
    return certificates.to_pem(provider_credential(number).certificate)


def private_key(number: int = 0) -> rsa.RSAPrivateKey:
    """Its private key."""
    private = provider_credential(number).private
    assert isinstance(private, rsa.RSAPrivateKey)
    return private


def make_saml_keys(tenant: Tenant) -> None:
    """The tenant's keys for SAML, ready-made."""
    make_keys(tenant, use=KeyUse.SAML)


def make_service_provider(
    application: Application | None = None, *, tenant: Tenant | None = None, **values: Any
) -> ServiceProvider:
    """A provider with one address for assertions and one for each binding of logout, and a key that signs."""
    entry = application or make_application(tenant)
    origin = f"https://sp{next(_numbers)}.example"
    defaults: dict[str, Any] = {
        "entity_id": f"{origin}/metadata",
        "assertion_consumer_services": [{"location": f"{origin}/acs"}],
        "signing_certificates": [pem()],
    }
    provider = ServiceProvider(application=entry, **{**defaults, **values})
    provider.full_clean()
    provider.save()
    return provider


__all__ = ["make_saml_keys", "make_service_provider", "pem", "private_key", "provider_credential"]
