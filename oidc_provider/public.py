"""What sibling apps may call (house.md 3). Everything else of this app is its own business."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from identity.models import Application, Tenant, User
from oidc_provider import clients, grants
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.models import AccessToken, Client

__all__ = ["Principal", "authenticate_bearer", "find_application", "revoke_for_user"]


@dataclass(frozen=True)
class Principal:
    """Who calls an API with an access token."""

    tenant: Tenant
    client_id: str
    application: Application
    user: User | None  # None: the client acts for itself (RFC6749-4.4)
    scopes: frozenset[str]
    audience: tuple[str, ...]
    sid: str = ""


def authenticate_bearer(
    token: str, *, tenant: Tenant, scopes: Iterable[str] = (), audience: str | None = None
) -> Principal:
    """The caller that an access token proves: one query.

    scopes: all of them must have been granted. audience: the token must be for it.
    Raises OAuthError with ACCESS_TOKEN or INSUFFICIENT_SCOPE.
    """
    rows = AccessToken.objects.select_related("user", "session")
    row = rows.filter(token_checksum__in=grants.token_hashes(token)).first()
    if row is None or not grants.is_live(row, tenant=tenant):
        raise OAuthError(Fault.ACCESS_TOKEN, log_detail="unknown or over")
    client = clients.get(row.application_id)
    if audience is not None and audience not in row.audience:
        raise OAuthError(Fault.ACCESS_TOKEN, log_detail="for another audience", client_id=client.client_id)
    wanted = list(scopes)
    if not set(wanted) <= set(row.scopes):
        raise OAuthError(Fault.INSUFFICIENT_SCOPE, scope=" ".join(wanted), client_id=client.client_id)
    return Principal(
        tenant=tenant,
        client_id=client.client_id,
        application=client.catalogue_entry,
        user=row.user,
        scopes=frozenset(row.scopes),
        audience=tuple(row.audience),
        sid=row.session.sid if row.session else "",
    )


def find_application(*, client_id: str, tenant: Tenant) -> Application | None:
    """The application of an enabled client of the tenant, by client_id (decision 6)."""
    client = clients.find(client_id=client_id, tenant=tenant)
    return client.catalogue_entry if client is not None and clients.is_usable(client) else None


def revoke_for_user(user: User, *, client_id: str | None = None) -> int:
    """End every grant of a user, to all clients or to one; how many tokens there were."""
    if client_id is None:
        return grants.revoke_for_user(user)
    client = Client.objects.filter(client_id=client_id, tenant_id=user.tenant_id).first()
    return grants.revoke_for_user(user, client=client) if client is not None else 0
