"""What a new provider is told when nobody has said it: what its metadata asks for, else what most applications read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cas_saml.saml import xml
from cas_saml.saml.xml import Element

# By names that stock clients know. The operator sees it in the registration, and changes it there.
DEFAULT: Mapping[str, str] = MappingProxyType(
    {
        "uid": "account_name",
        "mail": "email",
        "displayName": "name",
        "givenName": "first_name",
        "sn": "last_name",
        "phone": "phone_number",
        "groups": "roles",
    }
)
# Source to the names under which it is asked for: of LDAP, of OpenID Connect, object identifiers, and .NET's claims.
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "account_name": "uid userid user_name username login urn:oid:0.9.2342.19200300.100.1.1 upn"
        " http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
        "email": "mail email emailaddress e-mail urn:oid:0.9.2342.19200300.100.1.3 urn:oid:1.2.840.113549.1.9.1",
        "name": "name displayname cn commonname fullname urn:oid:2.16.840.1.113730.3.1.241 urn:oid:2.5.4.3",
        "first_name": "givenname firstname first_name given_name urn:oid:2.5.4.42",
        "last_name": "sn surname lastname last_name family_name urn:oid:2.5.4.4",
        "nick_name": "nickname nick_name",
        "phone_number": "phone telephonenumber mobile mobilephone phone_number urn:oid:2.5.4.20"
        " urn:oid:0.9.2342.19200300.100.1.41",
        "roles": "groups group memberof ismemberof roles role urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
        "employee_id": "employeenumber employeeid employee_id urn:oid:2.16.840.1.113730.3.1.3",
        "organization_names": "ou department departmentnumber urn:oid:2.5.4.11",
        "language": "preferredlanguage locale urn:oid:2.16.840.1.113730.3.1.39",
    }
)
_SOURCE_OF: Mapping[str, str] = MappingProxyType(
    {name: source for source, names in _NAMES.items() for name in names.split()}
)
_PREFIXES = (
    "urn:mace:dir:attribute-def:",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/",
    "http://schemas.xmlsoap.org/claims/",
)
_MAX_ATTRIBUTES = 50
_MAX_NAME = 300  # of a mapping's name


def mapping(role: Element) -> dict[str, str]:
    """Map names on the wire to sources, for the RequestedAttributes (SAMLMeta-2.4.4.2) that name what we have.

    Of several services the default one, else the first, is asked (SAMLMeta-2.4.4). Without any, the default set.
    """
    services = xml.find_all(role, "md:AttributeConsumingService")
    marked = [each for each in services if each.get("isDefault", "") in ("true", "1")]
    found: dict[str, str] = {}
    for service in (*marked, *services)[:1]:
        for requested in xml.find_all(service, "md:RequestedAttribute")[:_MAX_ATTRIBUTES]:
            name = requested.get("Name", "").strip()
            source = _source(name) or _source(requested.get("FriendlyName", ""))
            if source and len(name) <= _MAX_NAME and name.isascii() and name.isprintable() and " " not in name:
                found[name] = source
    return found or dict(DEFAULT)


def _source(name: str) -> str:
    known = name.strip().lower()
    prefix = next((prefix for prefix in _PREFIXES if known.startswith(prefix)), "")
    return _SOURCE_OF.get(known) or _SOURCE_OF.get(known.removeprefix(prefix), "")
