"""What the product's JSON APIs have in common: whose tenant, which body, and how a refusal is spelled.

The document answers 400 for everything that a rule refuses, "does not exist" included; 429 and 503 are ours
(decision 28). Texts are English unless the tenant has localisation on.
"""

from __future__ import annotations

import codecs
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import Error as DatabaseError
from django.utils import translation

from identity import errors as domain
from identity.context import RequestContext
from identity.database import event_of, is_unavailable
from identity.directory import tenants
from identity.errors import IdentityError
from identity.http import Request
from identity.languages import best_language
from identity.texts import unique_members

log = logging.getLogger(__name__)

TENANT_HEADER = "X-tenant-id"
RETRY_AFTER_SECONDS = 5
BUSY = "COM.0002"

STATUSES: Mapping[type[IdentityError], int] = MappingProxyType(
    {
        domain.NotFound: 400,
        domain.ValueRequired: 400,
        domain.ValueInvalid: 400,
        domain.AlreadyExists: 400,
        domain.NotAllowed: 400,
        domain.PasswordRefused: 400,
        domain.CredentialsRefused: 400,
        domain.AccountLocked: 400,
        domain.AccountDisabled: 400,
        domain.AccessDenied: 400,
        domain.ApplicationDisabled: 400,
        domain.StateInvalid: 400,
        domain.VerificationRefused: 400,
        domain.SendFailed: 400,
        domain.IdTokenFailed: 400,
        domain.BodyUnreadable: 400,
        domain.ContentCodingUnsupported: 415,
        domain.AuthorityRefused: 403,
        domain.TooManyRequests: 429,
        domain.SystemBusy: 503,
    }
)
_CHARSET = re.compile(r"charset=\"?([A-Za-z0-9_.:-]+)", re.IGNORECASE)
# Python's codecs for names of hosts: not a body's charset, and slow by the square of its length.
_NO_CHARSETS = frozenset({"punycode", "idna"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that refuses, before any framework has wrapped it."""

    status: int
    body: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal_of(error: Exception, http: Request, *, allowed_methods: Iterable[str]) -> Refusal | None:
    """Return the answer to what any of these APIs may meet; None for a fault of ours.

    A rule's refusal, a database that is away, a method that the address does not have, a body beyond all bounds.
    allowed_methods: of the address.
    """
    if isinstance(error, IdentityError):
        return _refusal_by_rule(error, http)
    if isinstance(error, DatabaseError) and is_unavailable(error):
        log.error(event_of(error), extra={"path": http.path}, exc_info=error)
        return Refusal(503, _error_body(BUSY, (), http), {"Retry-After": str(RETRY_AFTER_SECONDS)})
    # The views' framework says it with an error of its own, which is not known here.
    if getattr(error, "status_code", None) == 405:
        body = {"error": "method_not_allowed", "error_description": "This method is not allowed here."}
        return Refusal(405, body, {"Allow": ", ".join(allowed_methods)})
    if isinstance(error, RequestDataTooBig):
        return Refusal(413, {"error": "invalid_request", "error_description": "The body is too large."})
    return None


def _refusal_by_rule(error: IdentityError, http: Request) -> Refusal | None:
    """None for an error that no table names."""
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), None)
    if status is None:
        return None
    seconds = RETRY_AFTER_SECONDS if status == 503 else None
    if isinstance(error, domain.TooManyRequests):
        seconds = error.retry_after_seconds
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return Refusal(status, _error_body(error.error_code, error.params, http), headers)


def _error_body(code: str, params: tuple[object, ...], http: Request) -> dict[str, str]:
    """`error_code` and `error_msg`, the text in the language that the caller may have."""
    with translation.override(_language(http)):
        text = translation.gettext(domain.catalogue()[code].message)
    return {"error_code": code, "error_msg": text.format(*params)}


def with_tenant(http: Request, *, otherwise: Callable[[], str] | None = None) -> RequestContext:
    """Return the request's context, with its tenant.

    The host says which (decision 10); on the shared host X-tenant-id does, and the client must belong to it.
    otherwise: finds the public id of the tenant where neither says it, "" if it cannot.
    Raises NotFound (APP.0001, decision 46).
    """
    context: RequestContext = http.context
    if context.tenant is None:
        public_id = http.headers.get(TENANT_HEADER, "") or (otherwise() if otherwise else "")
        tenant = tenants.get_by_public_id(public_id if public_id.isprintable() else "")
        context = http.context = replace(context, tenant=tenant)
    return context


def read_document(http: Request) -> dict[str, Any]:
    """Read the JSON object of a body, whatever its content type; {} where there is no body.

    Raises BodyUnreadable and ContentCodingUnsupported: a change must not succeed by a body that was not read
    (decision 53, RFC9110-15.5.1).
    """
    coding = http.headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise domain.ContentCodingUnsupported(log_detail="Content-Encoding")
    body = http.body
    if not body.strip():
        return {}
    charset = _CHARSET.search(http.headers.get("Content-Type", ""))
    try:
        text = _decode(body, charset.group(1) if charset else "utf-8").removeprefix("\ufeff")  # RFC8259-8.1
        document = json.loads(text, parse_constant=_no_constant, object_pairs_hook=unique_members)
        # A lone surrogate is no character; no database and no hash takes it.
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise domain.BodyUnreadable(log_detail=type(error).__name__) from None
    if not isinstance(document, dict):
        raise domain.BodyUnreadable(log_detail="no JSON object")
    return document


def _decode(body: bytes, charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
        return body.decode("utf-8" if name in _NO_CHARSETS else name)
    except LookupError:
        return body.decode("utf-8")


def _no_constant(name: str) -> None:
    raise ValueError(name)  # RFC8259-6: neither NaN nor Infinity


def _language(http: Request) -> str:
    tenant = http.context.tenant
    if tenant is None or not tenant.localize_errors:
        return "en"
    # X-L is the vendor's header and wins; the first language of Accept-Language that we have comes next.
    accepted = [part.partition(";")[0].strip() for part in http.headers.get("Accept-Language", "")[:500].split(",")]
    wishes = [http.headers.get("X-L", ""), *accepted]
    return best_language(wishes) or "en"
