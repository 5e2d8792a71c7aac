"""Who is in the demo data.

`manage.py load_demo` makes the people and calls `remember`; `manage.py serve` prints them. That a database holds demo
data is a column of the tenant (`identity.directory.tenants.has_demo_data`).
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from config.env import VAR_DIR

PEOPLE_FILE = VAR_DIR / "demo.json"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody to sign in as."""

    role: str  # "Operator" or "User"
    user_name: str
    password: str


def remember(people: Sequence[Person]) -> None:
    """Keep the generated passwords for this machine's owner; the database has only their hashes."""
    PEOPLE_FILE.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(PEOPLE_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump([asdict(person) for person in people], file, indent=2)


def people() -> list[Person]:
    """Return who was remembered; nobody before the first `load_demo`."""
    if not PEOPLE_FILE.is_file():
        return []
    return [Person(**row) for row in json.loads(PEOPLE_FILE.read_text(encoding="utf-8"))]
