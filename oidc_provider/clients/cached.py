"""Find clients, from a copy in the process that is a few seconds old at most (decision 22).

A client is part of every request, and hardly ever changes. Copies are shared between threads: never write to one.
A copy refuses nothing: where it lacks what a request brings (a secret, an address, an origin), the rows are read
again first, for another process may have registered it since. See `suffices`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import prefetch_related_objects
from django.db.models.signals import m2m_changed, post_delete, post_save

from identity.conf import conf
from identity.models import Application, Tenant
from identity.statements import Select
from identity.texts import is_storable
from oidc_provider.models import ApiScope, AuthMethod, Client


@dataclass(frozen=True)
class _Copy:
    loaded_at: float
    client: Client

    @property
    def is_fresh(self) -> bool:
        return 0 <= time.monotonic() - self.loaded_at < conf.process_cache_seconds


@dataclass(frozen=True)
class _Origins:
    loaded_at: float
    origins: frozenset[str]


@dataclass(frozen=True)
class _Public:
    loaded_at: float
    client_id: str


_by_key: dict[int, _Copy] = {}
_by_client_id: dict[str, int] = {}
_origins: dict[tuple[int, frozenset[str]], _Origins] = {}
_public: dict[tuple[int, str, str], _Public] = {}


def find(*, client_id: str, tenant: Tenant, suffices: Callable[[Client], bool] | None = None) -> Client | None:
    """Return the client of that name in the tenant, whether or not it is enabled.

    suffices: what the caller will ask of it. A copy of which it is not true is read anew, once; then it is the
    caller's to refuse.
    """
    pk = _by_client_id.get(client_id)
    copy = _by_key.get(pk) if pk is not None else None
    is_good = copy is not None and copy.is_fresh and copy.client.client_id == client_id
    if copy is None or not is_good or (suffices is not None and not suffices(copy.client)):
        if len(client_id) > 255 or not is_storable(client_id):
            return None
        copy = _load(lambda: _BY_CLIENT_ID.first(client_id))
    if copy is None or copy.client.tenant_id != tenant.pk:
        return None  # S36: another tenant's client does not exist here.
    return copy.client


def find_tenant(*, client_id: str) -> str:
    """Return the public id of a client's tenant, "" where there is no client: client_id is unique everywhere."""
    if len(client_id) > 255 or not is_storable(client_id):
        return ""
    rows = Client.objects.filter(client_id=client_id)
    return rows.values_list("tenant__public_id", flat=True).first() or ""


def get(pk: int) -> Client:
    """Return the client of a token or code. Raises Client.DoesNotExist."""
    copy = _by_key.get(pk)
    if copy is None or not copy.is_fresh:
        copy = _load(lambda: _BY_PK.first(pk))
    if copy is None:
        raise Client.DoesNotExist
    return copy.client


def find_public(*, app_code: str, dialect: str, tenant: Tenant) -> str:
    """Return the client_id of the application's public client of a dialect (decision 6), "" if it has none."""
    key = (tenant.pk, dialect, app_code)
    copy = _public.get(key)
    if copy is None or not 0 <= time.monotonic() - copy.loaded_at < conf.process_cache_seconds:
        if len(app_code) > 64 or not is_storable(app_code):
            return ""
        loaded_at = time.monotonic()
        rows = Client.objects.filter(tenant=tenant, dialect=dialect, catalogue_entry__code=app_code)
        public = rows.filter(token_endpoint_auth_method=AuthMethod.NONE, is_active=True)
        found = public.values_list("client_id", flat=True).first() or ""
        if not found:
            return ""  # Not remembered: anybody can invent codes.
        copy = _public[key] = _Public(loaded_at, found)
    return copy.client_id


def has_issuer(*, app_code: str, dialect: str, tenant: Tenant) -> bool:
    """Whether the application of that code has an enabled client of a dialect, and so an issuer."""
    if len(app_code) > 64 or not is_storable(app_code):
        return False
    rows = Client.objects.filter(tenant=tenant, dialect=dialect, is_active=True)
    return rows.filter(catalogue_entry__code=app_code, catalogue_entry__is_active=True).exists()


def post_logout_redirect_uris(*, tenant: Tenant) -> frozenset[str]:
    """Every post_logout_redirect_uri that an enabled client of the tenant has registered."""
    rows = Client.objects.filter(tenant=tenant, is_active=True, catalogue_entry__is_active=True)
    found = rows.exclude(post_logout_redirect_uris=[]).only("post_logout_redirect_uris")
    return frozenset(address for row in found for address in row.post_logout_redirect_uris)


def addresses_after_logout(*, tenant: Tenant, dialect: str) -> frozenset[str]:
    """Every address to which a sign-out of a dialect that names no client may go back (S22)."""
    rows = Client.objects.filter(tenant=tenant, dialect=dialect, is_active=True, catalogue_entry__is_active=True)
    # As rows, which are read safely, and not as bare columns.
    found = rows.only("post_logout_redirect_uris", "redirect_uris")
    return frozenset(address for row in found for address in (*row.post_logout_redirect_uris, *row.redirect_uris))


def is_web_origin(origin: str, *, tenant: Tenant, dialects: frozenset[str] = frozenset()) -> bool:
    """Whether pages of this origin may call the token, userinfo and revocation endpoints of the tenant.

    dialects: as registered by clients of these only. The string is compared, not parsed (S2).
    """
    return any(origin in _web_origins(tenant, dialects, is_anew=is_anew) for is_anew in (False, True))


def _web_origins(tenant: Tenant, dialects: frozenset[str], *, is_anew: bool) -> frozenset[str]:
    key = (tenant.pk, dialects)
    copy = _origins.get(key)
    if is_anew or copy is None or not 0 <= time.monotonic() - copy.loaded_at < conf.process_cache_seconds:
        loaded_at = time.monotonic()
        rows = Client.objects.filter(tenant=tenant, is_active=True, catalogue_entry__is_active=True)
        if dialects:
            rows = rows.filter(dialect__in=dialects)
        found = rows.exclude(web_origins=[]).only("web_origins")
        copy = _origins[key] = _Origins(loaded_at, frozenset(origin for row in found for origin in row.web_origins))
    return copy.origins


def clear_cache(**kwargs: Any) -> None:
    """Forget every copy of this process."""
    _by_key.clear()
    _by_client_id.clear()
    _origins.clear()
    _public.clear()


_BY_CLIENT_ID = Select(
    lambda client_id: Client.objects.select_related("catalogue_entry").filter(client_id=client_id)[:1]
)
_BY_PK = Select(lambda pk: Client.objects.select_related("catalogue_entry").filter(pk=pk)[:1])


def _load(look_up: Callable[[], Client | None]) -> _Copy | None:
    loaded_at = time.monotonic()
    client = look_up()
    if client is None:
        return None
    prefetch_related_objects([client], "api_scopes")
    copy = _by_key[client.pk] = _Copy(loaded_at, client)
    _by_client_id[client.client_id] = client.pk
    return copy


def _changed(**kwargs: Any) -> None:
    # Now, for this transaction; and again when it has committed, for another thread may have read the old row since.
    clear_cache()
    transaction.on_commit(partial(clear_cache))


def connect() -> None:
    """Invalidate cached clients when their rows change. Called once, by `apps.ready`."""
    for sender in (Client, Application, ApiScope):
        post_save.connect(_changed, sender=sender, dispatch_uid=f"oidc_provider.clients.cached.save.{sender.__name__}")
        post_delete.connect(
            _changed, sender=sender, dispatch_uid=f"oidc_provider.clients.cached.delete.{sender.__name__}"
        )
    m2m_changed.connect(_changed, sender=Client.api_scopes.through, dispatch_uid="oidc_provider.clients.cached.scopes")
