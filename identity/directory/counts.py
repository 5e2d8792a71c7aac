"""Numbers that are kept because counting rows takes long: how many users a tenant has."""

from __future__ import annotations

from django.db import transaction

from identity.models import Tenant, User, UserCount


def recount(tenant: Tenant) -> int:
    """Count the users that are present, and go on from there; how many there are.

    Writers of the number wait meanwhile, and count themselves after it.
    """
    with transaction.atomic():
        UserCount.objects.bulk_create([UserCount(tenant=tenant)], ignore_conflicts=True)
        row = UserCount.objects.select_for_update(no_key=True).get(tenant=tenant)
        row.users = User.objects.present().filter(tenant=tenant).count()
        row.save(update_fields=["users"])
    return row.users
