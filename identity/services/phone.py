"""Telephone numbers: from a person's spelling to the one spelling that is sent to and counted (E.164).

Whether a number may be entered at all is the tenant's rule for the attribute (decision 3). This module only says what a
spelling means, and in which country its messages are paid for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import phonenumbers
from babel.core import get_global
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from identity.models.users import make_mobile_key

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
    national: str  # without calling code and trunk prefix


def parse(spelling: str, *, country: str) -> Number | None:
    """Read a number as somebody in `country` would write it; None where no message could reach it."""
    spelling = spelling.strip()
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
        country=_country_of(number),
        calling_code=number.country_code or 0,
        national=phonenumbers.national_significant_number(number),
    )


def key(spelling: str, *, country: str) -> str:
    """The form in which numbers are compared: one number in ten spellings is counted once (S31)."""
    number = parse(spelling, country=country)
    return number.e164 if number else spelling.strip()


def spellings(number: Number, *, country: str) -> list[str]:
    """How people and their directories write this number in `country`, the preferred ones first."""
    digits = number.e164.removeprefix("+")
    own = [number.national] if number.country == country else []
    return [number.e164, *own, digits, f"00{digits}", *(f"0{national}" for national in own)]


def stored(spelling: str, *, country: str) -> str:
    """How a number is kept that its owner typed: as typed in one of the two preferred ways, else in the first one.

    So that one telephone is one account, whatever was put before the number (S31).
    """
    number = parse(spelling, country=country)
    if number is None:
        return spelling
    is_own = number.country == country
    if make_mobile_key(spelling) in (number.e164, number.national if is_own else ""):
        return spelling
    return number.national if is_own else number.e164


def country_of_time_zone(name: str) -> str:
    """The country of an IANA time zone, as CLDR tells it."""
    zone = get_global("zone_aliases").get(name, name)
    country = str(get_global("zone_territories").get(zone, ""))
    return country if country in phonenumbers.SUPPORTED_REGIONS else DEFAULT_COUNTRY


def is_country(code: str) -> bool:
    """Whether there are telephone numbers in a country of this ISO 3166 code."""
    return code in phonenumbers.SUPPORTED_REGIONS


def _country_of(number: PhoneNumber) -> str:
    return str(phonenumbers.region_code_for_number(number) or "")
