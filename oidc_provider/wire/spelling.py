"""How a refusal is said: the dialect's words completed from the catalogue, and the note in log and audit."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from identity import audit
from identity.context import RequestContext
from identity.events import EventType
from identity.models import AuditOutcome
from oidc_provider.dialects.base import Delivery, Dialect
from oidc_provider.errors import OAuthError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spelling:
    """How one refusal is said."""

    status: int
    error: str
    text: str
    delivery: Delivery | None = None
    members: tuple[str, str] = ("error", "error_description")

    @property
    def body(self) -> dict[str, str]:
        """The members of a JSON body, as the dialect calls them."""
        return dict(zip(self.members, (self.error, self.text), strict=True))

    @property
    def standard_body(self) -> dict[str, str]:
        """The same, as the standard calls them: for addresses and pages."""
        return {"error": self.error, "error_description": self.text}


def spell(error: OAuthError, dialect: Dialect) -> Spelling:
    """Take the dialect's spelling, completed from the catalogue."""
    spec, own = error.spec, dialect.refusal(error.fault)
    if own is None:
        return Spelling(status=spec.status, error=spec.error, text=spec.text)
    return Spelling(
        delivery=own.delivery,
        status=own.status or spec.status,
        error=own.error or spec.error,
        text=(own.text(error) if callable(own.text) else own.text) or spec.text,
        members=own.members,
    )


def error_uri(dialect: Dialect) -> dict[str, str]:
    """Return the member that every refusal of the dialect has, if it has one (RFC6749-5.2)."""
    return {"error_uri": dialect.error_uri} if dialect.error_uri else {}


def record(error: OAuthError, *, context: RequestContext, dialect: Dialect, event: EventType) -> None:
    """Log and audit a refusal. It is called after the rollback: what the request had begun to write is gone by then."""
    client_id = error.client_id or (error.redirect.client_id if error.redirect else "")
    reason = error.fault.value
    log.info(
        "oauth.refused",
        extra={"event_type": event.value, "reason": reason, "client_id": client_id, "detail": error.log_detail},
    )
    audit.record(
        event,
        tenant=context.tenant,
        outcome=AuditOutcome.REFUSED,
        reason=reason,
        context=context,
        client_id=client_id,
        dialect=dialect.name,
    )
