"""Measure the tenant API over a large tenant, and print a table.

    python -m bench.tenant [--users 1000000] [--organizations 20000] [--members 10000] [--duration 4]

DATABASE_URL names the PostgreSQL to use (default: the local one); the database made there is dropped at the end.
The tenant is loaded by COPY. Each operation is asked for by two connections, one request after the other on each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.__main__ import DEFAULT_DATABASE, WARM_UP_SECONDS, Stopwatch
from bench.http import Connection, Response
from tests.clients.provider import ROOT, Provider

API = "/api/v2/tenant"
CONNECTIONS = 2
GOAL_MS = 25.0  # of server CPU, processes and database, for look-ups and lists


@dataclass(frozen=True)
class Request:
    """One request of an operation; `status` is what it must be answered with."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    status: int = 200


@dataclass(frozen=True)
class Operation:
    """A row of the table. `make` makes the request of that number."""

    name: str
    make: Callable[[int], Request]
    is_held_to_goal: bool = True


@dataclass(frozen=True)
class Found:
    """What the loaded rows are called."""

    root: str
    leaf: str
    application: str
    role: str
    user_count: int


def configuration(client_secret: str) -> dict[str, Any]:
    client = {
        "client_id": "bench",
        "client_secret": client_secret,
        "grant_types": ["client_credentials"],
        "response_types": [],
        "scopes": [],
        "tenant_api": ["user_all", "org_all", "app_all"],
        "access_token_lifetime_seconds": 86400,
    }
    return {"tenant": "default", "applications": [{"name": "Bench", "code": "bench", "clients": [client]}]}


def user_id(number: int) -> str:
    from bench.tenant_load import _public_id

    return _public_id(number, "0B0B")


def operations(found: Found) -> list[Operation]:
    users, organizations = f"{API}/users", f"{API}/organizations"
    everybody = f"{API}/applications/{found.application}/role-member-list/{found.role}"
    spread = lambda number: number * 7919 % found.user_count  # noqa: E731 - other rows each time

    def creation(number: int, password: str) -> Request:
        name = f"new{secrets.token_hex(8)}"
        body = {"user_name": name, "mobile": f"2{secrets.randbelow(10**12):012}", "org_code": "o0"}
        return Request("POST", users, {**body, "password": password} if password else body, 201)

    def page(path: str, **query: Any) -> Callable[[int], Request]:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return lambda number: Request("GET", f"{path}?{text}")

    return [
        Operation("user by id", lambda number: Request("GET", f"{users}/{user_id(spread(number))}")),
        Operation(
            "user by user name",
            lambda number: Request("POST", f"{users}/user-by-username", {"user_name": f"person{spread(number)}"}),
        ),
        Operation("users, first page of 10", page(users, org_id="", offset=0, limit=10)),
        Operation("users, first page of 100", page(users, org_id="", offset=0, limit=100)),
        Operation("users, thousandth page of 10", page(users, org_id="", offset=999, limit=10)),
        Operation("users, thousandth page of 100", page(users, org_id="", offset=999, limit=100)),
        Operation("users of one organisation", page(users, org_id=found.leaf, offset=0, limit=10)),
        Operation(
            "all_child of the root, 100", page(organizations, org_id=found.root, all_child="true", offset=0, limit=100)
        ),
        Operation("all_child of a leaf", page(organizations, org_id=found.leaf, all_child="true", offset=0, limit=10)),
        Operation(
            "all_child of the tenant, 100", page(organizations, org_id="", all_child="true", offset=0, limit=100)
        ),
        Operation("role members, 100", page(everybody, offset=0, limit=100)),
        Operation("user creation, no password", lambda number: creation(number, ""), is_held_to_goal=False),
        Operation("user creation", lambda number: creation(number, "Quiet-Harbour-41"), is_held_to_goal=False),
    ]


async def send(connection: Connection, token: str, request: Request) -> Response:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json;charset=utf8"}
    body = json.dumps(request.body).encode() if request.body is not None else b""
    response = await connection.request(request.method, request.path, headers, body)
    if response.status != request.status:
        raise RuntimeError(f"{request.method} {request.path}: {response.status} {response.body[:300]!r}")
    return response


async def measure(operation: Operation, provider: Provider, token: str, duration: float) -> tuple[float, float, float]:
    """Requests a second, and CPU milliseconds of a request: server processes, database."""
    numbers = iter(range(10**9))

    async def stretch(seconds: float) -> int:
        end = time.monotonic() + seconds

        async def repeat() -> int:
            connection, count = Connection("127.0.0.1", provider.port), 0
            while time.monotonic() < end:
                await send(connection, token, operation.make(next(numbers)))
                count += 1
            connection.close()
            return count

        return sum(await asyncio.gather(*(repeat() for _ in range(CONNECTIONS))))

    await stretch(WARM_UP_SECONDS)
    watch = Stopwatch(provider)
    before = watch.read()
    requests = await stretch(duration)
    watch.add(before)
    return requests / watch.seconds, watch.server / requests * 1000, watch.backends / requests * 1000


async def look_around(provider: Provider, client_secret: str, user_count: int) -> tuple[str, Found]:
    """A token, and the ids that the measured requests name."""
    connection = Connection("127.0.0.1", provider.port)
    form = {"grant_type": "client_credentials", "client_id": "bench", "client_secret": client_secret}
    token = str((await connection.post(f"{API}/token", form)).json()["access_token"])

    async def ask(path: str) -> dict[str, Any]:
        return (await send(connection, token, Request("GET", path))).json()

    (root,) = (await ask(f"{API}/organizations?offset=0&limit=10"))["organizations"]
    total = (await ask(f"{API}/organizations?all_child=true&offset=0&limit=10"))["total"]
    last = (await ask(f"{API}/organizations?all_child=true&offset={(total - 1) // 100}&limit=100"))["organizations"][-1]
    accounts = await ask(f"{API}/users/{user_id(0)}/accounts")
    application = accounts["accounts"][0]["application_id"]
    (role,) = (await ask(f"{API}/applications/{application}/role-list?limit=10"))["roles"]
    connection.close()
    return token, Found(root["org_id"], last["org_id"], application, role["id"], user_count)


async def run(provider: Provider, client_secret: str, user_count: int, duration: float) -> list[str]:
    """Measure everything and print the table; the operations above the goal."""
    token, found = await look_around(provider, client_secret, user_count)
    print("| operation | requests/s | server CPU ms | database CPU ms | together |")
    print("|---|---|---|---|---|")
    above = []
    for operation in operations(found):
        rate, server, database = await measure(operation, provider, token, duration)
        print(
            f"| {operation.name} | {rate:,.1f} | {server:.2f} | {database:.2f} | {server + database:.2f} |", flush=True
        )
        if operation.is_held_to_goal and server + database > GOAL_MS:
            above.append(operation.name)
    return above


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--organizations", type=int, default=20_000)
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--duration", type=float, default=4.0, help="seconds for each operation")
    arguments = parser.parse_args()
    database_url = os.environ.get("DATABASE_URL") or DEFAULT_DATABASE
    if not database_url.startswith("postgres"):
        parser.error("measurements are made on PostgreSQL")
    client_secret = secrets.token_urlsafe(32)
    with (
        tempfile.TemporaryDirectory(prefix="monban-bench-") as directory,
        Provider(
            Path(directory),
            database_url=database_url,
            settings="bench.settings",
            log_requests=False,
            is_warm=False,
        ) as provider,
    ):
        provider.apply(configuration(client_secret))
        started = time.monotonic()
        sizes = [str(number) for number in (arguments.users, arguments.organizations, arguments.members)]
        command = [sys.executable, "-m", "bench.tenant_load", *sizes]
        subprocess.run(command, cwd=ROOT, env=provider.environment, check=True, stdout=subprocess.DEVNULL)
        print(f"{arguments.users:,} users, {arguments.organizations:,} organisations, {arguments.members:,} role")
        print(f"members, loaded by COPY in {time.monotonic() - started:.0f} s.\n", flush=True)
        above = asyncio.run(run(provider, client_secret, arguments.users, arguments.duration))
    if above:
        print(f"above {GOAL_MS:.0f} ms: {', '.join(above)}", file=sys.stderr)
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
