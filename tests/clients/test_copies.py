"""Two nodes remember clients, tenants and keys, and a change is seen by both within a second, whoever wrote it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import requests

from tests.clients.provider import Provider, second_node

DATABASE_URL = os.environ.get("DATABASE_URL", "")
REDIS_URL = "redis://127.0.0.1:6379/11"
CLIENT = ("remembered", "choose-a-long-secret-of-your-own")
CONFIGURATION: dict[str, Any] = {
    "tenant": {"code": "default"},
    "applications": [
        {
            "code": "remembered",
            "clients": [{"client_id": CLIENT[0], "client_secret": CLIENT[1], "grant_types": ["client_credentials"],
                         "redirect_uris": [], "response_types": [], "tenant_api": ["user_read"]}],
        }
    ],
}  # fmt: skip
pytestmark = [pytest.mark.client, pytest.mark.xdist_group("copies")]

Write = Callable[[str], None]


def has_redis() -> bool:
    with suppress(redis.RedisError):
        return bool(redis.Redis.from_url(REDIS_URL).ping())
    return False


@pytest.fixture(scope="module", params=["postgresql", "redis"])
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[list[str], Write]]:
    """Two nodes, and a way to write beside them: SQL on PostgreSQL; elsewhere a process that saves rows."""
    if request.param == "postgresql" and not DATABASE_URL.startswith("postgres"):
        pytest.skip("needs the PostgreSQL of DATABASE_URL")
    if request.param == "redis" and not (os.environ.get("CI") or (shutil.which("redis-server") and has_redis())):
        pytest.skip("no Redis here")
    on_redis = {"environment": {"REDIS_URL": REDIS_URL}, "database_url": ""}
    values: dict[str, Any] = on_redis if request.param == "redis" else {"database_url": DATABASE_URL}
    directory: Path = tmp_path_factory.mktemp("copies")
    with Provider(directory, workers=1, **values) as provider, second_node(provider, threads=2) as (second, _):
        provider.apply(CONFIGURATION)

        def by_sql(statement: str) -> None:
            assert provider.database is not None
            with psycopg.connect(provider.database.url, autocommit=True) as connection:
                connection.execute(statement)

        def by_saving(code: str) -> None:
            provider.manage("shell", "-v", "0", "-c", code)

        yield [provider.issuer, second], by_sql if request.param == "postgresql" else by_saving


def ask(node: str) -> int:
    form = {"grant_type": "client_credentials"}
    return requests.post(f"{node}/oauth2/token", form, auth=CLIENT, timeout=30).status_code


def kids(node: str) -> set[str]:
    return {key["kid"] for key in requests.get(f"{node}/oauth2/jwks", timeout=30).json()["keys"]}


def soon(look: Callable[[], bool]) -> None:
    """Wait for a second at most."""
    until = time.monotonic() + 1.0
    while not look():
        assert time.monotonic() < until, "not seen within a second"
        time.sleep(0.02)


def change(installation: tuple[list[str], Write], *, sql: str, code: str) -> list[str]:
    nodes, write = installation
    write(sql if write.__name__ == "by_sql" else code)
    return nodes


@pytest.mark.security("S47")
def test_a_client_that_is_switched_off_is_refused_by_every_node_within_a_second(installation: Any) -> None:
    clients = "from oidc_provider.models import Client; c = Client.objects.get(client_id='remembered'); "
    nodes = installation[0]
    for _ in range(2):
        soon(lambda: [ask(node) for node in nodes] == [200, 200])
        change(
            installation,
            sql="UPDATE oidc_provider_client SET is_active = false WHERE client_id = 'remembered'",
            code=f"{clients}c.is_active = False; c.save()",
        )
        soon(lambda: 200 not in {ask(node) for node in nodes})
        change(
            installation,
            sql="UPDATE oidc_provider_client SET is_active = true WHERE client_id = 'remembered'",
            code=f"{clients}c.is_active = True; c.save()",
        )


@pytest.mark.security("S26")
def test_a_tenant_that_is_switched_off_is_gone_from_every_node_within_a_second(installation: Any) -> None:
    tenants = "from identity.models import Tenant; t = Tenant.objects.get(code='default'); "
    soon(lambda: [ask(node) for node in installation[0]] == [200, 200])
    nodes = change(
        installation,
        sql="UPDATE identity_tenant SET is_active = false",
        code=f"{tenants}t.is_active = False; t.save()",
    )
    soon(lambda: [ask(node) for node in nodes] == [404, 404])
    change(
        installation,
        sql="UPDATE identity_tenant SET is_active = true",
        code=f"{tenants}t.is_active = True; t.save()",
    )
    soon(lambda: [ask(node) for node in nodes] == [200, 200])


def test_a_key_that_is_revoked_is_published_by_no_node_within_a_second(installation: Any) -> None:
    first, second = (kids(node) for node in installation[0])
    assert first == second
    kid = min(first)
    keys = f"from identity.models import KeyPair; k = KeyPair.objects.get(kid='{kid}'); "
    nodes = change(
        installation,
        sql=f"UPDATE identity_keypair SET state = 'revoked' WHERE kid = '{kid}'",
        code=f"{keys}k.state = 'revoked'; k.save()",
    )
    soon(lambda: all(kid not in kids(node) for node in nodes))
