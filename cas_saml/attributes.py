"""From a profile to released attributes: what each word of a mapping stands for. Shared by CAS and SAML.

A mapping is an object, name on the wire to source:

    {"mail": "email", "memberOf": "roles", "birthday": "birth_date", "badge": "attribute:badge"}

`source` is a name of SOURCES or `attribute:` and the name of an extended attribute. Values are text, numbers, booleans,
moments, None where there is none, and lists of those; how they are written is the protocol's matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from operator import attrgetter
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from identity import assurance
from identity.directory.profiles import Profile
from identity.models import SSOSession

Value = Callable[[Profile], Any]

# CAS-2.5.5: every CAS answer has them; no mapping may say them.
STANDARD = ("authenticationDate", "longTermAuthenticationRequestTokenUsed", "isFromNewLogin")
ATTRIBUTE = "attribute:"
# Names become names of XML elements in CAS; in SAML they are values, often URIs.
_ELEMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_NAME = re.compile(r"[!-~]{1,300}")

SOURCES: Mapping[str, Value] = MappingProxyType(
    {
        "id": attrgetter("sub"),
        "user_name": attrgetter("user_name"),
        "account_name": attrgetter("account_name"),
        "name": attrgetter("name"),
        "first_name": attrgetter("first_name"),
        "middle_name": attrgetter("middle_name"),
        "last_name": attrgetter("last_name"),
        "nick_name": attrgetter("nick_name"),
        "email": attrgetter("email"),
        "email_verified": attrgetter("email_verified"),
        "phone_number": attrgetter("phone_number"),
        "phone_number_verified": attrgetter("phone_number_verified"),
        "gender": attrgetter("gender"),
        "birth_date": attrgetter("birth_date"),
        "hire_date": attrgetter("user.hire_date"),
        "time_zone": attrgetter("time_zone"),
        "language": attrgetter("language"),
        "picture_url": attrgetter("picture_url"),
        "employee_id": attrgetter("employee_id"),
        "created_at": attrgetter("user.created_at"),
        "updated_at": attrgetter("updated_at"),
        "disabled": lambda profile: not profile.user.is_active,
        # Only enabled people's attributes are released, so the vendor's member for the moment of disabling stays empty.
        "disabled_at": lambda profile: None,
        "roles": lambda profile: list(profile.roles),
        "organization_names": lambda profile: [entry.name for entry in profile.organizations],
        "organization_codes": lambda profile: [entry.code for entry in profile.organizations],
    }
)


# What is said of the sign-in, and not of the person.
OF_SESSION: Mapping[str, Callable[[SSOSession], Any]] = MappingProxyType(
    {
        "authentication_method": lambda session: assurance.acr_of(session.amr),
        "amr": lambda session: assurance.with_summary(session.amr),
    }
)


def release(profile: Profile, mapping: Mapping[str, str], *, session: SSOSession | None = None) -> dict[str, Any]:
    """Return the attributes that the mapping names, by name, as no database keeps its order; None for no value.

    session: of the sign-in that is told of; without one nothing is said of it.
    A day is the moment at which it begins in the tenant's time zone (OneAccess-3.3.2.2).
    """
    zone = ZoneInfo(profile.user.tenant.time_zone)
    values = {name: _value(source, profile, session) for name, source in sorted(mapping.items())}
    return {name: _plain(value, zone) for name, value in values.items()}


def check_mapping(mapping: object, *, of_elements: bool = True) -> None:
    """Judge a mapping that is to be kept. Raises ValueError, which names the attribute.

    of_elements: whether the names become names of XML elements, as in CAS.
    """
    if not isinstance(mapping, dict):
        raise ValueError(_("It is not an object."))
    for name, source in mapping.items():
        place = {"name": name}
        if of_elements and not _ELEMENT_NAME.fullmatch(name):
            raise ValueError(_("%(name)s: letters, digits, full stop, hyphen and underscore only.") % place)
        if of_elements and name in STANDARD:
            raise ValueError(_("%(name)s: every answer has it already.") % place)
        if not _NAME.fullmatch(name):
            raise ValueError(_("%(name)s: printable ASCII characters without spaces only.") % place)
        if not is_source(source):
            raise ValueError(_("%(name)s: unknown source.") % place)


def check_source(source: object) -> None:
    """Judge one source. Raises ValueError."""
    if not is_source(source):
        raise ValueError(_("Unknown source."))


def is_source(source: object) -> bool:
    """Tell whether a mapping may name it."""
    if not isinstance(source, str):
        return False
    return source in SOURCES or source in OF_SESSION or (source.startswith(ATTRIBUTE) and len(source) > len(ATTRIBUTE))


def _value(source: str, profile: Profile, session: SSOSession | None) -> Any:
    if source.startswith(ATTRIBUTE):
        return profile.extension.get(source.removeprefix(ATTRIBUTE))
    if source in OF_SESSION:
        return OF_SESSION[source](session) if session is not None else None
    return SOURCES[source](profile)


def _plain(value: Any, zone: ZoneInfo) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item, zone) for item in value] or None
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time.min, tzinfo=zone)
    return None if value == "" else value
