"""The sections of a configuration file that are ours: `clients` of an application; `api_scopes` and
`host_applications` of a tenant.

They only compare and call `registration`, so a file keeps to the same rules as the admin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from identity import registry
from identity.configuration.plan import ACTOR, Plan
from identity.configuration.shapes import ConfigError, check_flag, check_keys, check_list, check_text
from identity.models import Application, Tenant
from oidc_provider.clients import api_scopes, registration, tenant_rights
from oidc_provider.mini_programs import hosts
from oidc_provider.models import SECRET_METHODS, ApiScope, AuthMethod, Client

# What the file says otherwise than the columns do.
_SPELLINGS = {"enabled": "is_active", "native": "is_native"}
_FIELDS = {name: name for name in registration.FIELDS if name not in ("name", "is_active", "is_native")}
_COLUMNS = {**_FIELDS, **_SPELLINGS}


def connect() -> None:
    """Offer the sections. Called once, by `apps.ready`."""
    registry.register_config_section("clients", apply_client)
    registry.register_config_section("api_scopes", apply_api_scope)
    registry.register_config_section("host_applications", apply_host_application)


def apply_client(entry: Mapping[str, Any], *, parent: Application, plan: Plan, path: str) -> None:
    """Bring one client of the application `parent` to what the file says."""
    check_keys(entry, {"client_id", "client_secret", "api_scopes", "tenant_api", *_COLUMNS}, path)
    client_id = check_text(entry, "client_id", path)
    values = {column: entry[key] for key, column in _COLUMNS.items() if key in entry}
    secret = plan.secret(entry["client_secret"], f"{path}.client_secret") if "client_secret" in entry else None
    subject = f"application {parent.code} client {client_id}"
    client = Client.objects.select_related("catalogue_entry__tenant").filter(client_id=client_id).first()
    scopes = _wanted_scopes(entry, client, parent.tenant, path)
    if client is None:
        defaults = registration.defaults_of(values.get("dialect"))
        method = {**defaults, **values}.get("token_endpoint_auth_method", AuthMethod.SECRET)
        if secret is None and method in SECRET_METHODS:
            # One made here would be lost: a file is applied by machines, and secrets are never printed.
            raise ConfigError(
                f"{path}.client_secret",
                "is missing. Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            )
        registration.register_client(
            catalogue_entry=parent,
            context=plan.context,
            actor=ACTOR,
            client_id=client_id,
            client_secret=secret,
            api_scopes=scopes or [],
            **values,
        )
        plan.created(subject)
        return
    if client.catalogue_entry_id != parent.pk:
        # S36, S37: whose it is, is not told, and a client does not change hands.
        raise ConfigError(f"{path}.client_id", "is taken by another application.")
    changes = registration.update_client(
        client, context=plan.context, actor=ACTOR, client_secret=secret, api_scopes=scopes, **values
    )
    spellings = {column: key for key, column in _COLUMNS.items()}
    plan.changed(subject, {spellings.get(name, name): pair for name, pair in changes.items()})


def apply_api_scope(entry: Mapping[str, Any], *, parent: Tenant, plan: Plan, path: str) -> None:
    """Bring one API scope of the tenant `parent` to what the file says."""
    check_keys(entry, {"name", "description", "audience"}, path)
    name = check_text(entry, "name", path)
    values = {key: check_text(entry, key, path) for key in ("description", "audience") if key in entry}
    _scope, is_new, changes = api_scopes.define(tenant=parent, name=name, context=plan.context, actor=ACTOR, **values)
    if is_new:
        plan.created(f"API scope {name}")
    else:
        plan.changed(f"API scope {name}", changes)


def apply_host_application(entry: Mapping[str, Any], *, parent: Tenant, plan: Plan, path: str) -> None:
    """Bring one host application of the tenant `parent` to what the file says. It names clients that exist by now."""
    check_keys(entry, {"client_id", "enabled", "networks", "mini_programs"}, path)
    client_id = check_text(entry, "client_id", path)
    client = _clients(parent, [client_id], f"{path}.client_id")[0]
    networks = check_list(entry["networks"], f"{path}.networks") if "networks" in entry else None
    mini_programs = None
    if "mini_programs" in entry:
        place = f"{path}.mini_programs"
        mini_programs = _clients(parent, check_list(entry["mini_programs"], place), place)
    is_new, changes = hosts.register(
        client,
        networks=networks,
        mini_programs=mini_programs,
        is_active=check_flag(entry, "enabled", path),
        context=plan.context,
        actor=ACTOR,
    )
    subject = f"host application {client_id}"
    if is_new:
        plan.created(subject)
    else:
        plan.changed(subject, changes)


def _clients(tenant: Tenant, client_ids: list[Any], path: str) -> list[Client]:
    rows = Client.objects.select_related("catalogue_entry__tenant").filter(tenant=tenant, client_id__in=client_ids)
    found = {row.client_id: row for row in rows}
    if missing := [client_id for client_id in client_ids if client_id not in found]:
        raise ConfigError(path, f'There is no client "{missing[0]}" in this tenant.')
    return [found[client_id] for client_id in client_ids]


def _wanted_scopes(entry: Mapping[str, Any], client: Client | None, tenant: Tenant, path: str) -> list[ApiScope] | None:
    """Return the API scopes that the client is to have: `tenant_api` lists its rights there, `api_scopes` all others.

    A key that is not in the file leaves its part; None when neither is.
    """
    if not {"api_scopes", "tenant_api"} & entry.keys():
        return None
    present = list(client.api_scopes.all()) if client is not None else []
    others = [scope for scope in present if scope.audience != tenant_rights.AUDIENCE]
    rights = [scope for scope in present if scope.audience == tenant_rights.AUDIENCE]
    if "api_scopes" in entry:
        others = _api_scopes(entry, tenant, path)
    if "tenant_api" in entry:
        rights = tenant_rights.chosen(tenant, check_list(entry["tenant_api"], f"{path}.tenant_api"))
    return [*others, *(scope for scope in rights if scope not in others)]


def _api_scopes(entry: Mapping[str, Any], tenant: Tenant, path: str) -> list[ApiScope]:
    names = check_list(entry["api_scopes"], f"{path}.api_scopes")
    found = {scope.name: scope for scope in ApiScope.objects.filter(tenant=tenant, name__in=names)}
    missing = [name for name in names if name not in found]
    if missing:
        raise ConfigError(f"{path}.api_scopes", f'There is no API scope "{missing[0]}" in this tenant.')
    return [found[name] for name in names]
