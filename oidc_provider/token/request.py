"""A token request: its parameters, and the value that each grant reads once the client has proved itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from oidc_provider.dialects.base import SecretPlace
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.models import Client
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.machine import JSON, Request
from oidc_provider.wire.parameters import (
    FORM,
    MAX_FIELDS,
    Parameters,
    check_scope_spelling,
    collect,
    from_form,
    from_text,
    merge,
)


def token_parameters(asked: Request) -> Parameters:
    """Return the parameters of a token request, in RFC names, from where the dialect takes them. Raises OAuthError."""
    params = _token_parameters(asked)
    return params.respelled(asked.dialect.to_rfc(params))


def _token_parameters(asked: Request) -> Parameters:
    dialect = asked.dialect
    if SecretPlace.QUERY not in dialect.secret_places:
        if dialect.takes_text_as_json and asked.content_type == JSON and not from_text(asked.query):
            return _json_or_text(asked)
        return asked.form()
    query = from_text(asked.query)
    if asked.content_type != FORM and not asked.headers.get("Content-Length", "0").strip("0"):
        return query  # Everything was in the query, and there is no body to name a type for.
    return merge(query, from_form(asked.content_type, asked.read_body))


def _json_or_text(asked: Request) -> Parameters:
    """Read form text or JSON under the type of JSON: the first character tells which (OneAccess-3.3.1.1)."""
    text = asked.read_body().decode("utf-8", errors="replace").strip()
    if not text.startswith("{"):
        return from_text(text)
    try:
        members: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="not JSON") from None
    if len(members) > MAX_FIELDS or not all(isinstance(value, str) for _, value in members):
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="members that are no text, or too many")
    return collect(members)


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """A token request whose client has proved itself and may use this grant (RFC6749-3.2)."""

    params: Parameters  # in RFC names
    client: Client
    facts: Facts
    started_at: datetime = field(default_factory=timezone.now)  # before anything was read

    def having(self, *names: str) -> Parameters:
        """Return the parameters, with these among them and the scope spelled like one. Raises OAuthError."""
        for name in names:
            if name not in self.params:
                fault = Fault.MISSING_CODE if name == "code" else Fault.MISSING_PARAMETER
                raise OAuthError(fault, log_detail=f"name={name}", names=(name,))
        check_scope_spelling(self.params.get("scope", ""))
        return self.params

    @property
    def scopes(self) -> list[str]:
        """The words of the scope, none where none was sent (RFC6749-3.3)."""
        scope = self.params.get("scope", "")
        return scope.split(" ") if scope else []
