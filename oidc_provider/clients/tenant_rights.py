"""The rights of the tenant API, as API scopes of a tenant: names of the vendor's permissions (decision 45).

A right is granted to one client, in the admin or by `apply_config`, like any other API scope.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from identity.models import Tenant
from oidc_provider.models import ApiScope

AUDIENCE = "tenant-api"
# Name to what it allows, as it stands in the row's description.
RIGHTS: Mapping[str, str] = MappingProxyType(
    {
        "user_all": "Tenant API: read and change users",
        "user_read": "Tenant API: read users",
        "org_all": "Tenant API: read and change organisations",
        "org_read": "Tenant API: read organisations",
        "app_all": "Tenant API: read and change application organisations, accounts and roles",
        "app_read": "Tenant API: read application organisations, accounts and roles",
        "auth_api": "Tenant API: authentication interfaces",
    }
)


def provide(tenant: Tenant) -> dict[str, ApiScope]:
    """Return the tenant's rows of the seven rights, by name; those that are missing are made.

    A scope of the same name that the tenant made for another audience stays what it is, and is not among them.
    """
    found = _rows(tenant)
    if missing := RIGHTS.keys() - found.keys():
        rows = [
            ApiScope(tenant=tenant, name=name, description=text, audience=AUDIENCE)
            for name, text in RIGHTS.items()
            if name in missing
        ]
        # Of two that make them at once, each keeps what the other was first with.
        ApiScope.objects.bulk_create(rows, ignore_conflicts=True)
        found = _rows(tenant)
    return found


def chosen(tenant: Tenant, names: Iterable[str]) -> list[ApiScope]:
    """Return the rows of the named rights. Raises ValidationError for a name that is none."""
    rows = provide(tenant)
    wanted = list(dict.fromkeys(names))
    if unknown := [name for name in wanted if name not in rows]:
        raise ValidationError(
            _("Not a right of the tenant API: %(names)s."), params={"names": ", ".join(sorted(map(str, unknown)))}
        )
    return [rows[name] for name in wanted]


def _rows(tenant: Tenant) -> dict[str, ApiScope]:
    rows = ApiScope.objects.filter(tenant=tenant, audience=AUDIENCE, name__in=list(RIGHTS))
    return {row.name: row for row in rows}
