"""docs/contract/vectors/pkce_and_at_hash.json, read once in a test process."""

import json
from pathlib import Path
from typing import Any

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "docs/contract/vectors/pkce_and_at_hash.json").read_text(encoding="utf-8")
)
