"""AuthnRequests in (SAMLCore-3.4.1, SAMLProf-4.1.4.1): checked, and reduced to what we will act on.

The address of the answer is looked up in the registration by what the request names; from then on a refusal may go
there. Nothing else of the request says where anything goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cas_saml.saml import endpoints, formats, messages, name_ids, xml
from cas_saml.saml.authn_context import COMPARISONS, EXACT, Wish
from cas_saml.saml.endpoints import BINDINGS, POST
from cas_saml.saml.entity import Entity
from cas_saml.saml.errors import Fault, MessageRefused, Refusal, SAMLError
from cas_saml.saml.messages import Incoming
from cas_saml.saml.models import MAX_NAME_ID, ServiceProvider
from cas_saml.saml.name_ids import Policy
from cas_saml.saml.xml import Element
from identity.models import Tenant

_UNSPECIFIED_URI = formats.URIS[formats.UNSPECIFIED]


@dataclass(frozen=True)
class AuthnRequest:
    """What is asked for, once it is known where the answer goes."""

    provider_id: str  # public id
    consumer_url: str  # of the registration
    message_id: str = ""  # "" where nobody asked: the sign-in started here
    relay_state: str = ""
    force_authn: bool = False
    is_passive: bool = False
    policy: Policy = field(default_factory=Policy)
    wish: Wish = field(default_factory=Wish)
    subject: str = ""  # the name identifier of the one person it may be about
    fault: str = ""  # of Fault: what is wrong with it, to be told at consumer_url

    @property
    def is_unsolicited(self) -> bool:
        """Whether the sign-in started here (SAMLProf-4.1.5)."""
        return not self.message_id

    def to_json(self) -> dict[str, Any]:
        """Spell it as a member of a parked request."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> AuthnRequest:
        """Read back what `to_json` wrote."""
        wish = {**document["wish"], "classes": tuple(document["wish"]["classes"])}
        return cls(**{**document, "policy": Policy(**document["policy"]), "wish": Wish(**wish)})


def unsolicited(provider: ServiceProvider) -> AuthnRequest:
    """Return a sign-in that starts here: everything is of the registration (SAMLProf-4.1.5). Raises MessageRefused."""
    consumer_url = endpoints.default_consumer(provider.assertion_consumer_services)
    if consumer_url is None:
        raise MessageRefused(Refusal.CONSUMER, client_ref=provider.public_id)
    return AuthnRequest(
        provider_id=provider.public_id,
        consumer_url=consumer_url,
        relay_state=provider.default_relay_state,
    )


def read(incoming: Incoming, *, tenant: Tenant, entity: Entity) -> tuple[AuthnRequest, ServiceProvider]:
    """Check a request. What is wrong with its contents is in `fault`, for the provider is to hear of it.

    Raises NotFound, ApplicationDisabled, MessageRefused and xml.Refused, which are shown on our page.
    """
    if incoming.parameter != messages.REQUEST:
        raise MessageRefused(Refusal.KIND, log_detail=incoming.parameter)
    provider = messages.sender(incoming, tenant=tenant)
    element = messages.authenticate(incoming, provider, must_be_signed=provider.requests_must_be_signed)
    head = messages.header(element, name="samlp:AuthnRequest", endpoint=entity.sso, is_signed=incoming.is_signed)
    wanted = AuthnRequest(
        provider_id=provider.public_id,
        consumer_url=_consumer(element, provider),
        message_id=head.message_id,
        relay_state=incoming.relay_state,
    )
    try:
        if head.version != "2.0":
            raise SAMLError(Fault.VERSION)
        return _with_contents(wanted, element, provider, entity), provider
    except SAMLError as error:
        return replace(wanted, fault=error.fault.value), provider


def check_consumer(wanted: AuthnRequest, provider: ServiceProvider) -> None:
    """Check that the address is still registered: the request may have waited for its user. Raises MessageRefused."""
    if endpoints.consumer_by_url(provider.assertion_consumer_services, wanted.consumer_url) is None:
        raise MessageRefused(Refusal.CONSUMER, client_ref=provider.public_id)


def _consumer(element: Element, provider: ServiceProvider) -> str:
    """Return where the answer goes (SAMLCore-3.4.1): an address of the registration, named by index or by itself."""
    index, url = messages.number(element, "AssertionConsumerServiceIndex"), element.get("AssertionConsumerServiceURL")
    consumers = provider.assertion_consumer_services
    found: str | None
    if index is not None:
        if url is not None or element.get("ProtocolBinding") is not None:
            raise MessageRefused(Refusal.VALUE, log_detail="index and address")
        found = endpoints.consumer_by_index(consumers, index)
    elif url is not None:
        found = endpoints.consumer_by_url(consumers, url)
    else:
        found = endpoints.default_consumer(consumers)
    if found is None:
        raise MessageRefused(Refusal.CONSUMER, client_ref=provider.public_id)
    return found


def _with_contents(wanted: AuthnRequest, element: Element, provider: ServiceProvider, entity: Entity) -> AuthnRequest:
    if element.get("ProtocolBinding", BINDINGS[POST]) != BINDINGS[POST]:
        raise SAMLError(Fault.BINDING)
    _check_idp_list(element, entity)
    policy = _policy(element, provider)
    name_ids.choose(provider, policy)
    return replace(
        wanted,
        force_authn=messages.boolean(element, "ForceAuthn"),
        is_passive=messages.boolean(element, "IsPassive"),
        policy=policy,
        wish=_wish(element),
        subject=_subject(element),
    )


def _policy(element: Element, provider: ServiceProvider) -> Policy:
    """SAMLCore-3.4.1.1. Without a format, or with the unspecified one, the choice is ours."""
    policy = xml.find(element, "samlp:NameIDPolicy")
    if policy is None:
        return Policy()
    if policy.get("SPNameQualifier", provider.entity_id) != provider.entity_id:
        raise SAMLError(Fault.NAME_ID_POLICY, log_detail="SPNameQualifier")
    uri = policy.get("Format", _UNSPECIFIED_URI)
    name = "" if uri == _UNSPECIFIED_URI else formats.BY_URI.get(uri)
    if name is None:
        raise SAMLError(Fault.NAME_ID_POLICY, log_detail="unknown format")
    return Policy(name, allow_create=messages.boolean(policy, "AllowCreate"))


def _wish(element: Element) -> Wish:
    requested = xml.find(element, "samlp:RequestedAuthnContext")
    if requested is None:
        return Wish()
    comparison = requested.get("Comparison", EXACT)
    if comparison not in COMPARISONS:
        raise MessageRefused(Refusal.VALUE, log_detail="Comparison")
    if xml.find_all(requested, "saml:AuthnContextDeclRef"):
        raise SAMLError(Fault.AUTHN_CONTEXT, log_detail="declarations are not kept")
    classes = [xml.text_of(each) for each in xml.find_all(requested, "saml:AuthnContextClassRef")]
    return Wish.of(comparison, classes)


def _subject(element: Element) -> str:
    """SAMLCore-3.4.1.4: the answer is about this person, or there is none."""
    subject = xml.find(element, "saml:Subject")
    if subject is None:
        return ""
    name = xml.find(subject, "saml:NameID")
    value = xml.text_of(name)
    if not value or len(value) > MAX_NAME_ID or xml.find_all(subject, "saml:SubjectConfirmation"):
        raise SAMLError(Fault.UNSUPPORTED, log_detail="subject")
    return value


def _check_idp_list(element: Element, entity: Entity) -> None:
    """SAMLCore-3.4.1.3: a list of identity providers that are trusted to answer."""
    scoping = xml.find(element, "samlp:Scoping")
    listed = xml.find(scoping, "samlp:IDPList") if scoping is not None else None
    if listed is None:
        return
    if entity.entity_id not in [entry.get("ProviderID") for entry in xml.find_all(listed, "samlp:IDPEntry")]:
        raise SAMLError(Fault.IDP_LIST)
