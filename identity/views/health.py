"""Probes: is the process alive, and can it answer?"""

from __future__ import annotations

from django.db import Error as DatabaseError
from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from identity.database import missing_migrations
from identity.http import Request
from identity.keyring.secret_check import find_wrong
from identity.views.errors import RETRY_AFTER_SECONDS


@never_cache
@require_safe
def livez(request: Request) -> HttpResponse:
    """200 while the process answers at all; asks nothing else."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: Request) -> HttpResponse:
    """200 while the database answers, has the schema of this code and was written with these secrets.

    Else 503 with Retry-After and what is wrong: `database`, `schema` with the migration that is missing, or `secrets`
    with the variables that are other ones.
    """
    try:
        missing = missing_migrations()
        reason = f"schema {missing[0]}" if missing else " ".join(["secrets", *wrong] if (wrong := find_wrong()) else [])
    except DatabaseError:
        reason = "database"
    if not reason:
        return HttpResponse("ok\n", content_type="text/plain")
    return HttpResponse(
        f"{reason}\n", content_type="text/plain", status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}
    )
