"""What a text may hold that is to be stored or looked up."""

from __future__ import annotations

from typing import Any


def is_storable(text: str) -> bool:
    """Whether a database and a hash can take the text.

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
    """Words with one space between them, and none around."""
    return " ".join(word for word in words.split(" ") if word)
