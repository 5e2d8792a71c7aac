"""Measure whether an operation costs the same over many rows as over few, and print a table.

    python -m bench.growth [--rows 10000,1000000] [--duration 4] [--rounds 3] [--operations userinfo] [--svg FILE]

DATABASE_URL names the PostgreSQL to use (default: the local one), as a superuser. For each number of rows there is a
database, `monban_growth_N`, with so many users, sessions, access tokens and refresh tokens. It is filled once, by COPY,
and stays for the next time; `--drop` removes them. The sizes are measured in turn, so that what disturbs one disturbs
all, and the best of the rounds counts. Userinfo, introspection and sign-ins take another row each time.

It ends with status 1 where an operation costs more than a fifth more over the most rows than over the fewest, or where
a statement would lose its index under a generic plan.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import random
import secrets
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bench import operations, plot
from bench.__main__ import DEFAULT_DATABASE, Figure, configuration, measure, new_worker, target_of
from bench.growth_load import PASSWORD, access_token, public_id
from bench.http import Response, check
from bench.operations import OPERATIONS, Operation
from bench.worker import Person, Worker
from tests.clients.provider import ROOT, OwnDatabase, Provider
from tests.support import templates

# Of the configuration, the same in every run: it is applied once, and a password is only set when somebody is made.
WORKERS = [Person(f"user{number}", PASSWORD) for number in range(4)]
NAMES = ("client_credentials", "code_exchange", "refresh", "userinfo", "introspection", "authorize", "login_flow")
MOST_GROWTH = 1.2


class KeptDatabase(OwnDatabase):
    """The database for a number of rows, made where it is not there yet. It keeps the secret of its servers, too."""

    def __init__(self, database_url: str, rows: int) -> None:
        parts = urlsplit(database_url)
        self.name = f"monban_growth_{rows}"
        self.url = urlunsplit(parts._replace(path=f"/{self.name}"))
        self._maintenance = urlunsplit(parts._replace(scheme="postgresql", path="/postgres"))
        if self._secret() is None:
            self._execute("CREATE DATABASE {} TEMPLATE {}", templates.postgresql_database(database_url))
            with psycopg.connect(self._maintenance, autocommit=True) as connection:
                comment = sql.Literal(secrets.token_urlsafe(48))
                connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(self.name), comment))
        self.secret_key = str(self._secret())

    def drop(self) -> None:
        """Stay."""

    def remove(self) -> None:
        super().drop()

    def _secret(self) -> str | None:
        with psycopg.connect(self._maintenance, autocommit=True, connect_timeout=5) as connection:
            found = connection.execute(
                "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [self.name]
            ).fetchone()
        return found[0] if found else None


@dataclass(frozen=True)
class Site:
    """A server on the database of one size."""

    rows: int
    provider: Provider
    workers: list[Worker]


def of_anybody(rows: int) -> dict[str, Operation]:
    """The operations that take another row each time."""

    async def userinfo(worker: Worker) -> Response:
        number = random.randrange(rows)
        bearer = {"Authorization": f"Bearer {access_token(number)}"}
        response = await worker.connection.get(worker.target.metadata["userinfo_endpoint"], bearer)
        check(response.status == 200 and response.json()["sub"] == public_id(number), "userinfo", response)
        return response

    async def introspection(worker: Worker) -> Response:
        form = {"token": access_token(random.randrange(rows))}
        target = worker.target
        response = await worker.connection.post(target.metadata["introspection_endpoint"], form, target.basic)
        check(response.status == 200 and response.json()["active"] is True, "introspection", response)
        return response

    async def login_flow(worker: Worker) -> Response:
        person = Person(f"person{random.randrange(rows)}", PASSWORD)
        return await operations.login_flow(replace(worker, person=person, token={}))

    found = {"userinfo": userinfo, "introspection": introspection, "login_flow": login_flow}
    return {name: Operation(name, run) for name, run in found.items()}


async def measure_in_turn(sites: list[Site], names: list[str], duration: float, rounds: int) -> dict[str, list[Figure]]:
    """The best of the rounds for each operation, one figure a size."""
    known, found = {each.name: each for each in OPERATIONS}, {}
    for name in names:
        best: list[Figure | None] = [None] * len(sites)
        for _ in range(rounds):
            for place, site in enumerate(sites):
                operation = of_anybody(site.rows).get(name) or known[name]
                figure = await measure(operation, site.workers, site.provider, duration)
                before = best[place]
                if before is None or cost(figure) < cost(before):
                    best[place] = figure
        found[name] = [figure for figure in best if figure is not None]
        print(row_of(name, found[name]), flush=True)
    return found


def cost(figure: Figure) -> float:
    return figure.server_ms + figure.database_ms


def row_of(name: str, figures: list[Figure]) -> str:
    cells = [f"{figure.server_ms:.2f} + {figure.database_ms:.2f}" for figure in figures]
    return f"| {name} | {' | '.join(cells)} | {cost(figures[-1]) / cost(figures[0]):.2f} |"


def fill(provider: Provider, rows: int) -> None:
    command = [sys.executable, "-m", "bench.growth_load", str(rows)]
    subprocess.run(command, cwd=ROOT, env=provider.environment, check=True)


def keeps_indexes(provider: Provider) -> bool:
    command = [sys.executable, "-m", "tests.support.plans"]
    return subprocess.run(command, cwd=ROOT, env=provider.environment, check=False).returncode == 0


def client_secret_of(provider: Provider) -> str:
    return hashlib.sha256(provider.environment["SECRET_KEY"].encode()).hexdigest()


async def run(sites: list[Site], names: list[str], duration: float, rounds: int) -> dict[str, list[Figure]]:
    for site in sites:
        target = target_of(site.provider, "standard", "", client_secret_of(site.provider))
        site.workers.extend([await new_worker(target, person, site.provider) for person in WORKERS])
    return await measure_in_turn(sites, names, duration, rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="10000,1000000", help="numbers of rows, separated by commas")
    parser.add_argument("--duration", type=float, default=4.0, help="seconds for each operation, size and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--operations", default=",".join(NAMES), help="names, separated by commas")
    parser.add_argument("--svg", type=Path, help="also draw the table here")
    parser.add_argument("--load-only", action="store_true", help="fill the databases and measure nothing")
    parser.add_argument("--drop", action="store_true", help="remove the databases")
    arguments = parser.parse_args()
    sizes, names = sorted(map(int, arguments.rows.split(","))), arguments.operations.split(",")
    if not set(names) <= set(NAMES):
        parser.error(f"operations are {', '.join(NAMES)}")
    database_url = os.environ.get("DATABASE_URL") or DEFAULT_DATABASE
    if not database_url.startswith("postgres"):
        parser.error("measurements are made on PostgreSQL")
    databases = {rows: KeptDatabase(database_url, rows) for rows in sizes}
    if arguments.drop:
        for database in databases.values():
            database.remove()
        return 0

    with tempfile.TemporaryDirectory(prefix="monban-bench-") as directory, contextlib.ExitStack() as stack:
        sites = []
        for rows, database in databases.items():
            own = Path(directory) / str(rows)
            own.mkdir()
            provider = Provider(
                own, settings="bench.settings", log_requests=False, is_warm=False, database=database,
                environment={"SECRET_KEY": database.secret_key, "BENCH_CHEAP_HASH": "1"},
            )  # fmt: skip
            provider.manage("migrate")
            provider.apply(configuration(WORKERS, client_secret_of(provider)))
            fill(provider, rows)
            sites.append(Site(rows, provider, []))
        if arguments.load_only:
            return 0
        for site in sites:
            stack.enter_context(site.provider)
        print(f"\n| CPU ms, server + database | {' | '.join(f'{rows:,}' for rows in sizes)} | ratio |")
        print(f"|---|{'---|' * len(sizes)}---|")
        found = asyncio.run(run(sites, names, arguments.duration, arguments.rounds))
        print()
        is_indexed = keeps_indexes(sites[-1].provider)
    if arguments.svg:
        lines = {name: [cost(figure) for figure in figures] for name, figures in found.items()}
        arguments.svg.write_text(plot.svg("CPU milliseconds an operation, server and database", sizes, lines))
    growing = [name for name, figures in found.items() if cost(figures[-1]) > MOST_GROWTH * cost(figures[0])]
    if growing:
        print(f"more than a fifth more: {', '.join(growing)}", file=sys.stderr)
    return 1 if growing or not is_indexed else 0


if __name__ == "__main__":
    sys.exit(main())
