"""Park an authorization request on the server and find it again: sealed, spent once, bound to this browser."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from identity import budgets, cookies, crypto, pending_requests
from identity.budgets import Budget
from identity.errors import StateInvalid
from identity.http import Request, tenant_of
from identity.models import Tenant
from identity.pending_requests import Taken
from oidc_provider import dialects
from oidc_provider.authorization.interaction import Passed
from oidc_provider.dialects.base import Dialect
from oidc_provider.wire.answers import redirect
from oidc_provider.wire.parameters import Parameters

HANDLE_PARAMETER = "request"
# The browser comes back at once after a POST, and when the user is done after a page of ours.
POST_LIFETIME = timedelta(minutes=5)


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


def park(request: Request, route: str, payload: dict[str, Any]) -> str:
    """Keep a request; return the address, on our own site, where this browser may take it up again."""
    return _park(request, reverse(route), payload, binding=cookies.browser_binding(request))


def park_post(request: Request, route: str, payload: dict[str, Any]) -> HttpResponse:
    """Keep what another site's page posted, and let the browser come back with a GET that carries its cookies."""
    binding = crypto.new_handle()
    response = redirect(request, _park(request, reverse(route), payload, binding=binding, lifetime=POST_LIFETIME))
    cookies.set_parked(response, request, binding, max_age=int(POST_LIFETIME.total_seconds()))
    return response


def take(request: Request) -> dict[str, Any]:
    """Spend the parked payload that this address names. Raises StateInvalid."""
    return pending_requests.consume(tenant=_tenant(request), path=request.path, **_keys(request))


def take_up(request: Request) -> Taken:
    """Spend the parked payload that this address names, even if its page stood open too long. Raises StateInvalid."""
    return pending_requests.take_up(tenant=_tenant(request), path=request.path, **_keys(request))


def look(request: Request) -> dict[str, Any]:
    """Read the parked payload that this address names and leave it there. Raises StateInvalid."""
    return pending_requests.peek(tenant=_tenant(request), path=request.path, **_keys(request))


def find(request: Request, *, is_answered: bool) -> Taken:
    """The payload behind a page with a question: left there while it is only shown, spent by an answer.

    One that is over is spent by both. Raises StateInvalid.
    """
    if not is_answered:
        try:
            return Taken(look(request), is_over=False)
        except StateInvalid:
            pass  # over, or what `take_up` refuses
    return take_up(request)


def _park(request: Request, path: str, payload: dict[str, Any], *, binding: str, **options: Any) -> str:
    context = request.context
    budgets.spend(Budget.PARKED, tenant=context.tenant, context=context)
    handle = pending_requests.park(tenant=_tenant(request), path=path, payload=payload, binding=binding, **options)
    return f"{path}?{HANDLE_PARAMETER}={handle}"


def _keys(request: Request) -> dict[str, Any]:
    held = [cookies.read(name, request) for name in (cookies.BROWSER, cookies.PARKED)]
    return {"handle": request.GET.get(HANDLE_PARAMETER, "")[:100], "bindings": [value for value in held if value]}


def _tenant(request: Request) -> Tenant:
    return tenant_of(request)
