"""A tenant's own API scopes: made, changed and taken away, with audit. The admin and `apply_config` both come here."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from identity import audit
from identity.context import SYSTEM, RequestContext
from identity.events import EventType
from identity.integrity import assign
from identity.models import Tenant
from oidc_provider.models import STANDARD_SCOPES, ApiScope

# What may be changed of a scope. Its name is what clients ask for, and stays (S37).
FIELDS = ("description", "audience")
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC6749-3.3


def define(
    *, tenant: Tenant, name: str, context: RequestContext = SYSTEM, actor: Any = None, **values: Any
) -> tuple[ApiScope, bool, dict[str, list[Any]]]:
    """Make the tenant's scope of this name, or change it; what is not said stays.

    values: of FIELDS. Answers the row, whether it is new, and what changed, as column to [before, after]; where nothing
    did, nothing is written. Raises ValidationError by field.
    """
    if unknown := sorted(set(values) - set(FIELDS)):
        raise ValidationError(_("Not an attribute of an API scope: %(names)s.") % {"names": ", ".join(unknown)})
    with transaction.atomic():
        row = ApiScope.objects.select_for_update(no_key=True).filter(tenant=tenant, name=name).first()
        is_new = row is None
        if is_new:
            _check_name(name)
        scope = row or ApiScope(tenant=tenant, name=name)
        changes = assign(scope, values)
        if is_new:
            changes = {"name": ["", name], **changes}
        if changes:
            scope.save()
            _record(scope, changes, context=context, actor=actor)
    return scope, is_new, changes


def remove(scope: ApiScope, *, context: RequestContext = SYSTEM, actor: Any = None) -> None:
    """Take a scope away, from every client that has it."""
    clients = sorted(scope.clients.values_list("client_id", flat=True))
    gone = {"name": [scope.name, ""], **{name: [getattr(scope, name), None] for name in FIELDS}}
    with transaction.atomic():
        _record(scope, {**gone, "clients": [clients, []]}, context=context, actor=actor)
        scope.delete()


def _check_name(name: str) -> None:
    if not _SCOPE_TOKEN.fullmatch(name):
        raise ValidationError({"name": _('It may hold printable ASCII characters only, without blanks, " and \\.')})
    if name in STANDARD_SCOPES:
        raise ValidationError({"name": _("Every tenant has this scope already.")})


def _record(scope: ApiScope, changes: dict[str, list[Any]], *, context: RequestContext, actor: Any) -> None:
    audit.record(
        EventType.ADMIN_CHANGE, tenant=scope.tenant, actor=actor, target=scope, context=context, changes=changes
    )
