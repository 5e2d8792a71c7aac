"""S49: what the gate is made of is asked by the gate, so that nobody puts half of it together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("config", "identity", "oidc_provider", "cas_saml", "sdk_api", "tenant_api", "miniapp")
# Part of the gate, and who may ask it: the gate itself, and what is no use of a grant.
PARTS = {
    r"\bcheck_application\(": {"identity/sso/access.py"},
    # A handle is no use of a grant: it finds no session that ended.
    r"\bsession\.is_usable\b": {"identity/sso/access.py", "identity/sso/sessions.py"},
}


@pytest.mark.security("S49")
@pytest.mark.parametrize("part", PARTS)
def test_only_the_gate_asks_its_parts(part: str) -> None:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    asking = {str(path.relative_to(ROOT)) for path in files if re.search(part, path.read_text(encoding="utf-8"))}
    assert asking == PARTS[part]
