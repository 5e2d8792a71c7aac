"""Answer a request: decide what is said, note it, sign it (SAMLProf-4.1.4.2)."""

from __future__ import annotations

import logging

from django.db import transaction
from django.utils import timezone

from cas_saml.attributes import release
from cas_saml.saml import assertions, messages, name_ids, xml
from cas_saml.saml.assertions import Statement
from cas_saml.saml.entity import Entity
from cas_saml.saml.errors import Fault, SAMLError
from cas_saml.saml.models import SAMLSession, ServiceProvider
from cas_saml.saml.requests import AuthnRequest
from identity import audit
from identity.context import RequestContext
from identity.directory import profiles
from identity.errors import StateInvalid
from identity.events import EventType
from identity.models import SSOSession
from identity.retries import retried
from identity.sso import access, sessions

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
    profile = profiles.profile_of(user=user, application=application)
    authn_class = wanted.wish.stated(session)
    kind, value = name_ids.value_for(provider, wanted.policy, profile=profile, session=session)
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
        attributes=release(profile, provider.attributes),
    )
    try:
        credential = assertions.credential_for(provider, session.tenant)
        response = assertions.success(statement, provider, credential=credential)
    except xml.Refused as error:  # the provider's certificate, of which operators are warned
        raise SAMLError(Fault.INTERNAL, log_detail=f"{error.reason} {error.log_detail}") from error
    _grant(wanted, provider=provider, session=session, statement=statement, context=context)
    return response


def _told(provider: ServiceProvider, session: SSOSession, kind: str, value: str) -> SAMLSession:
    """Return the words by which the provider will speak of this session: the same ones each time."""
    row, _created = SAMLSession.objects.get_or_create(
        session=session,
        service_provider=provider,
        name_id_format=kind,
        name_id=value,
        defaults={"tenant": session.tenant, "session_index": xml.new_id()},
    )
    return row


@retried
def _grant(
    wanted: AuthnRequest,
    *,
    provider: ServiceProvider,
    session: SSOSession,
    statement: Statement,
    context: RequestContext,
) -> None:
    with transaction.atomic():
        # Lock the session: its end either waits and then tells this provider, or came first and refuses the sign-in.
        if not SSOSession.objects.select_for_update(no_key=True).filter(pk=session.pk, ended_at=None).exists():
            raise StateInvalid(log_detail=f"session={session.pk} ended")
        if not wanted.is_unsolicited:
            messages.spend(wanted.message_id, provider=provider)
        sessions.join(
            session,
            provider.application,
            protocol=PROTOCOL,
            client_ref=provider.public_id,
            data={"issuer": statement.issuer},
        )
        audit.record(
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
