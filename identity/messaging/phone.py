"""Telephone numbers: from a person's spelling to the one form that is kept, compared and sent to, E.164 (decision 58).

Whether a number may be entered at all is the tenant's rule for the attribute (decision 3). This module only says what a
spelling means, how a vendor's wire shows it, and in which country its messages are paid for.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers
from babel.core import get_global
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from identity import policies
from identity.models import Tenant, User
from identity.models.users import make_mobile_key
from identity.texts import without_invisible

DEFAULT_COUNTRY = "CN"  # of a tenant whose time zone names none; Tenant's own default is Asia/Shanghai

_MAX_LENGTH = 40
# What a person may write. The library would read letters as the keys of a dial, and an extension after `;`.
_SPELLING = re.compile(r"\+?[0-9 ().\-]+")
# What a call or message to these costs goes to whoever owns them, or they are no person's: the usual end of pumping.
_NOBODYS = frozenset(
    {
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.UAN,
        PhoneNumberType.PERSONAL_NUMBER,
        PhoneNumberType.PAGER,
        PhoneNumberType.VOICEMAIL,
        PhoneNumberType.TOLL_FREE,
    }
)


@dataclass(frozen=True, slots=True)
class Number:
    """One number that a message could go to."""

    e164: str  # with the plus
    country: str  # ISO 3166 code; "" where a calling code is shared and the number is none of its countries'
    calling_code: int


def parse(spelling: str, *, country: str) -> Number | None:
    """Read a number as somebody in `country` would write it; None where no message could reach it."""
    # As an input method writes digits, and as address books copy numbers, with marks of direction around them.
    spelling = without_invisible(unicodedata.normalize("NFKC", spelling)).strip()
    if len(spelling) > _MAX_LENGTH or not spelling.isascii() or not _SPELLING.fullmatch(spelling):
        return None
    try:
        number = phonenumbers.parse(spelling, country)
    except NumberParseException:
        return None
    # Of the length that telephones in one's pocket have there. Networks may drop the digits that are too many, so a
    # number with some more would be the same telephone again, uncounted; one with fewer is a short code.
    is_mobile = phonenumbers.is_possible_number_for_type(number, PhoneNumberType.MOBILE)
    if not is_mobile or phonenumbers.number_type(number) in _NOBODYS:
        return None
    return Number(
        e164=phonenumbers.format_number(number, PhoneNumberFormat.E164),
        country=_country_of_number(number),
        calling_code=number.country_code or 0,
    )


def canonical(spelling: str, *, country: str) -> str:
    """Return the form in which a number is kept and compared (S31), whoever in `country` writes it.

    E.164; of what no message could reach (a fixed line's extension, a test's made-up digits), the digits as written.
    """
    number = parse(spelling, country=country)
    return number.e164 if number else make_mobile_key(spelling.strip())


def bare(canonical_number: str, *, country: str) -> str:
    """Return a kept number as it is dialled in `country`, without punctuation; of other countries, E.164.

    It is what the vendors' documents print.
    """
    if not canonical_number.startswith("+") or country not in phonenumbers.SUPPORTED_REGIONS:
        return canonical_number
    try:
        number = phonenumbers.parse(canonical_number)
    except NumberParseException:
        return canonical_number
    if number.country_code != phonenumbers.country_code_for_region(country):
        return canonical_number
    return "".join(filter(str.isdigit, phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)))


def spellings(canonical_number: str, *, country: str) -> list[str]:
    """Return how people in `country` write a kept number, for comparing it with texts that are no numbers."""
    digits = canonical_number.removeprefix("+")
    national = bare(canonical_number, country=country)
    return list(dict.fromkeys([canonical_number, digits, f"00{digits}", national, f"0{national.removeprefix('0')}"]))


def country_of(tenant: Tenant) -> str:
    """Return the tenant's own country: what a number without a calling code belongs to."""
    return policies.message_policy(tenant).country or country_of_time_zone(tenant.time_zone)


def canonical_number(mobile: str, *, tenant: Tenant) -> str:
    """Return the form in which a number that people of the tenant write is kept and compared."""
    return canonical(mobile, country=country_of(tenant))


def mobile_index(mobile: str, *, tenant: Tenant) -> str:
    """Return what a mobile number is looked up by in the tenant, however it is spelled."""
    number = canonical_number(mobile, tenant=tenant)
    index: str = User.mobile.index(number, tenant_id=tenant.pk)
    return index


def country_of_time_zone(name: str) -> str:
    """Return the country of an IANA time zone, as CLDR tells it."""
    zone = get_global("zone_aliases").get(name, name)
    country = str(get_global("zone_territories").get(zone, ""))
    return country if country in phonenumbers.SUPPORTED_REGIONS else DEFAULT_COUNTRY


def _country_of_number(number: PhoneNumber) -> str:
    return str(phonenumbers.region_code_for_number(number) or "")
