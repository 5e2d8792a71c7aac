"""What a text may hold that is to be stored or looked up."""

from __future__ import annotations


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
