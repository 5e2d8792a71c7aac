"""Tenants: making them, changing them, and finding the one a request is for.

`find_by_host` runs at every request, so what it finds is remembered (`copies`, decision 22). That there is none is
never kept: anybody can invent hosts. The rows it gives are shared between requests: nobody changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from identity import audit, authority, copies
from identity.context import RequestContext
from identity.copies import Copies
from identity.directory import lockouts
from identity.errors import NotFound
from identity.events import EventType
from identity.integrity import assign
from identity.keyring import keys
from identity.models import MessagePolicy, MFAMode, PasswordPolicy, SessionPolicy, Tenant, TenantDomain, UserCount
from identity.retries import retried
from identity.statements import Select
from identity.texts import is_storable

_MAX_HOST_LENGTH = 260  # a name of 253 characters and a port
_EDITABLE = (
    "name",
    "logo_url",
    "time_zone",
    "language",
    "localize_errors",
    "allow_registration",
    "registration_organization",
    "encrypt_captcha",
    "id_token_signed_response_alg",
    "is_active",
)
# What names a tenant and what it is to the installation: changed on purpose, by `update`, and not by a file.
_OF_THE_INSTALLATION = ("code", "is_default")

_by_host: Copies[str, Tenant] = Copies()
_by_loopback: Copies[str, Tenant] = Copies(is_told=False)  # somebody else may take the host
_DEFAULT_KEY = ""  # never a host
_POLICIES = ("password_policy", "session_policy", "message_policy")


# Finding ---------------------------------------------------------------------------------------------------


def find_by_loopback(host: str) -> Tenant | None:
    """Return the tenant of a host on a developer's own machine: the default one, where it is nobody's."""
    return _cached(host, lambda: find_by_host(host) or find_default(), _by_loopback)


def find_by_host(host: str) -> Tenant | None:
    """Return the active tenant of a host name, with its policies; None when there is none (decision 10).

    host: as in the Host header, with the port where there is one.
    """
    host = host.lower()
    if len(host) > _MAX_HOST_LENGTH or not is_storable(host):
        return None
    return _cached(host, lambda: _BY_HOST.first(host))


def find_default() -> Tenant | None:
    """Return the active default tenant, with its policies, if one was made."""
    return _cached(_DEFAULT_KEY, _DEFAULT.first)


def get_by_public_id(public_id: str) -> Tenant:
    """Return the active tenant that X-tenant-id names on the shared host. Raises NotFound (APP.0001, decision 46)."""
    tenant = _BY_PUBLIC_ID.first(public_id) if is_storable(public_id) else None
    if tenant is None:
        raise NotFound("APP.0001", log_detail="tenant")
    return tenant


def find_by_code(code: str) -> Tenant | None:
    """Return the tenant of that code, active or not; for operators' tools."""
    return Tenant.objects.select_related(*_POLICIES).filter(code=code).first()


def has_demo_data() -> bool:
    """Tell whether any tenant holds the demo's users, whose passwords stand in a file; never shown to others."""
    return Tenant.objects.filter(has_demo_data=True).exists()


def mark_demo(tenant: Tenant) -> None:
    """Note that the tenant holds the demo's users."""
    Tenant.objects.filter(pk=tenant.pk).update(has_demo_data=True)
    copies.changed(tenant.pk)
    tenant.has_demo_data = True


def _usable() -> QuerySet[Tenant]:
    return Tenant.objects.select_related(*_POLICIES).filter(is_active=True)


_BY_HOST = Select(lambda host: _usable().filter(domains__host=host)[:1])
_DEFAULT = Select(lambda: _usable().filter(is_default=True)[:1])
_BY_PUBLIC_ID = Select(lambda public_id: _usable().filter(public_id=public_id)[:1])


def _cached(key: str, read: Callable[[], Tenant | None], tenants: Copies[str, Tenant] = _by_host) -> Tenant | None:
    found = tenants.find(key)
    if found is None:
        moment = copies.begin()
        found = read()
        if found is not None:
            tenants.keep(key, found, tenant_id=found.pk, since=moment)
    return found


for _model in (TenantDomain, PasswordPolicy, SessionPolicy, MessagePolicy):
    copies.watch(_model)
copies.watch(Tenant, tenant="pk")


# Writing ---------------------------------------------------------------------------------------------------


def create(
    *,
    code: str,
    context: RequestContext,
    actor: Any = None,
    name: str = "",
    domains: Sequence[str] = (),
    is_default: bool = False,
    password_policy: Mapping[str, Any] | None = None,
    session_policy: Mapping[str, Any] | None = None,
    message_policy: Mapping[str, Any] | None = None,
    **values: Any,
) -> Tenant:
    """Make a tenant with its policies and host names.

    domains: host names, the first one makes the issuer. values: other columns of Tenant.
    Raises django's ValidationError, as only operators do this.
    """
    _refuse_unknown(values)
    with transaction.atomic():
        tenant = Tenant(code=code, name=name or code, is_default=is_default, **values)
        tenant.full_clean()
        tenant.save()
        for policy in (
            PasswordPolicy(tenant=tenant, **(password_policy or {})),
            SessionPolicy(tenant=tenant, **(session_policy or {})),
            MessagePolicy(tenant=tenant, **(message_policy or {})),
        ):
            policy.full_clean()
            policy.save()
        lockouts.check_mode(tenant.session_policy.mfa_mode, before=MFAMode.NEVER, tenant=tenant)
        UserCount.objects.create(tenant=tenant)
        added = _set_domains(tenant, domains)
        audit.record(
            EventType.TENANT_UPDATE,
            tenant=tenant,
            actor=actor,
            target=tenant,
            context=context,
            changes={"code": ["", code], "name": ["", tenant.name], "domains": [[], added]},
        )
        # Beside the transaction: making keys takes half a second, in which nobody else's write shall wait.
        transaction.on_commit(partial(keys.make_first, tenant=tenant, context=context))
    return tenant


@retried
def update(
    *,
    tenant: Tenant,
    context: RequestContext,
    actor: Any = None,
    domains: Sequence[str] | None = None,
    **values: Any,
) -> dict[str, list[Any]]:
    """Change a tenant and tell what changed, as column to [before, after]; nothing is written when nothing does.

    domains: the whole list, in order; None leaves it. Raises django's ValidationError, and AuthorityRefused
    (RIGHT.0003) where the last superusers are in a tenant that is to be stopped.
    """
    _refuse_unknown({name: value for name, value in values.items() if name not in _OF_THE_INSTALLATION})
    with transaction.atomic():
        row = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        changes = assign(row, values)
        if changes.get("is_active") == [True, False]:
            authority.check_superuser_elsewhere(row)
        if changes:
            row.save()
        if "id_token_signed_response_alg" in changes:
            # Published before a client that is registered with it has its first token.
            transaction.on_commit(partial(keys.make_first, tenant=row, context=context))
        if domains is not None:
            before = list(row.domains.values_list("host", flat=True))
            after = _set_domains(row, domains)
            if before != after:
                changes["domains"] = [before, after]
        if changes:
            audit.record(
                EventType.TENANT_UPDATE,
                tenant=row,
                actor=actor,
                target=row,
                context=context,
                changes={name: [_plain(before), _plain(after)] for name, (before, after) in changes.items()},
            )
    tenant.refresh_from_db()
    return changes


def update_policy(
    *,
    policy: PasswordPolicy | SessionPolicy | MessagePolicy,
    context: RequestContext,
    actor: Any = None,
    accept_lockout: bool = False,
    **values: Any,
) -> dict[str, list[Any]]:
    """Change one of a tenant's policies and tell what changed. Raises ValidationError and AuthorityRefused.

    accept_lockout: a second factor is demanded of people who have none, too, or a factor or a way to sign in is taken
    from people who have no other one (see `lockouts`).
    """
    changes = assign(policy, values)
    if isinstance(policy, SessionPolicy):
        after = {name: getattr(policy, name) for name in lockouts.POLICY_COLUMNS}
        before = {name: changes.get(name, [value])[0] for name, value in after.items()}
        lockouts.check_policy(after, before=before, tenant=policy.tenant, is_accepted=accept_lockout)
    authority.check_policy_change(changes, actor=actor)
    if changes:
        with transaction.atomic():
            policy.save()
            audit.record(
                EventType.TENANT_UPDATE,
                tenant=policy.tenant,
                actor=actor,
                target=policy,
                context=context,
                changes=changes,
            )
    return changes


def _set_domains(tenant: Tenant, hosts: Sequence[str]) -> list[str]:
    """Give the tenant exactly these host names, in this order."""
    wanted = list(dict.fromkeys(host.strip().lower() for host in hosts))
    for domain in list(tenant.domains.exclude(host__in=wanted)):
        domain.delete()
    present = {domain.host: domain for domain in tenant.domains.all()}
    for position, host in enumerate(wanted):
        domain = present.get(host) or TenantDomain(tenant=tenant, host=host)
        if domain.pk and domain.position == position:
            continue
        domain.position = position
        domain.full_clean()
        domain.save()
    return wanted


def _plain(value: Any) -> Any:
    """Return a row that is referred to, as audit names it."""
    return getattr(value, "public_id", value)


def _refuse_unknown(values: Mapping[str, Any]) -> None:
    unknown = sorted(set(values) - set(_EDITABLE))
    if unknown:
        raise ValidationError(_("Not an attribute of a tenant: %(names)s."), params={"names": ", ".join(unknown)})
