"""What PostgreSQL plans for a statement that it keeps, whatever the values: does it look up in an index?

`python -m tests.support.plans` asks so of every statement in the database of the environment, which has many rows
(`make bench-growth`).
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Collection, Iterator
from typing import Any

import django
from django.apps import apps
from django.db import connection, transaction

from identity.statements import Delete, Select, Text, Update

OURS = ("config", "identity", "oidc_provider", "cas_saml", "tenant_api", "sdk_api", "miniapp")
# Of these there are as many as people and requests; the others are read whole where that is cheaper.
GROWING = {
    *(f"identity_{name}" for name in ("user", "ssosession", "sessionparticipant", "logintransaction", "auditevent")),
    *(f"oidc_provider_{name}" for name in ("accesstoken", "refreshtoken", "authorizationcode", "consent")),
}


_TABLE = re.compile(r'"(\w+)"')


def _tables() -> set[str]:
    return {model._meta.db_table for model in apps.get_models()}


def every_statement() -> dict[str, Select[Any] | Update[Any] | Delete[Any]]:
    """Every constant of ours that is a statement, by its full name."""
    found = {}
    for package in map(importlib.import_module, OURS):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not set(module.name.split(".")) & {"migrations", "management", "settings", "wsgi", "asgi"}:
                for name, value in vars(importlib.import_module(module.name)).items():
                    if isinstance(value, Select | Update | Delete):
                        found[f"{module.name}.{name}"] = value
    return found


def values_of(statement: Select[Any] | Update[Any] | Delete[Any]) -> list[Any]:
    """Return values of the right shape: a list for what is asked for in several forms, one for each pepper."""
    words = inspect.signature(statement._build).parameters
    return [["one", "other"] if word.endswith("s") else "one" for word in words]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def unserved(sql: str, *, of: Collection[str] = ()) -> list[str]:
    """Plan a statement for all values (PREPARE, generic plan), and return the scans that are no look-up in an index.

    of: the tables that matter, as they are filled; else every table, as it would be before anything was in it: what
    earlier tests left of rows and statistics lets the planner read a small table in the order of an index.
    """
    text = Text(sql).numbered.decode()
    with connection.cursor() as cursor:
        if not of:
            for table in sorted(set(_TABLE.findall(sql)) & _tables()):
                # A temporary table comes before the one of the same name, and goes with the transaction.
                cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} (LIKE public.{table} INCLUDING INDEXES)")
            # What can only be read from its first row to its last is read so all the same.
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE asked AS {text}", None)
        count = sql.count("%s")
        arguments = f"({', '.join(['NULL'] * count)})" if count else ""
        cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked {arguments}", None)
        (shown,) = cursor.fetchone()
        cursor.execute("DEALLOCATE asked")
        cursor.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE indpred IS NOT NULL")
        partial = {name for (name,) in cursor.fetchall()}
    plan = (json.loads(shown) if isinstance(shown, str) else shown)[0]["Plan"]
    return [
        f"{node['Node Type']} {node.get('Relation Name', '')} {node.get('Index Name', '')}"
        for node in nodes(plan)
        if (not of or node.get("Relation Name") in of)
        and (
            node["Node Type"] == "Seq Scan"
            or ("Index Name" in node and "Index Cond" not in node and node["Index Name"] not in partial)
        )
    ]


def main() -> int:
    django.setup()
    statements, scanning = every_statement(), {}
    with transaction.atomic():
        for name, statement in statements.items():
            if scans := unserved(statement.plan(values_of(statement)).text.sql, of=GROWING):
                scanning[name] = scans
    for name, scans in scanning.items():
        print(f"{name}: {', '.join(scans)}")
    print(f"{len(statements) - len(scanning)} of {len(statements)} statements keep an index under a generic plan.")
    return 1 if scanning else 0


if __name__ == "__main__":
    sys.exit(main())
