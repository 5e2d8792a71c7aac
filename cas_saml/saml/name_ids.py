"""Name identifiers: which kind a request is given, and what it is for one person (SAMLCore-3.4.1.1, 8.3)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from cas_saml import attributes
from cas_saml.saml import formats
from cas_saml.saml.errors import Fault, SAMLError
from cas_saml.saml.models import MAX_NAME_ID, PersistentName, SAMLSession, ServiceProvider
from identity.directory.profiles import Profile
from identity.models import SSOSession, User


@dataclass(frozen=True)
class Policy:
    """The NameIDPolicy of a request."""

    format: str = ""  # a short name of `formats`; "" leaves it to the registration
    allow_create: bool = True


def choose(provider: ServiceProvider, policy: Policy) -> str:
    """Choose the kind of name for a request. Raises SAMLError if the provider may not have what it asks for."""
    if not policy.format:
        return str(provider.name_id_formats[0])
    if policy.format not in provider.name_id_formats:
        raise SAMLError(Fault.NAME_ID_POLICY, log_detail=f"{policy.format} is not for this provider")
    return policy.format


def value_for(provider: ServiceProvider, policy: Policy, *, profile: Profile, session: SSOSession) -> tuple[str, str]:
    """Return the kind of name and the name. Raises SAMLError where the person has none."""
    kind = choose(provider, policy)
    if kind == formats.PERSISTENT:
        value = _persistent(provider, profile.user, allow_create=policy.allow_create)
    elif kind == formats.TRANSIENT:
        value = _transient(provider, session)
    elif kind == formats.EMAIL:
        # S23: providers link accounts by it, so it has to be the person's own.
        value = profile.email if profile.email_verified else ""
    else:
        value = plain(profile, provider.name_id_source)
    if not value or len(value) > MAX_NAME_ID:
        raise SAMLError(Fault.NAME_ID_POLICY, log_detail=f"user={profile.user.pk} has no {kind} name")
    return kind, value


def plain(profile: Profile, source: str) -> str:
    """Return the value of a source as a name; "" where there is none, or several."""
    value = attributes.release(profile, {"name": source})["name"]
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    return value if isinstance(value, str) else "" if value is None else str(value)


def find_persistent(provider: ServiceProvider, user: User) -> str:
    """Return the person's lasting name at the provider; "" where there is none yet."""
    return (
        PersistentName.objects.filter(service_provider=provider, user=user).values_list("value", flat=True).first()
        or ""
    )


def _persistent(provider: ServiceProvider, user: User, *, allow_create: bool) -> str:
    value = find_persistent(provider, user)
    if value or not allow_create:
        return value
    # Of two requests at once, the second one finds what the first one made.
    row, _created = PersistentName.objects.get_or_create(
        service_provider=provider, user=user, defaults={"value": secrets.token_urlsafe(24)}
    )
    return row.value


def _transient(provider: ServiceProvider, session: SSOSession) -> str:
    """Return one for each session with the provider (SAMLCore-8.3.8), so that a sign-out can speak of it."""
    told = SAMLSession.objects.filter(
        session=session, service_provider=provider, name_id_format=formats.TRANSIENT
    ).order_by("pk")
    return told.values_list("name_id", flat=True).first() or f"_{secrets.token_hex(20)}"
