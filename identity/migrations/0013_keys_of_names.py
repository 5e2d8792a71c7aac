"""Compare names without characters that nobody sees, and mailboxes by one form of their domain (decision 59).

Keys of two people that have become one are left as they were, and told: somebody has to decide who keeps the name.
Portions are transactions of their own, found by their keys, so that it may run while the server does.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, migrations, transaction

from identity.texts import domain_key, without_invisible

log = logging.getLogger(__name__)

PORTION = 1000

Keys = Callable[[str, str], dict[str, str]]


def _new_keys(user_name: str, email: str) -> dict[str, str]:
    local, at, domain = without_invisible(unicodedata.normalize("NFKC", email)).strip().rpartition("@")
    email_key = f"{local.casefold()}@{domain_key(domain)}" if at else domain.casefold()
    user_key = without_invisible(unicodedata.normalize("NFKC", user_name)).casefold()
    return {"user_key": user_key[:300], "email_key": email_key[:300]}


def _old_keys(user_name: str, email: str) -> dict[str, str]:
    return {
        "user_key": unicodedata.normalize("NFKC", user_name).casefold(),
        "email_key": unicodedata.normalize("NFKC", email.strip()).casefold(),
    }


def _compute(apps: Any, keys_of: Keys) -> None:
    users = apps.get_model("identity", "User").objects
    last = 0
    while portion := list(users.filter(pk__gt=last).order_by("pk")[:PORTION].values(*_COLUMNS)):
        last = portion[-1]["pk"]
        with transaction.atomic():
            for row in portion:
                for column, key in keys_of(row["user_name"], row["email"]).items():
                    if row[column] != key:
                        _write(users, row, column, key)


_COLUMNS = ("pk", "public_id", "user_name", "email", "user_key", "email_key")


def _write(users: Any, row: dict[str, Any], column: str, key: str) -> None:
    try:
        with transaction.atomic():
            # The value must still be the one that the key was made of.
            users.filter(pk=row["pk"], user_name=row["user_name"], email=row["email"]).update(**{column: key})
    except IntegrityError:
        log.warning("migration.key_taken", extra={"user": row["public_id"], "column": column})


def forwards(apps: Any, schema_editor: Any) -> None:
    _compute(apps, _new_keys)


def backwards(apps: Any, schema_editor: Any) -> None:
    _compute(apps, _old_keys)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("identity", "0012_values_within_reason")]

    operations = [migrations.RunPython(forwards, backwards, elidable=True)]
