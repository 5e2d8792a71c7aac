"""The countries of a form for telephone numbers: names from CLDR, calling codes and rules from libphonenumber.

Nothing of it belongs to a tenant and it never changes while a process runs, so it is built once (OneAccess-3.2.4.3).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

import phonenumbers
from babel import Locale
from phonenumbers import PhoneMetadata

# Tags of the wire, and CLDR's locales for them.
_DISPLAY_LOCALES: Mapping[str, str] = MappingProxyType({"zh-TW": "zh_Hant_TW", "en": "en", "zh-CN": "zh_Hans_CN"})
_PAGE_LOCALES: Mapping[str, str] = MappingProxyType({"en": "en", "zh-hans": "zh_Hans_CN", "ja": "ja"})


@dataclass(frozen=True, slots=True)
class Country:
    """One entry of the form."""

    code: str  # ISO 3166
    calling_code: str  # without plus
    names: Mapping[str, str]  # by tag of the wire
    mobile_regex: str  # Java's syntax, for the number as a form puts it together

    def as_wire(self) -> dict[str, Any]:
        """Return the entry as OneAccess-3.2.4.3 has it."""
        return {
            "areaCode": self.calling_code,
            "displayMapping": dict(self.names),
            "countryCode": self.code,
            "mobileRegex": self.mobile_regex,
            "areaCodeSuffixes": [],
        }


# The entries that the document shows, to the letter: `1,4` in a class means a comma too, and AF has no end. They stand
# in front, in its order. CLDR names three of them otherwise.
_DOCUMENTED = (
    Country(
        "CN",
        "86",
        MappingProxyType({"zh-TW": "中國大陸", "en": "China", "zh-CN": "中国大陆"}),
        r"^(\+86){0,1}\-?1\d{10}$",
    ),
    Country(
        "HK",
        "852",
        MappingProxyType({"zh-TW": "中國香港", "en": "Hong Kong", "zh-CN": "中国香港"}),
        r"^(\+852){1}\-?0{0,1}[1,4,5,6,7,8,9](?:\d{7}|\d{8}|\d{12})$",
    ),
    Country(
        "TW",
        "886",
        MappingProxyType({"zh-TW": "中國臺灣", "en": "Taiwan", "zh-CN": "中国台湾"}),
        r"^(\+886){1}\-?[6,7,9](?:\d{7}|\d{8})$",
    ),
    Country(
        "MO",
        "853",
        MappingProxyType({"zh-TW": "中國澳門", "en": "Macau", "zh-CN": "中国澳门"}),
        r"^(\+853){1}\-?0{0,1}[1,4,5,6,7,8,9](?:\d{7}|\d{8}|\d{12})$",
    ),
    Country(
        "AF",
        "93",
        MappingProxyType({"zh-TW": "阿富汗", "en": "Afghanistan", "zh-CN": "阿富汗"}),
        r"^(\+93){1}\-\d{6,11}",
    ),
)


@cache
def all_countries() -> tuple[Country, ...]:
    """Return every country with mobile numbers: the documented ones first, the others by their English name."""
    documented = {country.code for country in _DOCUMENTED}
    others = [
        country
        for code in phonenumbers.SUPPORTED_REGIONS
        if code not in documented and (country := _derive(code)) is not None
    ]
    return (*_DOCUMENTED, *sorted(others, key=lambda country: _without_accents(country.names["en"])))


@cache
def wire_entries() -> tuple[dict[str, Any], ...]:
    """`phoneAreaCodeDefinitions`. Shared by all callers: nobody changes it."""
    return tuple(country.as_wire() for country in all_countries())


@lru_cache(maxsize=8)
def names(language: str) -> Mapping[str, str]:
    """Map each country code to its name in a language of our pages; English for any other."""
    if language == "zh-hans":
        return MappingProxyType({country.code: country.names["zh-CN"] for country in all_countries()})
    territories = Locale.parse(_PAGE_LOCALES.get(language, "en")).territories
    return MappingProxyType({country.code: territories[country.code] for country in all_countries()})


def _derive(code: str) -> Country | None:
    """Build an entry in the vendor's manner: plus and calling code, perhaps a hyphen and the trunk zero, the number."""
    metadata = PhoneMetadata.metadata_for_region(code)
    if metadata is None or metadata.mobile is None or not metadata.mobile.national_number_pattern:
        return None  # Tristan da Cunha has no mobile network.
    calling_code = str(metadata.country_code)
    trunk_zero = "0{0,1}" if metadata.national_prefix == "0" else ""
    pattern = metadata.mobile.national_number_pattern
    return Country(
        code=code,
        calling_code=calling_code,
        names=MappingProxyType({tag: Locale.parse(name).territories[code] for tag, name in _DISPLAY_LOCALES.items()}),
        mobile_regex=rf"^(\+{calling_code}){{1}}\-?{trunk_zero}(?:{pattern})$",
    )


def _without_accents(name: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign)).casefold()
