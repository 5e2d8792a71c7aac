"""Register service providers and change their registrations: judged, written and audited in one transaction."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from cas_saml.conf import conf
from cas_saml.saml import certificates, provider_metadata
from cas_saml.saml.certificates import CertificateRefused
from cas_saml.saml.models import ServiceProvider
from cas_saml.saml.provider_metadata import MetadataRefused, ProviderMetadata
from identity import audit
from identity.context import RequestContext
from identity.events import EventType
from identity.models import Application

# What may be changed of a registration. Its entity ID and its application are its identity (S37).
FIELDS = (
    "assertion_consumer_services",
    "single_logout_services",
    "signing_certificates",
    "encryption_certificate",
    "metadata_valid_until",
    "requests_must_be_signed",
    "allow_rsa_sha1",
    "sign_response",
    "sign_assertion",
    "signature_algorithm",
    "encrypt_assertions",
    "encryption_algorithm",
    "key_transport",
    "name_id_formats",
    "name_id_source",
    "attributes",
    "allow_unsolicited",
    "default_relay_state",
    "single_logout",
    "is_active",
)


def register(
    *, application: Application, entity_id: str, context: RequestContext, actor: Any = None, **values: Any
) -> ServiceProvider:
    """Register a provider. Raises ValidationError by field."""
    provider = ServiceProvider(application=application, entity_id=entity_id)
    _write(provider, values, context=context, actor=actor)
    return provider


def update(
    provider: ServiceProvider, *, context: RequestContext, actor: Any = None, **values: Any
) -> dict[str, list[Any]]:
    """Change a registration; return what changed, as column to [before, after]. Raises ValidationError by field."""
    return _write(provider, values, context=context, actor=actor)


def parse(data: bytes | str, *, entity_id: str = "") -> ProviderMetadata:
    """Read a provider's metadata, a file's bytes or a text. Raises ValidationError."""
    try:
        return provider_metadata.read(data, entity_id=entity_id)
    except MetadataRefused as error:
        raise ValidationError(str(error)) from error


def _write(
    provider: ServiceProvider, values: dict[str, Any], *, context: RequestContext, actor: Any
) -> dict[str, list[Any]]:
    unknown = sorted(set(values) - set(FIELDS))
    if unknown:
        raise ValidationError(_("Not an attribute of a SAML service provider: %(names)s.") % {"names": unknown[0]})
    before = {name: deepcopy(getattr(provider, name)) for name in FIELDS}
    is_new = provider.pk is None
    for name, value in values.items():
        setattr(provider, name, value)
    provider.full_clean()
    changes = {
        name: [_shown(before[name]), _shown(getattr(provider, name))]
        for name in FIELDS
        if before[name] != getattr(provider, name)
    }
    if not is_new and not changes:
        return {}
    with transaction.atomic():
        provider.save()
        audit.record(
            EventType.ADMIN_CHANGE,
            tenant=provider.application.tenant,
            actor=actor,
            target=provider,
            application=provider.application,
            context=context,
            changes={"entity_id": ["", provider.entity_id], **changes} if is_new else changes,
        )
    return changes


def _shown(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


# Warnings --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expiry:
    """Something of a registration that runs out, or has."""

    what: str  # "signing", "encryption" or "metadata"
    at: datetime
    is_over: bool


def expiries(provider: ServiceProvider, *, now: datetime | None = None) -> list[Expiry]:
    """Return what has run out or soon will, the earliest first. It goes on working: operators decide."""
    now = now or timezone.now()
    dates: list[tuple[str, datetime]] = []
    for text in provider.signing_certificates:
        dates += [("signing", at) for at in _not_after(text)]
    if provider.encryption_certificate:
        dates += [("encryption", at) for at in _not_after(provider.encryption_certificate)]
    if provider.metadata_valid_until is not None:
        dates.append(("metadata", provider.metadata_valid_until))
    soon = now + conf.saml_expiry_warning
    found = [Expiry(what, at, is_over=at <= now) for what, at in dates if at <= soon]
    return sorted(found, key=lambda expiry: expiry.at)


def _not_after(text: str) -> list[datetime]:
    try:
        return [certificates.load(text).not_valid_after_utc]
    except (
        CertificateRefused
    ):  # a rule became stricter since it was registered; `full_clean` says so at the next change
        return []
