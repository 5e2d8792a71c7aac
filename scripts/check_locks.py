"""Check that the lock files name every extra that an installed package asks of another.

In hash mode pip takes `coverage[toml]>=7` for a requirement without a pin while the lock only names `coverage`, looks
for the newest release, and refuses it because its hash is not listed. The lock then fails on the day when a newer
release appears, on a new machine only.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements/base.txt", "requirements/dev.txt")
_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[(?P<extras>[^\]]*)\])?==", re.MULTILINE)


def main() -> int:
    """Print what is missing from each lock file, and fail if anything is."""
    problems = [f"{lock}: {problem}" for lock in LOCKS for problem in missing_extras((ROOT / lock).read_text("utf-8"))]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def missing_extras(lock: str) -> list[str]:
    """Say which requirements with an extra, of packages that `lock` pins, have no pinned line with that extra.

    lock: the text of a requirements file. The packages' own metadata is read, so they must be installed.
    """
    pinned = {
        canonicalize_name(line["name"]): {canonicalize_name(extra) for extra in _split(line["extras"])}
        for line in _PINNED.finditer(lock)
    }
    return [
        f"{name} requires {requirement}, and the lock has no {requirement.name}[{','.join(sorted(missing))}]=="
        for name, extras in pinned.items()
        for requirement in _requirements(name, extras)
        if (missing := {canonicalize_name(e) for e in requirement.extras} - pinned.get(_name(requirement), set()))
    ]


def _requirements(name: NormalizedName, extras: set[NormalizedName]) -> list[Requirement]:
    """Return what the package asks for on this machine, its own extras included."""
    asked = [Requirement(line) for line in metadata.requires(name) or ()]
    return [
        requirement
        for requirement in asked
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in {"", *extras})
    ]


def _name(requirement: Requirement) -> NormalizedName:
    return canonicalize_name(requirement.name)


def _split(extras: str | None) -> list[str]:
    return [extra.strip() for extra in (extras or "").split(",") if extra.strip()]


if __name__ == "__main__":
    sys.exit(main())
