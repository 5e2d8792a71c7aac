"""Find clients, which are remembered (`identity.copies`, decision 22): part of every request, and hardly ever changed.

A copy refuses nothing: where it lacks what a request brings (a secret, an address, an origin), the rows are read
again first, for another process may have registered it since. See `suffices`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models.signals import m2m_changed

from identity import copies
from identity.copies import Copies
from identity.models import Application, Tenant
from identity.statements import Select
from identity.texts import is_storable
from oidc_provider.models import ApiScope, AuthMethod, Client

_by_pk: Copies[int, Client] = Copies()
_pks: Copies[str, int] = Copies()  # by client_id
_origins: Copies[tuple[int, frozenset[str]], frozenset[str]] = Copies()
_public: Copies[tuple[int, str, str], str] = Copies()


def find(*, client_id: str, tenant: Tenant, suffices: Callable[[Client], bool] | None = None) -> Client | None:
    """Return the client of that name in the tenant, whether or not it is enabled.

    suffices: what the caller will ask of it. A copy of which it is not true is read anew, once; then it is the
    caller's to refuse.
    """
    pk = _pks.find(client_id)
    client = _by_pk.find(pk) if pk is not None else None
    if client is None or client.client_id != client_id or (suffices is not None and not suffices(client)):
        if len(client_id) > 255 or not is_storable(client_id):
            return None
        client = _load(lambda: _BY_CLIENT_ID.first(client_id))
    if client is None or client.tenant_id != tenant.pk:
        return None  # S36: another tenant's client does not exist here.
    return client


def find_tenant(*, client_id: str) -> str:
    """Return the public id of a client's tenant, "" where there is no client: client_id is unique everywhere."""
    if len(client_id) > 255 or not is_storable(client_id):
        return ""
    rows = Client.objects.filter(client_id=client_id)
    return rows.values_list("tenant__public_id", flat=True).first() or ""


def get(pk: int) -> Client:
    """Return the client of a token or code. Raises Client.DoesNotExist."""
    client = _by_pk.find(pk) or _load(lambda: _BY_PK.first(pk))
    if client is None:
        raise Client.DoesNotExist
    return client


def find_public(*, app_code: str, dialect: str, tenant: Tenant) -> str:
    """Return the client_id of the application's public client of a dialect (decision 6), "" if it has none."""
    if len(app_code) > 64 or not is_storable(app_code):
        return ""

    def read() -> str | None:
        rows = Client.objects.filter(tenant=tenant, dialect=dialect, catalogue_entry__code=app_code)
        public = rows.filter(token_endpoint_auth_method=AuthMethod.NONE, is_active=True)
        return public.values_list("client_id", flat=True).first()

    return _public.get((tenant.pk, dialect, app_code), read, tenant_id=tenant.pk) or ""


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
    origins = None if is_anew else _origins.find(key)
    if origins is None:
        moment = copies.begin()
        rows = Client.objects.filter(tenant=tenant, is_active=True, catalogue_entry__is_active=True)
        if dialects:
            rows = rows.filter(dialect__in=dialects)
        found = rows.exclude(web_origins=[]).only("web_origins")
        origins = frozenset(origin for row in found for origin in row.web_origins)
        _origins.keep(key, origins, tenant_id=tenant.pk, since=moment)
    return origins


_BY_CLIENT_ID = Select(
    lambda client_id: Client.objects.select_related("catalogue_entry").filter(client_id=client_id)[:1]
)
_BY_PK = Select(lambda pk: Client.objects.select_related("catalogue_entry").filter(pk=pk)[:1])
_API_SCOPES = Select(lambda client: ApiScope.objects.filter(clients=client))


def _load(look_up: Callable[[], Client | None]) -> Client | None:
    moment = copies.begin()
    client = look_up()
    if client is not None:
        # As prefetch_related_objects does, which spells its query anew each time.
        scopes = client.api_scopes.all()
        scopes._result_cache = _API_SCOPES.all(client.pk)
        client._prefetched_objects_cache = {"api_scopes": scopes}
        _by_pk.keep(client.pk, client, tenant_id=client.tenant_id, since=moment)
        _pks.keep(client.client_id, client.pk, tenant_id=client.tenant_id, since=moment)
    return client


def _scopes_changed(instance: Client | ApiScope, **kwargs: Any) -> None:
    copies.changed(instance.tenant_id)


def connect() -> None:
    """Forget clients when their rows change. Called once, by `apps.ready`."""
    for model in (Client, Application, ApiScope):
        copies.watch(model)
    m2m_changed.connect(
        _scopes_changed, sender=Client.api_scopes.through, dispatch_uid="oidc_provider.clients.cached.scopes"
    )
