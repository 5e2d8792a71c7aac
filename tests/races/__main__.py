"""Run every race a hundred times on two nodes over PostgreSQL, and print what came of it: `make races`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.races import rounds
from tests.races.world import two_nodes

SERVER = "postgres://postgres@127.0.0.1:5432/postgres"


def main() -> int:
    """Return 1 where anything survived, was refused, or won that should not have."""
    parser = argparse.ArgumentParser(prog="python -m tests.races", description=__doc__)
    parser.add_argument("--tries", type=int, default=100, help="of each race (default: 100)")
    parser.add_argument("--only", nargs="*", default=[], help="names of races (default: all)")
    options = parser.parse_args()
    url = os.environ.get("DATABASE_URL", SERVER)
    chosen = [race for race in rounds.RACES if not options.only or race.__name__ in options.only]
    print("| Race | Tries | Changes refused | Made meanwhile | Survivors | Wrong winners | 5xx | Seconds |", flush=True)
    print("|---|---|---|---|---|---|---|---|", flush=True)
    is_good = True
    with tempfile.TemporaryDirectory() as directory, two_nodes(Path(directory), url) as world:
        for race in chosen:
            started = time.monotonic()
            outcome = rounds.run(race, world, tries=options.tries)
            is_good = is_good and outcome.is_good
            cells = [outcome.tries, outcome.refused, outcome.made, outcome.survivors, outcome.wrong_winners]
            seconds = f"{time.monotonic() - started:.0f}"
            row = [race.__doc__, *map(str, cells), str(outcome.faults.total()), seconds]
            print(f"| {' | '.join(map(str, row))} |", flush=True)
        conflicts = {event: world.count_logged(event) for event in ("database.deadlock", "database.away")}
    print(f"\nLogged: {conflicts}. {'All good.' if is_good else 'NOT good.'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
