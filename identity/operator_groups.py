"""The sets of rights that an installation starts with. Superusers may add others; these are kept complete.

An operator's rights come from groups. Which rows they concern is the admin's tenant scope, not a right.
"""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

# Everything inside one tenant.
TENANT_OPERATORS = "Tenant operators"
# Looks people up, unlocks them, resets passwords, ends sessions.
HELP_DESK = "Help desk"
# Looks at everything and changes nothing.
AUDITORS = "Auditors"
OURS = (TENANT_OPERATORS, HELP_DESK, AUDITORS)

# What belongs to the installation is for superusers.
_INSTALLATION_APPS = ("admin", "auth", "contenttypes", "sessions")
_INSTALLATION_RIGHTS = (
    "add_tenant",
    "delete_tenant",
    "add_tenantdomain",
    "change_tenantdomain",
    "delete_tenantdomain",
)
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
    ours = Permission.objects.exclude(content_type__app_label__in=_INSTALLATION_APPS)
    wanted = {
        TENANT_OPERATORS: ours.exclude(codename__in=_INSTALLATION_RIGHTS),
        HELP_DESK: ours.filter(codename__in=_HELP_DESK_RIGHTS),
        AUDITORS: ours.filter(Q(codename__startswith="view_")),
    }
    for name, permissions in wanted.items():
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.add(*permissions)
