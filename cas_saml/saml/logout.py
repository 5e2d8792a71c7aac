"""Single logout, both ways (SAMLCore-3.7, SAMLProf-4.4).

A provider's LogoutRequest is a command and so is always signed (S20); it ends the SSO sessions in which the provider
was given that name. When a session ends, by whomever, the providers that joined it are told:

- one that has a SOAP endpoint by the outbox, which waits for its answer;
- the others through the browser, where one is there (`FrontChannel`, led by identity.sso.sign_outs). A delivery
  that waits a little stands behind it: it is forestalled by the answer, and else posts the request from here, so that a
  closed browser loses nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from cas_saml.conf import conf
from cas_saml.saml import assertions, endpoints, entity, formats, messages, receipts, redirect, signatures, xml
from cas_saml.saml.endpoints import POST, REDIRECT, SOAP
from cas_saml.saml.entity import Entity
from cas_saml.saml.errors import PARTIAL_LOGOUT, SUCCESS, Fault, MessageRefused, Refusal, SAMLError
from cas_saml.saml.messages import Incoming
from cas_saml.saml.models import MAX_NAME_ID, SAMLSession, ServiceProvider
from cas_saml.saml.sso import PROTOCOL
from cas_saml.saml.xml import Element
from identity import audit, delivery, registry
from identity.context import RequestContext
from identity.delivery import DeliveryFailed
from identity.events import EventType
from identity.models import Delivery, DeliveryState, SessionEndReason, SessionParticipant, SSOSession, Tenant
from identity.purging import Purger
from identity.registry import Visit
from identity.signals import session_ended
from identity.sso import sessions, sign_outs

KIND = "saml_logout"
_REASON_USER = "urn:oasis:names:tc:SAML:2.0:logout:user"
_REASON_ADMIN = "urn:oasis:names:tc:SAML:2.0:logout:admin"
# Who ends a session in these ways sits before a browser of it.
_BY_BROWSER = frozenset({SessionEndReason.SIGNED_OUT, SessionEndReason.REPLACED})
_MAX_INDEXES = 100


# From a provider -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogoutRequest:
    """A provider's request, once it was found to be the provider's."""

    provider_id: str  # public id
    message_id: str
    binding: str  # by which it came, and by which the answer goes where that is possible
    relay_state: str = ""
    name_id: str = ""
    name_id_format: str = ""  # a short name of `formats`; "" does not say
    session_indexes: tuple[str, ...] = ()  # none: every session of the person with the provider (SAMLCore-3.7.1)
    fault: str = ""  # of Fault: what is wrong with it

    def to_json(self) -> dict[str, Any]:
        """Spell it as the payload of a parked request."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> LogoutRequest:
        """Read back what `to_json` wrote."""
        return cls(**{**document, "session_indexes": tuple(document["session_indexes"])})


def read(incoming: Incoming, *, tenant: Tenant, us: Entity) -> LogoutRequest:
    """Check a LogoutRequest and take it, once. What is wrong with its contents is in `fault`.

    Raises NotFound, ApplicationDisabled, MessageRefused and xml.Refused, which are shown on our page.
    """
    provider = messages.sender(incoming, tenant=tenant)
    element = messages.authenticate(incoming, provider, must_be_signed=True)
    head = messages.header(element, name="samlp:LogoutRequest", endpoint=us.slo, is_signed=True)
    expiry = element.get("NotOnOrAfter")
    if expiry is not None and xml.parse_instant(expiry) <= timezone.now() - conf.saml_clock_skew:
        raise MessageRefused(Refusal.INSTANT, log_detail="NotOnOrAfter", client_ref=provider.public_id)
    messages.spend(head.message_id, provider=provider)
    try:
        if head.version != "2.0":
            raise SAMLError(Fault.VERSION)
        contents = _contents(element, provider, us)
    except SAMLError as error:
        contents = {"fault": error.fault.value}
    return LogoutRequest(
        provider_id=provider.public_id,
        message_id=head.message_id,
        binding=incoming.binding,
        relay_state=incoming.relay_state,
        **contents,
    )


def _contents(element: Element, provider: ServiceProvider, us: Entity) -> dict[str, Any]:
    """Read whom and which sessions it means. Raises SAMLError."""
    name = xml.find(element, "saml:NameID")
    value = xml.text_of(name)
    if name is None or not value or len(value) > MAX_NAME_ID:
        # BaseID and EncryptedID: nobody was told such names here.
        raise SAMLError(Fault.UNSUPPORTED, log_detail="no NameID")
    if name.get("NameQualifier", us.entity_id) != us.entity_id:
        raise SAMLError(Fault.PRINCIPAL, log_detail="NameQualifier")
    if name.get("SPNameQualifier", provider.entity_id) != provider.entity_id:
        raise SAMLError(Fault.PRINCIPAL, log_detail="SPNameQualifier")
    indexes = [xml.text_of(each) for each in xml.find_all(element, "samlp:SessionIndex")]
    if len(indexes) > _MAX_INDEXES:
        raise SAMLError(Fault.UNSUPPORTED, log_detail="too many session indexes")
    kind = formats.BY_URI.get(name.get("Format", ""), "")
    return {
        "name_id": value,
        # Many leave the format away, or write "unspecified" for it.
        "name_id_format": "" if kind == formats.UNSPECIFIED else kind,
        "session_indexes": tuple(indexes),
    }


def ended_there(wanted: LogoutRequest, provider: ServiceProvider) -> list[SAMLSession]:
    """Return the provider's sessions that it speaks of, which it has ended itself. Raises SAMLError.

    Ended ones too: who repeats a command is told that it is done.
    """
    if wanted.fault:
        raise SAMLError(Fault(wanted.fault))
    rows = SAMLSession.objects.filter(service_provider=provider, name_id=wanted.name_id)
    if wanted.name_id_format:
        rows = rows.filter(name_id_format=wanted.name_id_format)
    if wanted.session_indexes:
        rows = rows.filter(session_index__in=wanted.session_indexes)
    found = list(rows.select_related("session__user", "session__tenant").order_by("pk"))
    if not found:
        raise SAMLError(Fault.PRINCIPAL, log_detail="no such session")
    keys = [row.pk for row in found if row.ended_at is None]
    SAMLSession.objects.filter(pk__in=keys).update(ended_at=timezone.now())
    return found


def end_sessions(
    told: Sequence[SAMLSession], *, besides: SSOSession | None, provider: ServiceProvider, context: RequestContext
) -> None:
    """End the SSO sessions behind a provider's own, except the browser's, which its view ends."""
    for session in {row.session_id: row.session for row in told}.values():
        if besides is None or session.pk != besides.pk:
            sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=context, actor=session.user)
    audit.record(
        EventType.LOGOUT_REQUEST,
        tenant=provider.tenant,
        actor=told[0].session.user,
        target=provider,
        application=provider.application,
        client_id=provider.public_id,
        dialect=PROTOCOL,
        sid=told[0].session.sid,
        context=context,
    )


def response_for(
    wanted: LogoutRequest, provider: ServiceProvider, *, us: Entity, error: SAMLError | None, is_partial: bool = False
) -> tuple[str, str, Element] | None:
    """Return binding, address and LogoutResponse for a request; None where the provider has no address for it.

    The top-level status speaks of our own session only; that others could not be told is the second-level one
    (SAMLCore-3.7.3.2).
    """
    order = (wanted.binding, POST if wanted.binding == REDIRECT else REDIRECT)
    service = endpoints.logout_service(provider.single_logout_services, *order)
    if service is None:
        return None
    if error is not None:
        status = assertions.status(error.spec.status, error.spec.second_status, error.spec.text)
    else:
        status = assertions.status(SUCCESS, PARTIAL_LOGOUT if is_partial else "")
    address = endpoints.response_location(service)
    message = assertions.logout_response(
        issuer=us.entity_id,
        destination=address,
        in_response_to=wanted.message_id,
        issued_at=timezone.now(),
        status_node=status,
    )
    return str(service["binding"]), address, message


def is_partial(session_keys: Sequence[int]) -> bool:
    """Tell whether a provider of these sessions has not confirmed, by now, that it has ended its own."""
    rows = SAMLSession.objects.filter(session__in=session_keys, ended_at=None).select_related("session")
    providers = {row.pk: row.service_provider_id for row in rows}
    delivered = Delivery.objects.filter(
        kind=KIND, sid__in={row.session.sid for row in rows}, state=DeliveryState.DELIVERED
    )
    told = {providers.get(row.payload["saml_session"]) for row in delivered} if providers else set()
    return not told.issuperset(providers.values())


# To a provider ---------------------------------------------------------------------------------------------


def on_session_ended(*, session: SSOSession, reason: str, **kwargs: Any) -> None:
    """Write a delivery for every provider that may hold a session of its own."""
    rows = SAMLSession.objects.filter(session=session, ended_at=None).select_related("service_provider__application")
    last = {row.service_provider_id: row for row in rows.order_by("pk")}
    joined = SessionParticipant.objects.filter(session=session, protocol=PROTOCOL)
    issuers = {row.registration: row.data.get("issuer", "") for row in joined} if last else {}
    for row in last.values():
        provider = row.service_provider
        service = endpoints.logout_service(provider.single_logout_services, SOAP, POST, REDIRECT)
        # A disabled one is told as well, as in every protocol: what it was given before is to end now.
        if service is None or not provider.single_logout:
            continue
        waits = service["binding"] != SOAP and reason in _BY_BROWSER
        delivery.enqueue(
            tenant=session.tenant,
            kind=KIND,
            url=service["location"],
            payload={
                "saml_session": row.pk,
                "issuer": issuers.get(provider.public_id) or entity.of_tenant(session.tenant).entity_id,
                "binding": service["binding"],
                "reason": _REASON_USER if reason in _BY_BROWSER else _REASON_ADMIN,
            },
            application=provider.application,
            sid=session.sid,
            not_before=timezone.now() + conf.saml_front_channel_wait if waits else None,
        )


def request_for(row: SAMLSession, *, issuer: str, destination: str, message_id: str, reason: str) -> Element:
    """Return a LogoutRequest for what a provider was told of a session (SAMLCore-3.7.1), not yet signed."""
    provider = row.service_provider
    same_name = SAMLSession.objects.filter(
        session_id=row.session_id, service_provider=provider, name_id_format=row.name_id_format, name_id=row.name_id
    )
    indexes = same_name.order_by("pk").values_list("session_index", flat=True)
    now = timezone.now()
    return xml.element(
        "samlp:LogoutRequest",
        {
            "ID": message_id,
            "Version": "2.0",
            "IssueInstant": xml.instant(now),
            "Destination": destination,
            "Reason": reason,
            "NotOnOrAfter": xml.instant(now + conf.saml_assertion_lifetime),
        },
        xml.element("saml:Issuer", None, issuer),
        assertions.name_id(row.name_id, row.name_id_format, issuer=issuer, audience=provider.entity_id),
        *[xml.element("samlp:SessionIndex", None, index) for index in indexes],
    )


class FrontChannel:
    """Tell providers through the browser, which is redirected to them or posts a form there (SAMLProf-4.4.3.2)."""

    is_framed = False

    def wanted(self, participants: Sequence[SessionParticipant]) -> Collection[int]:
        """Return those that still hold a session and have no endpoint for servers."""
        told = SAMLSession.objects.filter(
            session__in={row.session_id for row in participants},
            service_provider__public_id__in={row.registration for row in participants},
            ended_at=None,
        ).select_related("service_provider")
        providers = {row.service_provider.public_id for row in told if _is_told_by_browser(row.service_provider)}
        return [row.pk for row in participants if row.registration in providers]

    def step(self, participant: SessionParticipant, *, handle: str, context: RequestContext) -> Visit | None:
        """Return the LogoutRequest to one provider."""
        row = (
            SAMLSession.objects.filter(
                session=participant.session, service_provider__public_id=participant.registration, ended_at=None
            )
            .select_related("service_provider__tenant")
            .order_by("-pk")
            .first()
        )
        if row is None:
            return None
        provider = row.service_provider
        service = endpoints.logout_service(provider.single_logout_services, REDIRECT, POST)
        if service is None:
            return None
        message_id = xml.new_id()
        issuer = participant.data.get("issuer") or entity.of(context).entity_id
        message = request_for(
            row, issuer=issuer, destination=service["location"], message_id=message_id, reason=_REASON_USER
        )
        credential = assertions.credential_for(provider, provider.tenant)
        algorithm = provider.signature_algorithm
        data = {"logout_request": message_id}
        if service["binding"] == REDIRECT:
            url = redirect.encode(
                service["location"],
                parameter=messages.REQUEST,
                message=message,
                relay_state=handle,
                credential=credential,
                algorithm=algorithm,
            )
            return Visit(url=url, data=data)
        signed = xml.serialize(signatures.sign(message, credential, algorithm=algorithm))
        fields = {messages.REQUEST: base64.b64encode(signed).decode(), "RelayState": handle}
        return Visit(url=service["location"], fields=fields, data=data)


def _is_told_by_browser(provider: ServiceProvider) -> bool:
    services = provider.single_logout_services
    has_soap = endpoints.logout_service(services, SOAP) is not None
    by_browser = endpoints.logout_service(services, REDIRECT, POST) is not None
    return provider.single_logout and by_browser and not has_soap


@dataclass(frozen=True)
class LogoutResponse:
    """A provider's answer to a request of ours."""

    provider_id: str
    in_response_to: str
    relay_state: str  # the handle of the sign-out
    is_success: bool

    def to_json(self) -> dict[str, Any]:
        """Spell it as the payload of a parked request."""
        return asdict(self)


def read_response(incoming: Incoming, *, tenant: Tenant, us: Entity) -> LogoutResponse:
    """Check a LogoutResponse that the browser brought. Raises as `read` does.

    Many providers do not sign it. All it can do is to name the request, whose ID nobody else was told, and to say that
    the provider is done.
    """
    # It was asked, so it may answer, also if it was disabled: else the browser would be left standing there.
    provider = messages.sender(incoming, tenant=tenant, include_disabled=True)
    must_be_signed = provider.requests_must_be_signed
    element = messages.authenticate(incoming, provider, must_be_signed=must_be_signed)
    messages.header(element, name="samlp:LogoutResponse", endpoint=us.slo, is_signed=incoming.is_signed)
    return LogoutResponse(
        provider_id=provider.public_id,
        in_response_to=element.get("InResponseTo", ""),
        relay_state=incoming.relay_state,
        is_success=receipts.is_success(element),
    )


def note_answer(answer: LogoutResponse, sign_out: sign_outs.SignOut) -> None:
    """Note what a provider answered, and forestall the delivery behind it. Raises MessageRefused.

    Only the answer to the request that this very browser carried there counts (S19).
    """
    asked = sign_outs.find_asked(sign_out, protocol=PROTOCOL, client_ref=answer.provider_id)
    if asked is None or not answer.in_response_to or asked.data.get("logout_request") != answer.in_response_to:
        raise MessageRefused(Refusal.IN_RESPONSE_TO, client_ref=answer.provider_id)
    if not sign_outs.note_answer(asked, is_confirmed=answer.is_success) or not answer.is_success:
        return
    waiting = Delivery.objects.filter(kind=KIND, sid=sign_out.session.sid, state=DeliveryState.PENDING)
    told = SAMLSession.objects.filter(session=sign_out.session, service_provider__public_id=answer.provider_id)
    keys = set(told.values_list("pk", flat=True))
    delivery.note_told([row.pk for row in waiting if row.payload["saml_session"] in keys])


# From server to server -------------------------------------------------------------------------------------


def send(row: Delivery) -> None:
    """Send the LogoutRequest of a delivery. Raises DeliveryFailed.

    By SOAP the provider answers; to an address for browsers it is posted as a browser would, and the answer is read in
    what a browser would carry back.
    """
    told = SAMLSession.objects.filter(pk=row.payload["saml_session"]).select_related("service_provider__tenant").first()
    if told is None:
        raise DeliveryFailed("the session is not kept any more", is_final=True)
    provider = told.service_provider
    message_id = f"_{row.jti}"  # the same at each repeat
    message = request_for(
        told, issuer=row.payload["issuer"], destination=row.url, message_id=message_id, reason=row.payload["reason"]
    )
    credential = assertions.credential_for(provider, provider.tenant)
    binding = row.payload["binding"]
    if binding == REDIRECT:
        raise DeliveryFailed("only a browser can go there", is_final=True)
    signed = signatures.sign(message, credential, algorithm=provider.signature_algorithm)
    if binding == SOAP:
        receipts.check_soap(delivery.post(row, _enveloped(signed), headers=_SOAP_HEADERS), message_id)
        return
    fields = {messages.REQUEST: base64.b64encode(xml.serialize(signed)).decode()}
    receipts.check_page(delivery.submit(row, fields), message_id)


_SOAP_HEADERS = {
    "Content-Type": "text/xml; charset=utf-8",
    "SOAPAction": "http://www.oasis-open.org/committees/security",  # SAMLBind-3.2.3.1
}


def _enveloped(message: Element) -> bytes:
    """SAMLBind-3.2.2. Around the bytes as they are: what is signed must not be reformatted."""
    inner = xml.serialize(message).decode()
    return f'<S:Envelope xmlns:S="{receipts.ENVELOPE}"><S:Body>{inner}</S:Body></S:Envelope>'.encode()


def _outdated(now: datetime) -> QuerySet[SAMLSession]:
    before = now - conf.saml_session_retention
    return SAMLSession.objects.filter(Q(session__ended_at__lt=before) | Q(session__expires_at__lt=before))


# What was told of sessions that are over.
purge = Purger(_outdated)


def connect() -> None:
    """Listen, and offer the sender and the steps. Called once, by `apps.ready`."""
    registry.register_delivery_sender(KIND, send)
    registry.register_front_channel(PROTOCOL, _front_channel)
    registry.register_purger("saml_sessions", purge)
    session_ended.connect(on_session_ended, dispatch_uid="cas_saml.saml.session_ended")


_front_channel = FrontChannel()
