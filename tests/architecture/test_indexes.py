"""Every hot look-up keeps an index, whatever the values; and no index is there twice."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.models import QuerySet
from django.utils import timezone

from identity.lookups import Constant, equals
from identity.models import AuditEvent, Delivery, DeliveryState, ExternalIdentity, User
from oidc_provider.grants import rows
from oidc_provider.models import AccessToken, AuthorizationCode, RefreshToken, new_family
from tests.factories import make_application, make_tenant, make_user
from tests.factories.oidc import make_client
from tests.support.plans import every_statement, unserved, values_of

# Serve LIKE 'path%'.
FOR_PREFIXES = {"app_organization_path_prefix", "organization_path_prefix"}

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="PostgreSQL's plans for statements that it keeps"
)


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


@on_postgresql
@pytest.mark.django_db
def test_every_statement_keeps_an_index_whatever_the_values() -> None:
    found = every_statement()
    assert {"identity.sso.sessions._BY_HANDLE", "oidc_provider.grants.rows._ACCESS_TOKEN"} <= found.keys()
    refused = {}
    for name, statement in found.items():
        if scans := unserved(statement.plan(values_of(statement)).text.sql):
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
    assert unserved(sql) == []
    sql, _params = Delivery.objects.filter(
        state=DeliveryState.PENDING, next_attempt_at__lte=timezone.now()
    ).query.sql_with_params()
    assert unserved(sql)


@on_postgresql
@pytest.mark.django_db
def test_statistics_of_few_people_let_nobody_walk_the_table_of_all() -> None:
    tenant = make_tenant()
    client = make_client(make_application(tenant))
    first = make_user(tenant)
    names = [f"person{number}" for number in range(20_000)]
    User.objects.bulk_create(User(tenant=tenant, user_name=name, user_key=name) for name in names)
    now = timezone.now()
    grant = {"application": client, "auth_time": now, "expires": now, "redirect_uri": "https://rp.example/"}
    AuthorizationCode.objects.bulk_create(
        AuthorizationCode(user=first, code_hash=f"{number:064}", **grant) for number in range(800)
    )
    text = rows._CODE.plan([["one", "other"]]).text.sql
    with connection.cursor() as cursor:
        for model in (User, AuthorizationCode):
            cursor.execute(f"ANALYZE {model._meta.db_table}")
    assert unserved(text, of={User._meta.db_table}) == []
    with connection.cursor() as cursor:
        # With it, PostgreSQL walks that table or not, as its statistics of the other tables happen to be.
        cursor.execute("SHOW enable_mergejoin")
        assert cursor.fetchone() == ("off",)


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
