"""Passwords that are guessed first: a list of words people choose, and the rules by which they dress them up.

A long list of dressed-up words would say less: `Passw0rd!`, `password2026` and `P@SSWORD..` are one word here, and
`abcd1234` or `qweasd` is a walk over the keyboard.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

WORDS_FILE = Path(__file__).with_name("weak_passwords.txt")

# What people type for a letter. "1" is both "i" and "l", so both readings are tried.
_LEET = [str.maketrans("0134578@$!|+", f"oleastbas{one}{one}t") | str.maketrans("19", f"{one}g") for one in ("i", "l")]
_WALKS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "!@#$%^&*()",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "qazwsxedcrfvtgbyhnujmik,ol.p;/",
    "147258369",
)
_MIN_WALK = 3


@cache
def _words() -> frozenset[str]:
    lines = WORDS_FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def is_weak(password: str) -> bool:
    """Tell whether many people use this password or one like it."""
    folded = _fold(password)
    return not _words().isdisjoint(_readings(folded)) or _is_walk(folded) or _is_repetition(folded)


def is_one_of(password: str, words: Iterable[str]) -> bool:
    """Tell whether the password is one of these words, dressed up or not."""
    unwelcome = {_fold(word.strip()) for word in words} - {""}
    return bool(unwelcome) and not unwelcome.isdisjoint(_readings(_fold(password)))


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _readings(folded: str) -> set[str]:
    """Return the words that a password may stand for: without what stands around it, and with letters for digits."""
    readings = {folded}
    for text in (folded, *(folded.translate(table) for table in _LEET)):
        readings |= {text, re.sub(r"[^\w]|_", "", text)}
    # The digits and signs at both ends go before digits inside are read as letters: `password12` is no `passwordiz`.
    bare = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", folded)
    behind = re.sub(r"[\W\d_]+$", "", folded)
    signless = re.sub(r"^[\W_]+|[\W_]+$", "", folded)
    for text in (bare, behind, signless):
        readings |= {text, *(text.translate(table) for table in _LEET)}
    # `admin123admin`, `root@2026root`: the same word at both ends.
    halves = re.fullmatch(r"(\w+?)[\W\d_]*\1", folded)
    if halves:
        readings.add(halves[1])
    return readings - {""}


def _is_walk(folded: str) -> bool:
    """Tell whether it is made of steps along the alphabet, the digits or the keyboard, of three keys or more."""
    position = 0
    while position < len(folded):
        length = _walk_length(folded[position:])
        if length < _MIN_WALK:
            return False
        position += length
    return True


def _walk_length(text: str) -> int:
    longest = len(text) - len(text.lstrip(text[0]))  # one key again and again
    for walk in _WALKS:
        for way in (walk, walk[::-1]):
            length = longest + 1
            while length <= len(text) and text[:length] in way:
                longest, length = length, length + 1
    return longest


def _is_repetition(folded: str) -> bool:
    """Tell whether one short piece is all of it, as in `ab12ab12`."""
    return re.fullmatch(r"(.{1,4})\1+", folded, re.DOTALL) is not None
