"""Answer a request: decide what is said, note it, sign it (SAMLProf-4.1.4.2)."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from django.db import transaction
from django.utils import timezone

from cas_saml import attributes
from cas_saml.saml import assertions, formats, messages, xml
from cas_saml.saml.assertions import Statement
from cas_saml.saml.entity import Entity
from cas_saml.saml.errors import Fault, SAMLError
from cas_saml.saml.models import MAX_NAME_ID, PersistentName, SAMLSession, ServiceProvider
from cas_saml.saml.requests import AuthnRequest, choose_format
from identity import audit
from identity.context import RequestContext
from identity.directory.profiles import Profile
from identity.errors import StateInvalid
from identity.events import EventType
from identity.models import SSOSession, User
from identity.retries import retried
from identity.sso import access, sessions
from identity.statements import Bound, Select, Upsert, write

log = logging.getLogger(__name__)

PROTOCOL = "saml"


def answer(
    wanted: AuthnRequest, *, provider: ServiceProvider, session: SSOSession, entity: Entity, context: RequestContext
) -> bytes:
    """Return the signed Response about the person of this session.

    Raises SAMLError and the refusals of the gate, which the provider hears; MessageRefused for a request that was
    answered before.
    """
    user, application = session.user, provider.application
    access.check(session=session, application=application)
    authn_class = wanted.wish.stated(session)
    kind = choose_format(provider, wanted.policy)
    profile = Profile(user=user, application=application)
    value = name_for(provider, kind, profile=profile, session=session, allow_create=wanted.policy.allow_create)
    if wanted.subject and wanted.subject != value:
        raise SAMLError(Fault.SUBJECT, log_detail=f"user={user.pk}")
    told = _told(provider, session, kind, value)
    statement = Statement(
        issuer=entity.entity_id,
        audience=provider.entity_id,
        consumer_url=wanted.consumer_url,
        in_response_to=wanted.message_id,
        name_id=value,
        name_id_format=kind,
        authenticated_at=session.authenticated_at,
        session_index=told.session_index,
        session_expires_at=session.expires_at,
        authn_class=authn_class,
        issued_at=timezone.now(),
        attributes=attributes.release(profile, provider.attributes, session=session),
    )
    try:
        credential = assertions.credential_for(provider, session.tenant)
        response = assertions.success(statement, provider, credential=credential)
    except xml.Refused as error:  # the provider's certificate, of which operators are warned
        raise SAMLError(Fault.INTERNAL, log_detail=f"{error.reason} {error.log_detail}") from error
    _grant(wanted, provider=provider, session=session, statement=statement, context=context)
    return response


# The name (SAMLCore-3.4.1.1, 8.3) -----------------------------------------------------------------------------


def name_for(
    provider: ServiceProvider, kind: str, *, profile: Profile, session: SSOSession, allow_create: bool = True
) -> str:
    """Return the person's name of this kind. Raises SAMLError where there is none."""
    if kind == formats.PERSISTENT:
        value = _persistent(provider, profile.user, allow_create=allow_create)
    elif kind == formats.TRANSIENT:
        value = _transient(provider, session)
    elif kind == formats.EMAIL:
        # S23: providers link accounts by it, so it has to be the person's own.
        value = profile.email if profile.email_verified else ""
    else:
        value = plain(profile, provider.name_id_source)
    if not value or len(value) > MAX_NAME_ID:
        raise SAMLError(Fault.NAME_ID_POLICY, log_detail=f"user={profile.user.pk} has no {kind} name")
    return value


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


# What is kept ----------------------------------------------------------------------------------------------


def _told(provider: ServiceProvider, session: SSOSession, kind: str, value: str) -> SAMLSession:
    """Return the words by which the provider will speak of this session: the same ones each time."""
    known = _TOLD.first(session.pk, provider.pk, kind, value)
    if known is not None:
        return known
    row = SAMLSession(
        tenant=session.tenant,
        session=session,
        service_provider=provider,
        name_id_format=kind,
        name_id=value,
        session_index=xml.new_id(),
    )
    if write(gate=[Upsert(row, by=("session", "service_provider", "name_id_format", "name_id"))]):
        return row
    # Of two requests at once, the second one finds what the first one made.
    return SAMLSession.objects.get(session=session, service_provider=provider, name_id_format=kind, name_id=value)


_TOLD = Select(
    lambda session, provider, kind, name_id: SAMLSession.objects.filter(
        session=session, service_provider=provider, name_id_format=kind, name_id=name_id
    )[:1]
)


@retried
def _grant(
    wanted: AuthnRequest,
    *,
    provider: ServiceProvider,
    session: SSOSession,
    statement: Statement,
    context: RequestContext,
) -> None:
    event = audit.describe(
        EventType.ASSERTION_GRANT,
        tenant=session.tenant,
        actor=session.user,
        target=provider,
        application=provider.application,
        client_id=provider.public_id,
        dialect=PROTOCOL,
        sid=session.sid,
        context=context,
        details={"format": statement.name_id_format, "class": statement.authn_class},
    )
    # Locks the session: its end either waits and then tells this provider, or came first and refuses the sign-in.
    gate: list[Bound | Upsert] = [_NOT_ENDED.bind(session.pk)]
    if wanted.message_id:
        gate.append(messages.use(wanted.message_id, provider=provider))
    joined: dict[str, Any] = {
        "session": session,
        "application": provider.application,
        "protocol": PROTOCOL,
        "client_ref": provider.public_id,
        "data": {"issuer": statement.issuer},
    }
    if sessions.write_joined(event, gate=gate, **joined):
        return
    if not SSOSession.objects.filter(pk=session.pk, ended_at=None).exists():
        raise StateInvalid(log_detail=f"session={session.pk} ended")
    with transaction.atomic():
        if wanted.message_id:
            # Refused, unless its use is so long ago that it is over.
            messages.spend(wanted.message_id, provider=provider)
        if not sessions.write_joined(event, gate=gate[:1], **joined):
            raise StateInvalid(log_detail=f"session={session.pk} ended")


_NOT_ENDED = Select(
    lambda pk: SSOSession.objects.select_for_update(no_key=True).filter(pk=pk, ended_at=None).only("pk")[:1]
)


def refuse(
    error: SAMLError, wanted: AuthnRequest, *, provider: ServiceProvider, entity: Entity, context: RequestContext
) -> bytes:
    """Return the signed Response that says what was wrong; log and audit it. Raises MessageRefused for a repeat."""
    with transaction.atomic():
        # A refusal answers the request too.
        messages.spend(wanted.message_id, provider=provider)
    log.info("saml.refused", extra={"reason": error.fault.value, "detail": error.log_detail})
    audit.record(
        EventType.ASSERTION_GRANT,
        tenant=provider.tenant,
        outcome="refused",
        reason=error.fault.value,
        target=provider,
        application=provider.application,
        client_id=provider.public_id,
        dialect=PROTOCOL,
        context=context,
    )
    return assertions.refusal(
        error.spec,
        provider,
        issuer=entity.entity_id,
        consumer_url=wanted.consumer_url,
        in_response_to=wanted.message_id,
        issued_at=timezone.now(),
        credential=assertions.credential_for(provider, provider.tenant),
    )
