"""The lock files name the extras that installed packages ask for, so that they install with any pip."""

from pathlib import Path

import pytest

from scripts.check_locks import LOCKS, missing_extras

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_every_extra_that_its_packages_ask_for(lock: str) -> None:
    assert missing_extras((ROOT / lock).read_text("utf-8")) == []


def test_a_pin_without_the_extra_that_another_package_asks_for_is_told() -> None:
    lock = "coverage==7.17.3 \\\n    --hash=sha256:00\npytest-cov==7.1.0 \\\n    --hash=sha256:00\n"
    (problem,) = missing_extras(lock)
    assert problem.startswith("pytest-cov requires coverage[toml]")
    assert missing_extras(lock.replace("coverage==", "coverage[toml]==")) == []
