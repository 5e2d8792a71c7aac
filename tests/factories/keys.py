"""Keys for tests that sign. Making an RSA key takes a while, so each one is made once in a test process."""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import Any

from django.utils import timezone

from identity.keyring import keys
from identity.models import KeyPair, KeyState, KeyUse, Tenant


def make_keys(tenant: Tenant, *, use: str = KeyUse.SIG, alg: str = "RS256") -> KeyPair:
    """An active and a next key of the tenant, as on first need; return the active one."""
    taken = set(KeyPair.objects.values_list("kid", flat=True))
    numbers = (number for number in count() if _ready(use, alg, number)["kid"] not in taken)
    rows = [
        KeyPair(tenant=tenant, use=use, alg=alg, state=state, **_ready(use, alg, next(numbers)))
        for state in (KeyState.ACTIVE, KeyState.NEXT)
    ]
    rows[0].activated_at = timezone.now()
    KeyPair.objects.bulk_create(rows)
    return rows[0]


@cache
def _ready(use: str, alg: str, number: int) -> dict[str, Any]:
    """The number-th key pair of this process, as columns."""
    return keys.key_columns(keys.generate(alg), use=use, alg=alg)
