"""The endpoints of what is published for anybody: the discovery document (OIDCD-4, RFC8414-3) and the keys."""

from __future__ import annotations

from identity import budgets, origins
from identity.budgets import Budget
from identity.events import EventType
from identity.machine import READ_ONLY, Answer, NothingHere
from oidc_provider.discovery import found, metadata
from oidc_provider.discovery.metadata import CACHE_SECONDS, Document
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.wire import machine
from oidc_provider.wire.machine import Request

# A copy at the reader is good for so long.
_PUBLIC = {"Cache-Control": f"public, max-age={CACHE_SECONDS}"}


def discovery(asked: Request) -> Answer:
    """Publish what this issuer supports."""
    return _published(asked) or _document(asked, _metadata(asked))


def jwks(asked: Request) -> Answer:
    """Publish the tenant's keys (OIDCD-3, RFC7517-5): active, next, and retired ones that a living token may name."""
    return _published(asked) or _document(asked, metadata.key_set(asked.tenant, asked.dialect))


def public_key(asked: Request) -> Answer:
    """Publish one key by its kid (Pactera-3.4)."""
    if refusal := _published(asked):
        return refusal
    document = metadata.public_key(asked.tenant, asked.kid, asked.dialect)
    if document is None:
        return machine.refuse(OAuthError(Fault.UNKNOWN_KEY), asked, event=EventType.TOKEN_USE)
    return machine.json_answer(document, headers=_PUBLIC)


def _published(asked: Request) -> Answer | None:
    """Refuse what does not read, and count the rest. Raises NothingHere and BudgetSpent."""
    if asked.method not in ("GET", "HEAD"):
        return READ_ONLY
    if not found.has_issuer(asked.context.tenant, asked.dialect, asked.app_code):
        raise NothingHere
    budgets.spend(Budget.DOCUMENTS, tenant=asked.tenant, context=asked.context)
    return None


def _metadata(asked: Request) -> Document:
    origin = origins.base(asked.context)
    issuer = asked.dialect.issuer(origin, app_code=asked.app_code)
    return metadata.discovery(asked.dialect, issuer, origin, asked.app_code, tenant=asked.tenant)


def _document(asked: Request, document: Document) -> Answer:
    """Send a document, or say that the reader's copy is still good (RFC9110-13.1.2)."""
    headers = {"ETag": document.etag, **_PUBLIC}
    known = [tag.strip().removeprefix("W/") for tag in asked.headers.get("If-None-Match", "").split(",")]
    if document.etag in known or known == ["*"]:
        return Answer(304, headers)
    return Answer(200, {"Content-Type": machine.JSON, **headers}, document.body)
