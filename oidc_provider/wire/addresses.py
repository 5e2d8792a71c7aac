"""Add parameters to an address that was registered."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode


def with_parameters(address: str, parameters: Mapping[str, str]) -> str:
    """Put these parameters into the address's query. RFC6749-3.1.2: the query that was registered is kept as it is."""
    encoded = urlencode(parameters, quote_via=quote)
    separator = "" if not encoded or address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return f"{address}{separator}{encoded}"
