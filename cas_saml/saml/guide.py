"""What operators are shown: what a provider would be told of a person, and what an integrator pastes."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _

from cas_saml import attributes
from cas_saml.saml import assertions, certificates, formats, sso
from cas_saml.saml.endpoints import BINDINGS, REDIRECT
from cas_saml.saml.entity import Entity
from cas_saml.saml.models import ServiceProvider
from cas_saml.saml.requests import Policy, choose_format
from identity.directory.profiles import Profile
from identity.models import User


def preview(provider: ServiceProvider, user: User) -> dict[str, Any]:
    """Return what an assertion would say: the name, the attributes, and their XML. No row is written."""
    profile = Profile(user=user, application=provider.application)
    released = attributes.release(profile, provider.attributes)
    kind = choose_format(provider, Policy())
    statement = assertions.attribute_statement(released)
    return {
        "person": user,
        "name_id": _name_of(provider, kind, user, profile),
        "name_id_format": dict(formats.CHOICES)[kind],
        "released": [
            (name, ", ".join(map(str, value)) if isinstance(value, list) else value, provider.attributes[name])
            for name, value in released.items()
        ],
        "statement": assertions.readable(statement) if statement is not None else "",
    }


def _name_of(provider: ServiceProvider, kind: str, user: User, profile: Any) -> str:
    if kind == formats.TRANSIENT:
        return str(_("a new one for each session"))
    if kind == formats.PERSISTENT:
        return sso.find_persistent(provider, user) or str(_("a new one at the first sign-in"))
    if kind == formats.EMAIL:
        return str(profile.email) if profile.email_verified else str(_("none: the address is not verified"))
    return sso.plain(profile, provider.name_id_source) or str(_("none"))


def connection(us: Entity, provider: ServiceProvider) -> list[tuple[str, str]]:
    """Return what an integrator pastes, by the name of the thing."""
    current = certificates.active(tenant=provider.tenant)
    python3_saml = (
        f"idp:\n  entityId: {us.entity_id}\n"
        f"  singleSignOnService: {{url: {us.sso}, binding: {BINDINGS[REDIRECT]}}}\n"
        f"  singleLogoutService: {{url: {us.slo}, binding: {BINDINGS[REDIRECT]}}}\n"
        f"  x509cert: {_('the certificate above')}"
    )
    shibboleth = (
        f'<SSO entityID="{us.entity_id}">SAML2</SSO>\n'
        f'<MetadataProvider type="XML" validate="true" url="{us.entity_id}" backingFilePath="monban.xml"/>'
    )
    return [
        (_("Metadata, and our entity ID"), us.entity_id),
        (_("Sign-in, by HTTP-Redirect or HTTP-POST"), us.sso),
        (_("Sign-out, by HTTP-Redirect or HTTP-POST"), us.slo),
        (_("Sign-in that starts here"), f"{us.sso}?sp={quote(provider.entity_id, safe='')}"),
        (_("Certificate that signs"), certificates.to_pem(current.certificate)),
        (_("Its SHA-256 fingerprint"), certificates.fingerprint(current.certificate)),
        ("python3-saml", python3_saml),
        ("pysaml2", f'"metadata": {{"remote": [{{"url": "{us.entity_id}"}}]}}'),
        ("mod_auth_mellon", f"curl -o idp-metadata.xml {us.entity_id}\nMellonIdPMetadataFile idp-metadata.xml"),
        ("Shibboleth SP", shibboleth),
        ("node-saml", f'entryPoint: "{us.sso}",\nlogoutUrl: "{us.slo}",\nidpCert: "{_("the certificate above")}"'),
    ]
