"""Host applications: mobile apps that show mini programs (Pactera guide, chapter 2).

A host application is a client of the tenant with a list of the mini programs it may show and, where it is wished, of
the networks its back end may call from. It is registered and changed here; the admin and `apply_config` both come here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from identity import audit
from identity.context import SYSTEM, RequestContext
from identity.events import EventType
from identity.models import Application, Tenant
from oidc_provider import dialects
from oidc_provider.clients import authentication, cached
from oidc_provider.dialects.base import Dialect
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.models import AuthMethod, Client, HostApplication
from oidc_provider.wire.facts import Facts

# What proves a back end; anything weaker, or nothing, proves no user's app session.
PROOFS = (AuthMethod.BASIC, AuthMethod.PRIVATE_KEY_JWT)
_ASSERTION = ("client_assertion", "client_assertion_type")


@dataclass(frozen=True)
class Host:
    """A host application that has proved itself."""

    client_id: str
    application: Application


# Asking ----------------------------------------------------------------------------------------------------


def authenticate(params: Mapping[str, str], *, authorization: str, context: RequestContext) -> Host:
    """Return the host application that this request proves, by its header or by an assertion in its body.

    params: of the body; a client_id among them is the mini program's and says nothing of the host.
    Raises OAuthError: not a client, not a host application, or from another network than its own.
    """
    tenant = tenant_of(context)
    if "client_secret" in params:
        raise OAuthError(Fault.CLIENT_AUTHENTICATION, log_detail="a secret in the body")
    own = {name: params[name] for name in _ASSERTION if name in params}
    credentials = authentication.read(authorization, own)
    if credentials.method not in PROOFS:
        raise OAuthError(Fault.CLIENT_AUTHENTICATION, log_detail=f"method={credentials.method}")
    known = cached.find(client_id=credentials.client_id, tenant=tenant)
    home = dialects.get(known.dialect) if known is not None else STANDARD
    app_code = known.catalogue_entry.code if known is not None else ""
    facts = Facts.of(context, home, app_code=app_code if home.is_per_application else "")
    client = authentication.authenticate_client(credentials, facts=facts)
    row = HostApplication.objects.filter(tenant=tenant, client=client.pk, is_active=True).first()
    if row is None:
        raise OAuthError(Fault.HOST_APPLICATION, log_detail=f"client={client.pk}", client_id=client.client_id)
    if not _is_from(context.ip, row.networks):
        raise OAuthError(Fault.HOST_NETWORK, log_detail=f"client={client.pk}", client_id=client.client_id)
    return Host(client.client_id, client.catalogue_entry)


def find_mini_program(client_id: str, *, dialect: Dialect, host: str, context: RequestContext) -> Client:
    """Return the client of a mini program that may be shown: by this host application, or by any of the tenant's.

    host: client_id of the host application, "" for a user's own proof, which names none. Raises OAuthError.
    """
    tenant = tenant_of(context)
    client = cached.find(client_id=client_id, tenant=tenant, suffices=attrgetter("is_enabled"))
    if client is None or client.dialect != dialect.name:
        raise OAuthError(Fault.UNKNOWN_CLIENT, log_detail="unknown, or of another dialect")
    if not client.is_enabled:
        raise OAuthError(Fault.CLIENT_DISABLED, client_id=client.client_id)
    shown_by = HostApplication.objects.filter(tenant=tenant, is_active=True, mini_programs=client.pk)
    shown_by = shown_by.filter(client__is_active=True, client__catalogue_entry__is_active=True)
    if not (shown_by.filter(client__client_id=host) if host else shown_by).exists():
        raise OAuthError(Fault.UNKNOWN_CLIENT, log_detail=f"client={client.pk} not shown", client_id=client.client_id)
    return client


def tenant_of(context: RequestContext) -> Tenant:
    """Return the tenant of the request; these addresses are served on a tenant's own host only."""
    if context.tenant is None:
        raise LookupError("A mini program is shown in a tenant.")
    return context.tenant


def _is_from(ip: str, networks: Iterable[str]) -> bool:
    known = [ipaddress.ip_network(network) for network in networks]
    if not known:
        return True
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False  # An address that nobody knows is in no network.
    return any(address in network for network in known)


# Registering -----------------------------------------------------------------------------------------------


def register(
    client: Client,
    *,
    networks: Iterable[str] | None = None,
    mini_programs: Iterable[Client] | None = None,
    is_active: bool | None = None,
    context: RequestContext = SYSTEM,
    actor: object = None,
) -> tuple[bool, dict[str, tuple[Any, Any]]]:
    """Make a client's application a host application, or change what it is; what is None stays.

    Return whether it is new, and what changed. Raises ValidationError by field.
    """
    tenant = client.catalogue_entry.tenant
    with transaction.atomic():
        row = HostApplication.objects.select_for_update(no_key=True).filter(client=client).first()
        is_new = row is None
        row = row or HostApplication(tenant=tenant, client=client)
        before = {} if is_new else _snapshot(row)
        row.networks = check_networks(row.networks if networks is None else networks)
        row.is_active = row.is_active if is_active is None else is_active
        shown = None if mini_programs is None else list(mini_programs)
        _check(row, shown or [])
        row.save()
        if shown is not None:
            row.mini_programs.set(shown)
        after = _snapshot(row)
        changes = {name: (before.get(name), after[name]) for name in after if before.get(name) != after[name]}
        if changes:
            audit.record(
                EventType.HOST_APPLICATION_UPDATE,
                tenant=tenant,
                actor=actor,
                target=client,
                application=client.catalogue_entry,
                client_id=client.client_id,
                context=context,
                changes=changes,
            )
    return is_new, changes


def check_networks(networks: Iterable[str]) -> list[str]:
    """Networks in canonical spelling, each once. Raises ValidationError."""
    try:
        found = [str(ipaddress.ip_network(network)) for network in networks]
    except ValueError:
        # Also where bits are set outside the mask: 10.0.0.1/8 means one host or a network, and nobody knows which.
        raise ValidationError({"networks": _("A network is written like 192.0.2.0/24 or 2001:db8::/32.")}) from None
    return list(dict.fromkeys(found))


def _check(row: HostApplication, mini_programs: list[Client]) -> None:
    for client in (row.client, *mini_programs):
        if client.tenant_id != row.tenant_id:
            raise ValidationError({"mini_programs": _("The client belongs to another tenant.")})  # S36
    others = sorted(client.client_id for client in mini_programs if not dialects.get(client.dialect).has_mini_programs)
    if others:
        text = _("Mini programs are clients of the dialect %(dialect)s; not so: %(names)s.")
        values = {"dialect": dialects.OF_MINI_PROGRAMS.name, "names": ", ".join(others)}
        raise ValidationError({"mini_programs": text % values})
    if row.client in mini_programs:
        raise ValidationError({"mini_programs": _("An app is not a mini program of its own.")})


def _snapshot(row: HostApplication) -> dict[str, Any]:
    return {
        "enabled": row.is_active,
        "networks": row.networks,
        "mini_programs": sorted(row.mini_programs.values_list("client_id", flat=True)),
    }
