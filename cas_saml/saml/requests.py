"""AuthnRequests in (SAMLCore-3.4.1, SAMLProf-4.1.4.1): checked, and reduced to what we will act on.

The address of the answer is looked up in the registration by what the request names; from then on a refusal may go
there. Nothing else of the request says where anything goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from cas_saml.saml import endpoints, formats, messages, xml
from cas_saml.saml.endpoints import BINDINGS, POST
from cas_saml.saml.entity import Entity
from cas_saml.saml.errors import Fault, MessageRefused, Refusal, SAMLError
from cas_saml.saml.messages import Incoming
from cas_saml.saml.models import MAX_NAME_ID, ServiceProvider
from cas_saml.saml.xml import Element
from identity import assurance
from identity.models import SSOSession, Tenant

# Authentication contexts (SAMLCore-3.3.2.2.1): two levels of ours, as in OpenID Connect, and what SAML calls them. Many
# providers ask for SAML's own classes by default (`PasswordProtectedTransport`), and with "exact" they want to read the
# very same word in the answer. So a request may name those too; without a request the answer has our own value.
_CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
UNSPECIFIED = f"{_CLASSES}unspecified"
PASSWORD_CLASSES = frozenset({f"{_CLASSES}PasswordProtectedTransport", f"{_CLASSES}Password"})
# What a request may name, and the level that it stands for.
LEVELS: Mapping[str, str] = MappingProxyType(
    {
        **assurance.LEVELS,
        UNSPECIFIED: assurance.SINGLE_FACTOR,
        **dict.fromkeys(sorted(PASSWORD_CLASSES), assurance.SINGLE_FACTOR),
    }
)
EXACT, MINIMUM, MAXIMUM, BETTER = COMPARISONS = ("exact", "minimum", "maximum", "better")
_UNSPECIFIED_URI = formats.URIS[formats.UNSPECIFIED]


@dataclass(frozen=True)
class Policy:
    """The NameIDPolicy of a request."""

    format: str = ""  # a short name of `formats`; "" leaves it to the registration
    allow_create: bool = True


@dataclass(frozen=True)
class Wish:
    """What a request says about authentication. Without classes it says nothing."""

    comparison: str = EXACT
    classes: tuple[str, ...] = ()  # those that we know, in the order of the request
    is_asked: bool = False  # whether the request names any class at all

    @classmethod
    def of(cls, comparison: str, classes: Sequence[str]) -> Wish:
        """Keep what we know of a request. Raises SAMLError if it knows nothing of ours."""
        known = tuple(name for name in classes if name in LEVELS)
        if classes and not known:
            raise SAMLError(Fault.AUTHN_CONTEXT, log_detail="unknown classes")
        wish = cls(comparison, known, is_asked=bool(classes))
        wish.required_acr  # noqa: B018 - raises where nothing could ever be enough
        return wish

    @property
    def _ranks(self) -> list[int]:
        return [_rank(LEVELS[name]) for name in self.classes]

    @property
    def required_acr(self) -> str:
        """The level that a sign-in for this request must reach; "" leaves it to the policy. Raises SAMLError."""
        if not self.is_asked or self.comparison == MAXIMUM:
            return ""
        rank = min(self._ranks)
        if self.comparison == BETTER:
            rank = max(self._ranks) + 1
            if rank >= len(assurance.ACR_VALUES):
                raise SAMLError(Fault.AUTHN_CONTEXT, log_detail="nothing is better")
        return assurance.ACR_VALUES[rank]

    def stated(self, session: SSOSession) -> str:
        """Return the class that the answer states: true of the session, and what was asked for. Raises SAMLError."""
        reached = assurance.acr_of(session.amr)
        if not self.is_asked:
            return reached
        if self.comparison == EXACT:
            for name in self.classes:
                if _is_true(name, session):
                    return name
        elif self.comparison == MAXIMUM:
            return assurance.ACR_VALUES[min(_rank(reached), max(self._ranks))]
        elif assurance.satisfies(reached, self.required_acr):
            return reached
        raise SAMLError(Fault.AUTHN_CONTEXT, log_detail=f"session={session.pk}")


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


# Reading ---------------------------------------------------------------------------------------------------


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


def choose_format(provider: ServiceProvider, policy: Policy) -> str:
    """Choose the kind of name for a request. Raises SAMLError if the provider may not have what it asks for."""
    if not policy.format:
        return str(provider.name_id_formats[0])
    if policy.format not in provider.name_id_formats:
        raise SAMLError(Fault.NAME_ID_POLICY, log_detail=f"{policy.format} is not for this provider")
    return policy.format


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
    choose_format(provider, policy)
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


def _rank(level: str) -> int:
    return assurance.ACR_VALUES.index(level)


def _is_true(name: str, session: SSOSession) -> bool:
    if name in PASSWORD_CLASSES and assurance.PASSWORD not in session.amr:
        return False
    return assurance.satisfies(assurance.acr_of(session.amr), LEVELS[name])
