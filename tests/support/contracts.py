"""The contracts in docs/contract, each read once in a test process and by the parser that is written in C."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "contract"


@cache
def read_contract(name: str) -> dict[str, Any]:
    """Read one contract, for instance `tenant_api`. Whoever changes what it returns changes it for all."""
    loaded: dict[str, Any] = yaml.load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return loaded
