"""The sets of rights that an installation starts with. Superusers may add others; these are kept complete."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

OPERATOR_APPS = ("identity", "oidc_provider")

# Everything inside one tenant. Which rows that means is the admin's tenant scope, not a right.
TENANT_OPERATORS = "Tenant operators"
# Looks people up, unlocks them, resets passwords, ends sessions.
HELP_DESK = "Help desk"
# Looks at everything and changes nothing.
AUDITORS = "Auditors"

_HELP_DESK_RIGHTS = (
    "view_user",
    "change_user",
    "view_ssosession",
    "change_ssosession",
    "view_organization",
    "view_auditevent",
)


def ensure_operator_groups(**_kwargs: Any) -> None:
    """Make the groups and give them what they lack: after each migrate, so that new tables are covered."""
    ours = Permission.objects.filter(content_type__app_label__in=OPERATOR_APPS)
    wanted = {
        TENANT_OPERATORS: ours.exclude(codename__in=("add_tenant", "delete_tenant")),
        HELP_DESK: ours.filter(codename__in=_HELP_DESK_RIGHTS),
        AUDITORS: ours.filter(Q(codename__startswith="view_")),
    }
    for name, permissions in wanted.items():
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.add(*permissions)
