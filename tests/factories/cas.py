"""Rows of CAS: services, and what a browser of theirs does."""

from __future__ import annotations

from itertools import count
from typing import Any

from cas_saml.cas import tickets
from cas_saml.models import CASService
from identity.context import RequestContext
from identity.models import Application, SSOSession, Tenant
from tests.factories import make_application

_numbers = count(1)


def make_cas_service(
    application: Application | None = None, *, tenant: Tenant | None = None, **values: Any
) -> CASService:
    """A service of one exact address."""
    entry = application or make_application(tenant)
    service = CASService(application=entry, **{"url": f"https://app{next(_numbers)}.example/cas", **values})
    service.full_clean()
    service.save()
    return service


def make_ticket(service: CASService, session: SSOSession, *, service_url: str = "", is_new: bool = True) -> str:
    """A ticket of the session, as the login endpoint gives it."""
    return tickets.issue(
        service=service,
        service_url=service_url or service.url,
        session=session,
        is_from_new_login=is_new,
        context=RequestContext(tenant=session.tenant),
    )
