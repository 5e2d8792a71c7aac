"""Pages: `offset` is the index of a page from 0, `limit` its size (decision 44: bad or missing is PAGE.0001)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from identity.errors import ValueInvalid

_DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for; the selectors judge the numbers."""

    index: int
    size: int


def read_page(
    query: Mapping[str, Any], document: Mapping[str, Any] | None = None, *, needs_offset: bool = True
) -> PageRequest:
    """Read `offset` and `limit` from the query, else from a JSON body. Raises ValueInvalid (PAGE.0001)."""
    body = document or {}
    offset, limit = (query.get(name) if name in query else body.get(name) for name in ("offset", "limit"))
    if offset is None and not needs_offset:
        offset = 0
    return PageRequest(index=_number(offset), size=_number(limit))


def _number(value: Any) -> int:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not _DIGITS.fullmatch(text):
        raise ValueInvalid("PAGE.0001", log_detail="offset or limit")
    return int(text)
