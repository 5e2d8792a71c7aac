"""A token request whose client has proved itself. A value: `exchange` makes it, and each grant reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants.basis import Basis
from oidc_provider.models import AuthorizationCode, Client, RefreshToken
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.parameters import Parameters, check_scope_spelling


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

    def basis(self, row: AuthorizationCode | RefreshToken, *, scopes: Sequence[str]) -> Basis:
        """Return what tokens for a code or a refresh token are given for."""
        return Basis.of_row(row, scopes=scopes, facts=self.facts, client=self.client, started_at=self.started_at)

    def is_for(self, row: AuthorizationCode | RefreshToken) -> bool:
        """Whether a code or token was given to this client, in this dialect."""
        return row.application_id == self.client.pk and row.dialect == self.facts.dialect.name
