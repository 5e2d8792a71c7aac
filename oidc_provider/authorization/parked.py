"""An authorization request as it waits on the server, while the user does something for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from identity.browser.interaction import Passed
from oidc_provider import dialects
from oidc_provider.dialects.base import Dialect
from oidc_provider.wire.parameters import Parameters


@dataclass(frozen=True)
class ParkedRequest:
    """An authorization request and what was done for it so far."""

    dialect: Dialect
    params: Parameters
    passed: Passed
    app_code: str

    def having(self, passed: Passed) -> ParkedRequest:
        """The same request after the user has done something."""
        return replace(self, passed=passed)

    def to_json(self) -> dict[str, Any]:
        """As the payload of a PendingRequest."""
        return {
            "dialect": self.dialect.name,
            "params": self.params.known,
            "passed": self.passed.to_json(),
            "app_code": self.app_code,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ParkedRequest:
        """Read back what `to_json` wrote."""
        return cls(
            dialect=dialects.get(document["dialect"]),
            params=Parameters.of(document["params"]),
            passed=Passed.from_json(document["passed"]),
            app_code=document["app_code"],
        )
