"""Run the measurements and print a table.

    python -m bench [--duration 5] [--concurrency 8] [--operations refresh,userinfo] [--json FILE]
                    [--beside oidc-provider]

DATABASE_URL names the PostgreSQL to use (default: the local one); the databases made there are dropped at the end.
The token operations are measured in every dialect. Three servers are measured one after the other: the real one; one
with a cheap password hash, for the sign-in alone; and one that counts statements, which is not timed. `--beside`
measures node-oidc-provider after them, from the npm registry and on the same PostgreSQL (see bench/peers).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jwt

from bench import cpu, saml
from bench.http import Connection, WrongAnswerError, tally
from bench.operations import (
    CAS_SERVICE,
    OPERATIONS,
    Operation,
    mint_codes,
    mint_tickets,
    redeem,
    sign_in,
)
from bench.peers import node
from bench.sdk import new_phone
from bench.worker import Person, Target, Worker
from tests.clients.provider import Provider, tail

DEFAULT_DATABASE = "postgres://postgres@127.0.0.1:5432/postgres"
WARM_UP_SECONDS = 1.0
COUNTED_RUNS = 6
CODES_PER_BATCH = 40  # per worker; a code lives for a minute
# What follows the host in the issuer of each dialect; the bench application's code is `bench`.
ISSUER_PATHS = {
    "standard": "",
    "pactera": "/oidc",
    "tencent": "/auth/oauth2",
    "topiam": "/api/v1/authorize/bench/oidc",
    "oneaccess": "/api/v1/oauth2",
}
TOKEN_OPERATIONS = ("code_exchange", "refresh")  # measured in every dialect
SHARED_OPERATIONS = (
    *("discovery", "jwks", "client_credentials", "code_exchange", "refresh", "userinfo", "introspection"),
    *("authorize", "login_flow"),
)
CHEAP_LOGIN = "login_flow, cheap hash"
# One process with one connection, so that what it asks is prepared; through Django, whose middleware counts.
COUNTING = {"BENCH_COUNT_QUERIES": "1", "WEB_CONCURRENCY": "1", "WEB_THREADS": "1", "MACHINE_LANE": "0"}
BUSY_SHARE = 0.15  # other work above this share of the machine marks a figure


@dataclass(frozen=True)
class Figure:
    """What one operation costs."""

    operation: str
    requests: int
    per_second: float
    server_ms: float  # CPU milliseconds a request, all server processes
    database_ms: float  # the same, all backends of our database
    disturbed: bool  # other work ran on the machine
    worker_mb: float  # resident memory of the largest process, afterwards


@dataclass(frozen=True)
class Statements:
    """How often one request waits for the database."""

    operation: str
    round_trips: int
    budget: int | None
    decrypt_ms: float = 0.0  # of the processor's time for the RSA decryption of X-signature


def configuration(people: list[Person], client_secret: str) -> dict[str, Any]:
    clients = [
        {
            "client_id": f"bench-{dialect}",
            "client_secret": client_secret,
            "dialect": dialect,
            "token_endpoint_auth_method": "client_secret_basic",
            "redirect_uris": ["http://127.0.0.1:9/callback"],
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
            "may_introspect": True,
            "may_use_sdk": True,
            "tenant_api": ["auth_api"],
            "response_types": ["code"],
            "scopes": ["openid", "profile", "email"],
            "id_token_signed_response_alg": "RS256",
        }
        for dialect in ISSUER_PATHS
    ]
    application = {"name": "Bench", "code": "bench", "access": "everyone", "skip_consent": True, "clients": clients}
    application["cas_services"] = [{"url": CAS_SERVICE, "attributes": {"mail": "email"}}]
    application["saml_service_providers"] = [saml.registration()]
    users = [
        {
            "user_name": person.user_name,
            "password": person.password,
            "name": "Alice Anderson",
            "email": f"{person.user_name}@example.org",
        }
        for person in people
    ]
    return {"tenant": "default", "users": users, "applications": [application]}


@contextmanager
def start(directory: Path, database_url: str, environment: dict[str, str]) -> Iterator[Provider]:
    """A server for one measurement; the end of its log is shown when an answer was wrong."""
    with Provider(
        directory,
        database_url=database_url,
        settings="bench.settings",
        log_requests=False,
        is_warm=False,
        # The SDK's calls name another address each (see bench/sdk.py).
        environment={"TRUSTED_PROXIES": "127.0.0.1/32", **environment},
    ) as provider:
        try:
            yield provider
        except (WrongAnswerError, OSError, EOFError):
            print(tail(provider.log), file=sys.stderr)
            raise


def targets_of(provider: Provider, people: list[Person]) -> dict[str, Target]:
    """Dialect to the server as its clients see it."""
    client_secret = secrets.token_urlsafe(32)
    provider.apply(configuration(people, client_secret))
    return {name: target_of(provider, name, path, client_secret) for name, path in ISSUER_PATHS.items()}


def target_of(provider: Provider, dialect: str, issuer_path: str, client_secret: str) -> Target:
    issuer = f"{provider.issuer}{issuer_path}"
    with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", timeout=30) as response:
        metadata = json.load(response)
    return Target(
        issuer=issuer,
        metadata=metadata,
        client_id=f"bench-{dialect}",
        client_secret=client_secret,
        redirect_uri="http://127.0.0.1:9/callback",
        api_scope="",
    )


def operations_of(dialect: str, operations: list[Operation]) -> list[Operation]:
    """Everything in the standard dialect; in the others the operations whose cost may differ, with its name."""
    if dialect == "standard":
        return operations
    shared = [each for each in operations if each.name in TOKEN_OPERATIONS]
    return [replace(each, name=f"{each.name}, {dialect}") for each in shared]


def people(count: int) -> list[Person]:
    """One for each worker: many tries at one account at once would lock it."""
    return [Person(f"user{number}", f"Bench-{secrets.token_urlsafe(12)}-7x") for number in range(count)]


async def new_worker(target: Target, person: Person, provider: Provider | node.Peer) -> Worker:
    """A worker whose browser is signed in and that holds tokens."""
    connection, browser = Connection("127.0.0.1", provider.port), Connection("127.0.0.1", provider.port)
    worker = Worker(target, person, connection, browser)
    authorization_code, verifier = await sign_in(worker, browser)
    await redeem(worker, authorization_code, verifier)
    worker.subject = verified_subject(target, worker.token["id_token"])
    if target.client_id == "bench-standard":
        worker.phone = await new_phone(target, person, connection)
    return worker


def verified_subject(target: Target, id_token: str) -> str:
    """Verify an ID token against the published keys; its subject."""
    key = jwt.PyJWKClient(target.metadata["jwks_uri"]).get_signing_key_from_jwt(id_token)
    claims = jwt.decode(id_token, key, algorithms=["RS256"], audience=target.client_id, issuer=target.issuer)
    return str(claims["sub"])


class Stopwatch:
    """Adds up time, CPU time and requests of the measured stretches."""

    def __init__(self, provider: Provider | node.Peer) -> None:
        assert provider.process is not None
        assert provider.database is not None
        self._root, self._database = provider.process.pid, provider.database
        self.seconds = self.server = self.backends = self.others = 0.0

    def read(self) -> tuple[float, float, float, float]:
        own = time.process_time()
        return (
            time.monotonic(),
            cpu.seconds(cpu.tree(self._root)),
            cpu.seconds(self._database.backend_pids()),
            cpu.machine_seconds() - own,
        )

    def add(self, before: tuple[float, float, float, float]) -> None:
        clock, server, backends, machine = (now - then for now, then in zip(self.read(), before, strict=True))
        self.seconds += clock
        self.server += server
        self.backends += backends
        self.others += machine - server - backends


async def measure(
    operation: Operation, workers: list[Worker], provider: Provider | node.Peer, duration: float
) -> Figure:
    """Run the operation on all workers for the duration."""
    warm_ups = await stretch(operation, workers, WARM_UP_SECONDS)
    while warm_ups < operation.warm_ups:
        warm_ups += await stretch(operation, workers, WARM_UP_SECONDS)
    watch, requests = Stopwatch(provider), 0
    while watch.seconds < duration:
        await refill(operation, workers)
        before = watch.read()
        requests += await stretch(operation, workers, duration - watch.seconds)
        watch.add(before)
    if operation.name.startswith(TOKEN_OPERATIONS):
        verified_subject(workers[0].target, workers[0].token["id_token"])
    return Figure(
        operation.name,
        requests,
        requests / watch.seconds,
        watch.server / requests * 1000,
        watch.backends / requests * 1000,
        watch.others > BUSY_SHARE * watch.seconds * (os.cpu_count() or 1),
        cpu.largest_mb(cpu.tree(provider.process.pid)) if provider.process is not None else 0.0,
    )


async def refill(operation: Operation, workers: list[Worker]) -> None:
    """What the operation uses up, for every worker."""
    for worker in workers:
        worker.codes.clear()
        worker.tickets.clear()
    if operation.uses_codes:
        await asyncio.gather(*(mint_codes(worker, CODES_PER_BATCH) for worker in workers))
    if operation.uses_tickets:
        await asyncio.gather(*(mint_tickets(worker, CODES_PER_BATCH) for worker in workers))


def has_supplies(operation: Operation, worker: Worker) -> bool:
    return bool(worker.codes or not operation.uses_codes) and bool(worker.tickets or not operation.uses_tickets)


async def stretch(operation: Operation, workers: list[Worker], duration: float) -> int:
    """All workers at once until the time is over or the codes are used up; how many requests that were."""
    if not has_supplies(operation, workers[0]):
        await refill(operation, workers)
    end = time.monotonic() + duration

    async def repeat(worker: Worker) -> int:
        count = 0
        while time.monotonic() < end and has_supplies(operation, worker):
            await operation.run(worker)
            count += 1
        return count

    return sum(await asyncio.gather(*(repeat(worker) for worker in workers)))


async def figures(provider: Provider, operations: list[Operation], concurrency: int, duration: float) -> list[Figure]:
    everybody = people(concurrency)
    found = []
    targets = targets_of(provider, everybody)
    if any(operation.of_many_tenants for operation in operations):
        provider.manage("shell", "-v", "0", "-c", "from bench.tenants import fill; fill()")
    for dialect, target in targets.items():
        chosen = operations_of(dialect, operations)
        workers = [await new_worker(target, person, provider) for person in everybody] if chosen else []
        found += [await measure(operation, workers, provider, duration) for operation in chosen]
    return found


async def statements(provider: Provider, operations: list[Operation]) -> list[Statements]:
    """Round trips of all requests of an operation, when the process knows client and keys.

    The least of a few, for a statement is prepared when it is asked for the first times.
    """
    (person,) = people(1)
    found = []
    for dialect, target in targets_of(provider, [person]).items():
        worker = await new_worker(target, person, provider)
        await mint_codes(worker, COUNTED_RUNS)
        if worker.phone is not None:
            await mint_tickets(worker, COUNTED_RUNS)
        for operation in operations_of(dialect, operations):
            taken = []
            for _ in range(COUNTED_RUNS):
                before = tally.round_trips
                response = await operation.run(worker)
                taken.append(tally.round_trips - before)
            decrypt_ms = float(response.header("x-decrypt-ms"))
            found.append(Statements(operation.name, min(taken), operation.budget, decrypt_ms))
    return found


def beside(directory: Path, database_url: str, operations: list[Operation], arguments: Any) -> list[Figure]:
    """What the peer needs for the operations that both have, and for the sign-in with a hash that costs nothing."""
    shared = [each for each in operations if each.name in SHARED_OPERATIONS]
    everybody = people(arguments.concurrency)

    async def run(peer: node.Peer, target: Target, chosen: list[Operation]) -> list[Figure]:
        workers = [await new_worker(target, person, peer) for person in everybody]
        return [await measure(operation, workers, peer, arguments.duration) for operation in chosen]

    with node.start(directory, database_url, everybody, is_cheap=False) as (peer, target):
        measured = asyncio.run(run(peer, target, shared))
    if flows := [replace(each, name=CHEAP_LOGIN) for each in shared if each.name == "login_flow"]:
        with node.start(directory, database_url, everybody, is_cheap=True) as (peer, target):
            measured += asyncio.run(run(peer, target, flows))
    return measured


def comparison(measured: list[Figure], of_peer: list[Figure]) -> str:
    ours = {figure.operation: figure for figure in measured}
    lines = ["| CPU ms, server + database | Monban | oidc-provider | ratio |", "|---|---|---|---|"]
    for peer in of_peer:
        our = ours[peer.operation]
        ratio = (our.server_ms + our.database_ms) / (peer.server_ms + peer.database_ms)
        cells = [f"{each.server_ms:.2f} + {each.database_ms:.2f}" for each in (our, peer)]
        lines.append(f"| {peer.operation} | {cells[0]} | {cells[1]} | {ratio:.2f} |")
    return "\n".join(lines)


def table(measured: list[Figure], counted: list[Statements]) -> str:
    queries = {row.operation: row for row in counted}
    lines = [
        "| operation | requests/s | server CPU ms | database CPU ms | round trips | budget |",
        "|---|---|---|---|---|---|",
    ]
    for figure in measured:
        row = queries.get(figure.operation)
        number = str(row.round_trips) if row else ""
        budget = str(row.budget) if row and row.budget is not None else ""
        lines.append(
            f"| {figure.operation} | {figure.per_second:,.1f}{'*' if figure.disturbed else ''} "
            f"| {figure.server_ms:.2f} | {figure.database_ms:.2f} | {number} | {budget} |"
        )
    for figure in measured:
        if figure.operation.endswith(("_of_one", "_of_many")):
            lines.append(f"\n{figure.operation}: a worker takes {figure.worker_mb:.0f} MB.")
        if decrypt_ms := queries[figure.operation].decrypt_ms if figure.operation in queries else 0.0:
            share = decrypt_ms / figure.server_ms
            lines.append(f"\n{figure.operation}: RSA decryption takes {decrypt_ms:.2f} ms of the server, {share:.0%}.")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=float, default=5.0, help="seconds for each operation")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--operations", default="", help="names, separated by commas; default: all")
    parser.add_argument("--beside", choices=["oidc-provider"], help="also measure this one, which npm installs")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    names = arguments.operations.split(",") if arguments.operations else [each.name for each in OPERATIONS]
    operations = [each for each in OPERATIONS if each.name in names]
    if len(operations) != len(names):
        parser.error(f"operations are {', '.join(each.name for each in OPERATIONS)}")
    database_url = os.environ.get("DATABASE_URL") or DEFAULT_DATABASE
    if not database_url.startswith("postgres"):
        parser.error("measurements are made on PostgreSQL")

    with tempfile.TemporaryDirectory(prefix="monban-bench-") as directory:
        with start(Path(directory), database_url, {}) as provider:
            measured = asyncio.run(figures(provider, operations, arguments.concurrency, arguments.duration))
        uncounted = [each for each in operations if each.of_many_tenants]
        flows = [each for each in operations if each.is_sign_in]
        if flows:
            with start(Path(directory), database_url, {"BENCH_CHEAP_HASH": "1"}) as provider:
                cheap = asyncio.run(figures(provider, flows, arguments.concurrency, arguments.duration))
            measured += [replace(figure, operation=f"{figure.operation}, cheap hash") for figure in cheap]
        with start(Path(directory), database_url, COUNTING) as provider:
            counted = asyncio.run(statements(provider, [each for each in operations if each not in uncounted]))
        of_peer = beside(Path(directory), database_url, operations, arguments) if arguments.beside else []
    print(table(measured, counted))
    print("\n2 gunicorn workers, 4 threads each. * other work ran on the machine: requests/s is a lower bound.")
    if of_peer:
        print(f"\n{comparison(measured, of_peer)}")
    if arguments.json:
        document = {
            "peer": [asdict(row) for row in of_peer],
            "figures": [asdict(row) for row in measured],
            "statements": [asdict(row) for row in counted],
        }
        arguments.json.write_text(json.dumps(document, indent=1))
    over = [row.operation for row in counted if row.budget is not None and row.round_trips > row.budget]
    if over:
        print(f"over budget: {', '.join(over)}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
