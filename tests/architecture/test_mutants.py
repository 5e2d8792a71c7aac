"""The list of careless changes (scripts/mutants.py) follows the code: each text is there once, and so are its tests."""

from __future__ import annotations

import pytest

from scripts.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_careless_change_can_be_made(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.before) == 1
    assert mutant.before != mutant.after
    for name in mutant.tests.split():
        assert (ROOT / name.partition("::")[0]).exists(), name
