"""What a text may hold that is to be stored or looked up."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import idna

# Format characters (general category Cf), and others that Unicode lets be ignored or that show as nothing: the fillers
# of Hangul and the empty pattern of Braille; the joiner of graphemes, inherent vowels of Khmer, variation selectors.
_FORMAT = (
    "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
)
_EMPTY = "\u115f\u1160\u2800\u3164\uffa0"
_MODIFYING = "\u034f\u17b4\u17b5\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_INVISIBLE = re.compile(f"[{_FORMAT}{_EMPTY}{_MODIFYING}]")
# What no language spells with: directions, the zero-width space, soft hyphens, byte order marks, invisible operators.
_NEVER_SPELLED = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
_AROUND = re.compile(f"^[\\s{_FORMAT}{_EMPTY}{_MODIFYING}]+|[\\s{_FORMAT}{_EMPTY}]+$")
# Minus, and the mark that a Japanese input method writes for the key of the hyphen.
_LIKE_HYPHENS = "\u2212\u30fc"


def is_storable(text: str) -> bool:
    """Tell whether a database and a hash can take the text.

    NUL is refused by PostgreSQL. Half of a surrogate pair, which JSON may carry as `\\ud800`, has no encoding. Neither
    is in any stored text, so whoever asks for one asks for nothing that exists.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def unique_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object of its members. As `object_pairs_hook`, it raises ValueError where a name comes twice.

    S45, RFC8259-4: another reader of the same text may take the other value.
    """
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member comes twice")
    return found


def single_spaced(words: str) -> str:
    """Return the words with one space between them, and none around."""
    return " ".join(word for word in words.split(" ") if word)


def typed_code(text: str) -> str:
    """Read a code as it was sent, however it was typed: input methods write wide digits, messages group them.

    "123 456", "123-456", "１２３４５６" and "123456" with a zero-width space in it are one code (decision 59).
    """
    return "".join(
        str(unicodedata.decimal(character)) if character.isdecimal() else character
        for character in unicodedata.normalize("NFKC", text)
        if not (character.isspace() or character in _LIKE_HYPHENS or unicodedata.category(character) in ("Pd", "Cf"))
    )


def prepared_password(password: str) -> str:
    """Return a password as it is hashed and compared: one space for every kind of space, and NFC (RFC 8265 4.2.2).

    Keyboards differ in how they compose an accent, and in which space they write; nobody sees it in the field.
    """
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in password)
    return unicodedata.normalize("NFC", spaced)


def has_invisible(text: str) -> bool:
    """Tell whether characters stand in it that nobody sees, or that turn the direction of others.

    RFC 8265 3.3: two names that look alike are two people's to the database and one to everybody else.
    """
    return _INVISIBLE.search(text) is not None


def without_invisible(text: str) -> str:
    """Return the text without the characters that nobody sees, for comparing."""
    return _INVISIBLE.sub("", text)


def trimmed(text: str) -> str:
    """Strip a text for people of what nobody sees around it, and of what turns or hides its other characters.

    Joiners and variation selectors inside stay: Persian and Indic names, and Japanese ones, are spelled with them.
    """
    return _AROUND.sub("", _NEVER_SPELLED.sub("", text))


def domain_key(domain: str) -> str:
    """Return one form for both spellings of a domain: its A-labels (RFC 5891 5.4). As it is where it has none."""
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return domain
