"""Fill the database of the environment with a large tenant, by COPY: users, a deep tree, memberships, role members.

python -m bench.tenant_load USERS ORGANIZATIONS MEMBERS
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import django


def main() -> int:
    django.setup()
    from identity.directory import counts
    from identity.models import Application, AppRole, Tenant

    user_count, organization_count, member_count = (int(argument) for argument in sys.argv[1:4])
    tenant = Tenant.objects.get(is_default=True)
    application = Application.objects.get(tenant=tenant, code="bench")
    role = AppRole.objects.create(application=application, code="everybody", name="Everybody")
    first_user, first_organization = _organizations(tenant, organization_count), _first("identity_organization")
    _users(tenant, user_count, first_user)
    _memberships(user_count, first_user, organization_count, first_organization)
    _members(application, role, member_count, first_user)
    _finish()
    print(counts.recount(tenant))
    return 0


def _first(table: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT min(id) FROM {table}")
        return int(cursor.fetchone()[0])


def _copy(model: Any, constant: dict[str, Any], rows: Iterable[dict[str, Any]]) -> None:
    """COPY rows of a model: its defaults, what is the same in all of them, and what is not."""
    from django.db import connection

    fields = list(model._meta.concrete_fields)
    blank = model()
    same = {field.column: field.get_db_prep_save(getattr(blank, field.attname), connection) for field in fields}
    same |= constant
    with connection.cursor() as cursor:
        columns = ", ".join(f'"{field.column}"' for field in fields)
        with cursor.cursor.copy(f'COPY "{model._meta.db_table}" ({columns}) FROM STDIN') as copy:
            batch: list[str] = []
            for row in rows:
                values = {**same, **row}
                batch.append("\t".join(_text(values[field.column]) for field in fields) + "\n")
                if len(batch) == 5000:
                    copy.write("".join(batch))
                    batch.clear()
            copy.write("".join(batch))


def _text(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(getattr(value, "dumps", lambda v: v)(value.obj)) if hasattr(value, "obj") else str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _public_id(number: int, kind: str) -> str:
    moment = datetime(2022, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number)
    return f"{moment:%Y%m%d%H%M%S}{moment.microsecond // 1000:03d}-{kind}-{number:09X}"


def _organizations(tenant: Any, count: int) -> int:
    """A tree with three children at each node; the number that the first user gets."""
    from identity.models import Organization, User

    now = datetime.now(UTC)
    start = (Organization.objects.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1
    paths: dict[int, str] = {}

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(count):
            pk, parent = start + number, None if number == 0 else start + (number - 1) // 3
            paths[pk] = f"{paths[parent] if parent else '/'}{pk}/"
            yield {
                "id": pk,
                "public_id": _public_id(number, "0A0A"),
                "parent_id": parent,
                "code": f"o{number}",
                "name": f"Organisation {number}",
                "path": paths[pk],
            }

    _copy(Organization, {"tenant_id": tenant.pk, "created_at": now, "updated_at": now}, rows())
    return (User.objects.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1


def _users(tenant: Any, count: int, start: int) -> None:
    from identity import crypto
    from identity.models import User

    now = datetime.now(UTC)
    index = User.mobile.index

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(count):
            name, mobile = f"person{number}", f"1{number:010}"
            yield {
                "id": start + number,
                "public_id": _public_id(number, "0B0B"),
                "user_name": name,
                "user_key": name,
                "name": f"Person {number}",
                "email": f"{name}@example.org",
                "email_key": f"{name}@example.org",
                "mobile_sealed": crypto.seal(mobile, purpose="user.mobile"),
                "mobile_index": index(mobile, tenant_id=tenant.pk),
            }

    _copy(User, {"tenant_id": tenant.pk, "password": "!", "created_at": now, "updated_at": now}, rows())


def _memberships(users: int, first_user: int, organizations: int, first_organization: int) -> None:
    from identity.models import Membership

    rows = (
        {
            "id": 1_000_000_000 + number,
            "user_id": first_user + number,
            "organization_id": first_organization + number % organizations,
        }
        for number in range(users)
    )
    _copy(Membership, {"is_primary": True}, rows)


def _members(application: Any, role: Any, count: int, first_user: int) -> None:
    from identity.models import AppAccount, AppRoleMember

    now, start = datetime.now(UTC), 1_000_000_000
    accounts = (
        {
            "id": start + number,
            "public_id": _public_id(number, "0C0C"),
            "user_id": first_user + number,
            "account_name": f"person{number}",
        }
        for number in range(count)
    )
    _copy(AppAccount, {"application_id": application.pk, "created_at": now, "updated_at": now}, accounts)
    members = ({"id": start + number, "account_id": start + number} for number in range(count))
    _copy(AppRoleMember, {"role_id": role.pk}, members)


def _finish() -> None:
    """Sequences go on behind the loaded rows, and the planner knows them."""
    from django.db import connection

    with connection.cursor() as cursor:
        for table in (
            "identity_user",
            "identity_organization",
            "identity_membership",
            "identity_appaccount",
            "identity_approlemember",
        ):
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
        cursor.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    sys.exit(main())
