"""Every hot look-up keeps an index, whatever the values; and no index is there twice."""

from __future__ import annotations

import importlib
import inspect
import itertools
import json
import pkgutil
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.models import QuerySet
from django.utils import timezone

from identity.lookups import Constant, equals
from identity.models import AuditEvent, Delivery, DeliveryState, ExternalIdentity, User
from identity.statements import Select, Update
from oidc_provider.models import AccessToken, AuthorizationCode, RefreshToken, new_family

OURS = ("config", "identity", "oidc_provider", "cas_saml", "tenant_api", "sdk_api", "miniapp")
# Serve LIKE 'path%'.
FOR_PREFIXES = {"app_organization_path_prefix", "organization_path_prefix"}

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="PostgreSQL's plans for statements that it keeps"
)


def every_statement() -> dict[str, Select[Any] | Update[Any]]:
    """Every constant of ours that is a statement, by its full name."""
    found = {}
    for package in map(importlib.import_module, OURS):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not set(module.name.split(".")) & {"migrations", "management", "settings", "wsgi", "asgi"}:
                for name, value in vars(importlib.import_module(module.name)).items():
                    if isinstance(value, Select | Update):
                        found[f"{module.name}.{name}"] = value
    return found


def look_ups() -> dict[str, QuerySet[Any]]:
    """What the ORM spells each time: through an index that leaves rows out, and what a revocation looks for."""
    now = timezone.now()
    people = User.objects.present().filter(tenant=1)
    columns = ("user_key", "email_key", "mobile_index", "employee_id", "identity_number_index")
    pending = AuditEvent.objects.filter(batch=None)
    return {
        **{f"user.{column}": people.filter(equals(column, "value")) for column in columns},
        "user.user_key__in": people.filter(equals("user_key__in", ["one", "other"])),
        "external_identity.subject": ExternalIdentity.objects.filter(
            equals("subject", "value"), tenant=1, namespace="wechat"
        ),
        "delivery.due": Delivery.objects.filter(state=Constant(DeliveryState.PENDING), next_attempt_at__lte=now),
        "audit.next_tenant": pending.filter(tenant_id__gt=1).order_by("tenant_id")[:1],
        "audit.pending_of_tenant": pending.filter(tenant_id=1).order_by("id")[:1000],
        **{
            f"{model.__name__}.{column}": model.objects.filter(**{column: value})
            for model in (AuthorizationCode, RefreshToken, AccessToken)
            for column, value in {"family": new_family(), "user": 1, "session": 1}.items()
        },
    }


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def unserved(sql: str) -> list[str]:
    """Plan a statement for all values (PREPARE, generic plan), and return the scans that are no look-up in an index."""
    places = itertools.count(1)
    text = "".join(part if part != "%s" else f"${next(places)}" for part in _parts(sql)).replace("%%", "%")
    count = next(places) - 1
    with connection.cursor() as cursor:
        # Tables are empty here. What can only be read from its first row to its last is read so all the same.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE asked AS {text}", None)
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
        if node["Node Type"] == "Seq Scan"
        or ("Index Name" in node and "Index Cond" not in node and node["Index Name"] not in partial)
    ]


def _parts(sql: str) -> list[str]:
    return [part for text in sql.split("%s") for part in (text, "%s")][:-1]


@on_postgresql
@pytest.mark.django_db
def test_every_statement_keeps_an_index_whatever_the_values() -> None:
    found = every_statement()
    assert {"identity.sso.sessions._BY_HANDLE", "oidc_provider.grants.rows._ACCESS_TOKEN"} <= found.keys()
    refused = {}
    for name, statement in found.items():
        # A list for what is asked for in several forms, one for each pepper.
        values = [
            ["one", "other"] if word.endswith("s") else "one" for word in inspect.signature(statement._build).parameters
        ]
        if scans := unserved(statement.plan(values).text):
            refused[name] = scans
    assert refused == {}


@on_postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("name", list(look_ups()))
def test_a_look_up_keeps_an_index_whatever_the_values(name: str) -> None:
    sql, _params = look_ups()[name].query.sql_with_params()
    assert unserved(sql) == []


@on_postgresql
@pytest.mark.django_db
def test_a_look_up_that_leaves_the_index_in_doubt_is_noticed() -> None:
    sql, _params = (
        User.objects.present().filter(tenant=1, email_key="value").exclude(email_key="").query.sql_with_params()
    )
    assert not any("user_email_per_tenant" in scan for scan in unserved(sql))
    sql, _params = Delivery.objects.filter(
        state=DeliveryState.PENDING, next_attempt_at__lte=timezone.now()
    ).query.sql_with_params()
    assert unserved(sql)


@pytest.mark.parametrize("text", ["'", "a b", "x' OR '1'='1", "%s"])
def test_a_constant_of_a_statement_is_a_word(text: str) -> None:
    with pytest.raises(ValueError, match="a word"):
        Constant(text)


def beginnings(model: type[models.Model]) -> dict[str, list[str]]:
    """Columns of every index of the whole table, by name."""
    found = {}
    for index in model._meta.indexes:
        if index.condition is None and not index.opclasses:
            found[index.name] = [name.lstrip("-") for name in index.fields]
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and constraint.condition is None:
            found[constraint.name] = list(constraint.fields)
    for field in model._meta.local_concrete_fields:
        if field.db_index and not field.unique:
            found[field.name] = [field.name]
    return found


def test_no_index_repeats_the_beginning_of_another() -> None:
    repeated = [
        (model._meta.label, name, other)
        for label in ("identity", "oidc_provider", "cas_saml")
        for model in apps.get_app_config(label).get_models()
        if model._meta.model_name not in ("idtoken", "devicegrant")  # of the toolkit
        for name, columns in beginnings(model).items()
        for other, longer in beginnings(model).items()
        if name != other and longer[: len(columns)] == columns
    ]
    assert repeated == []


@on_postgresql
@pytest.mark.django_db
def test_no_unique_text_has_a_second_index_for_its_beginning() -> None:
    """Django makes one beside each `unique=True`. A UniqueConstraint has none; see identity.indexes to drop one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname, tablename FROM pg_indexes WHERE indexdef LIKE '%pattern_ops%'")
        found = {
            name for name, table in cursor.fetchall() if table.startswith(("identity_", "oidc_provider_", "cas_saml_"))
        }
    assert {name for name in found if "devicegrant" not in name} == FOR_PREFIXES


@pytest.mark.spec("RFC9562-5.7")
def test_families_are_named_in_the_order_of_time() -> None:
    families = [new_family() for _number in range(100)]
    assert {(family.version, family.variant) for family in families} == {(7, UUID(int=2 << 62).variant)}
    assert [family.int >> 80 for family in families] == sorted(family.int >> 80 for family in families)
    assert abs((families[0].int >> 80) / 1000 - timezone.now().timestamp()) < 60
    assert len(set(families)) == 100
