"""Fill the database of the environment with people, a session of each, and its access and refresh token, by COPY.

    python -m bench.growth_load PEOPLE

In portions, each a transaction, so that what was broken off goes on where it ended. What a row is called follows from
its number: `person7` signs in with PASSWORD and has the token `access_token(7)`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import django

PORTION = 50_000
FIRST = 1_000  # rows of the configuration come before it
PASSWORD = "Quiet-Harbour-41-Growth"
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
YEARS = timedelta(days=3650)
# Their columns have another name where the table is the toolkit's; each row has the number FIRST + n.
TABLES = ("identity_user", "identity_ssosession", "oidc_provider_accesstoken", "oidc_provider_refreshtoken")

Row = dict[str, Any]


def access_token(number: int) -> str:
    return f"growth-access-{number:012}"


def public_id(number: int) -> str:
    moment = BEGUN + timedelta(milliseconds=number)
    return f"{moment:%Y%m%d%H%M%S}{moment.microsecond // 1000:03d}-0D0D-{number:09X}"


def family(number: int) -> UUID:
    """In the order of time, as new ones are."""
    milliseconds = int(BEGUN.timestamp() * 1000) + number
    drawn = int.from_bytes(_digest("family", number)[:8], "big")
    return UUID(int=milliseconds << 80 | 7 << 76 | 0b10 << 62 | drawn >> 2)


def _digest(kind: str, number: int) -> bytes:
    return hashlib.sha256(f"{kind}{number}".encode()).digest()


def _template(model: Any, same: Row, varying: Row) -> str:
    """A line of COPY with a %-place for each column that differs from row to row."""
    from django.db import connection

    from bench.tenant_load import _text

    blank = model()
    cells = []
    for field in model._meta.concrete_fields:
        value = same.get(field.column, field.get_db_prep_save(getattr(blank, field.attname), connection))
        cells.append(f"%({field.column})s" if field.column in varying else _text(value).replace("%", "%%"))
    return "\t".join(cells) + "\n"


def _copy(model: Any, same: Row, make: Callable[[int], Row], numbers: range) -> None:
    from django.db import connection, transaction

    columns = ", ".join(f'"{field.column}"' for field in model._meta.concrete_fields)
    line = _template(model, same, make(numbers.start))
    with transaction.atomic(), connection.cursor() as cursor:
        # What the rows refer to was written before them; to ask for it row by row would double the time.
        cursor.execute("SET LOCAL session_replication_role = replica")
        with cursor.cursor.copy(f'COPY "{model._meta.db_table}" ({columns}) FROM STDIN') as copy:
            copy.write("".join([line % make(number) for number in numbers]))


def _loads(tenant: Any, client: Any) -> Iterator[tuple[Any, Row, Callable[[int], Row]]]:
    """Models with what is the same in all rows and what is not."""
    from django.contrib.auth.hashers import make_password

    from identity import crypto
    from identity.models import SSOSession, User
    from oidc_provider.grants.rows import TOKEN_PURPOSE
    from oidc_provider.models import AccessToken, RefreshToken

    ends = BEGUN + YEARS

    def user(number: int) -> Row:
        name = f"person{number}"
        mobile = _digest("mobile", number).hex()
        row = {"id": FIRST + number, "public_id": public_id(number), "user_name": name, "user_key": name}
        return {**row, "email": f"{name}@example.org", "email_key": f"{name}@example.org", "mobile_index": mobile}

    def session(number: int) -> Row:
        own = {"id": FIRST + number, "user_id": FIRST + number, "sid": _digest("sid", number).hex()[:43]}
        return {**own, "handle_hash": _digest("handle", number).hex()}

    def bound(number: int) -> Row:
        return {
            "id": FIRST + number, "user_id": FIRST + number, "session_id": FIRST + number, "family": family(number),
        }  # fmt: skip

    def access(number: int) -> Row:
        return {**bound(number), "token_checksum": crypto.keyed_hash(access_token(number), purpose=TOKEN_PURPOSE)}

    def refresh(number: int) -> Row:
        return {**bound(number), "token_checksum": _digest("refresh", number).hex()}

    # One hash for everybody: what a sign-in costs does not depend on the salt.
    of_people = {"password": make_password(PASSWORD), "password_changed_at": BEGUN}
    yield (
        User,
        {"tenant_id": tenant.pk, "created_at": BEGUN, "updated_at": BEGUN, "name": "A Person", **of_people},
        user,
    )
    times = {"authenticated_at": BEGUN, "created_at": BEGUN, "last_seen_at": BEGUN, "idle_expires_at": ends}
    yield SSOSession, {"tenant_id": tenant.pk, "expires_at": ends, "amr": '["pwd"]', **times}, session
    grant = {"application_id": client.pk, "created": BEGUN, "expires": ends, "scope": "openid profile email"}
    yield AccessToken, grant, access
    yield RefreshToken, {**grant, "auth_time": BEGUN, "amr": '["pwd"]'}, refresh


def _loaded(model: Any) -> int:
    from django.db.models import Max

    return max(0, (model.objects.aggregate(last=Max("pk"))["last"] or 0) - FIRST + 1)


def main() -> int:
    django.setup()
    from django.db import connection

    from identity.directory import counts
    from identity.models import Tenant
    from oidc_provider.models import Client

    people = int(sys.argv[1])
    tenant, client = Tenant.objects.get(is_default=True), Client.objects.get(client_id="bench-standard")
    for model, same, make in _loads(tenant, client):
        for start in range(_loaded(model), people, PORTION):
            _copy(model, same, make, range(start, min(start + PORTION, people)))
            print(f"{model._meta.db_table}: {min(start + PORTION, people):,}", flush=True)
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
        cursor.execute("VACUUM ANALYZE")
    counts.recount(tenant)
    return 0


if __name__ == "__main__":
    sys.exit(main())
