"""What the columns that operators write may hold.

One rule serves the form, the API, the configuration file and the reading of rows (`models.reading`): it stands at the
column. Validators take whatever a column of JSON can hold and raise django's ValidationError.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import translation
from django.utils.translation import gettext_lazy as _

MINUTE, DAY = 60, 24 * 3600
# A policy that lasts longer than this is a slip of the hand, and dates this far away still fit everywhere.
LONGEST_SECONDS = 10 * 366 * DAY
MOST = 1_000_000
_LONGEST_TAG = 35  # of a language, as BCP 47 has them

Validators = list[Callable[[object], None]]


def seconds(least: int, most: int = LONGEST_SECONDS) -> Validators:
    """From `least` to `most` seconds, both included."""
    return [MinValueValidator(least), MaxValueValidator(most)]


def count(least: int, most: int = MOST) -> Validators:
    """From `least` to `most` of something, both included."""
    return [MinValueValidator(least), MaxValueValidator(most)]


@lru_cache(maxsize=1024)
def is_time_zone(name: object) -> bool:
    """Tell whether this machine knows a time zone of that IANA name."""
    if not isinstance(name, str) or not name:
        return False
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; a path; a folder such as "Asia"
        return False
    return True


def validate_time_zone(name: object) -> None:
    """Refuse what is no time zone: dates could not be shown, and every page shows one."""
    if not is_time_zone(name):
        raise ValidationError(_("There is no time zone of this name."))


@lru_cache(maxsize=1)
def time_zones() -> list[str]:
    """Return the IANA names to choose from, places before the zones that only count hours."""
    return sorted(available_timezones(), key=lambda name: ("/" not in name or name.startswith("Etc/"), name))


def validate_language(tag: object) -> None:
    """Refuse a language that no page speaks. Tags such as zh-CN mean the nearest one that we have."""
    try:
        if not isinstance(tag, str) or not tag or len(tag) > _LONGEST_TAG:
            raise LookupError
        translation.get_supported_language_variant(tag.lower())
    except LookupError:
        names = ", ".join(code for code, _name in settings.LANGUAGES)
        raise ValidationError(_("Choose one of: %(names)s."), params={"names": names}) from None


def validate_web_address(address: object) -> None:
    """Refuse an address that a page would not link to or show: other schemes, none, or with white space in it."""
    is_text = isinstance(address, str) and address.isprintable() and " " not in address
    if not is_text or not str(address).lower().startswith(("https://", "http://", "/")):
        raise ValidationError(_("An address begins with https://, http:// or /."))


def validate_countries(codes: object) -> None:
    """Refuse codes that are no country's; "*" is all of them."""
    unknown = set(str(codes).split()) - phonenumbers.SUPPORTED_REGIONS - {"*"}
    if unknown:
        raise ValidationError(
            _("There are no telephone numbers in %(country)s."), params={"country": sorted(unknown)[0]}
        )


def validate_factors(names: object) -> None:
    """Refuse names that are no kinds of second factors, with spaces between them. Raises ValidationError."""
    known = ("passkey", "totp", "sms", "email", "recovery_code")
    for name in str(names).split():
        if name not in known:
            raise ValidationError(_("“%(name)s” is no kind of second factor."), params={"name": name})


def validate_texts(value: object) -> None:
    """Refuse what is not a list of texts."""
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ValidationError(_("It is not a list of texts."))


def validate_objects_by_name(value: object) -> None:
    """Refuse what is not an object of objects."""
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise ValidationError(_("It is not an object of objects."))


def validate_object(value: object) -> None:
    """Refuse what is not an object."""
    if not isinstance(value, dict):
        raise ValidationError(_("It is not an object."))
