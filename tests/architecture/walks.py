"""Walks through the house: which files of ours a request enters, in order.

A walk counts *rule files*, those entered beside the hall that every request passes and the words that everybody uses,
and *returns*, the moves back into a rule file that was already left. Both say what somebody has to hold in their head
who reads a request from its route to its answer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
APPS = ("config", "identity", "oidc_provider", "cas_saml", "miniapp", "sdk_api", "tenant_api")
# What every request passes on its way in and out. `statements` is how a statement reaches the database, as the ORM is:
# the rule is the query that a file beside it spells, and `lookups` a word in it. `turns` and `hashers` are how a
# hash is made, as Django's are.
HALL = (
    "config/", "identity/middleware.py", "identity/forwarding.py", "identity/context.py", "identity/cookies.py",
    "identity/database.py", "identity/languages.py", "identity/origins.py", "identity/retries.py", "identity/http.py",
    "identity/decorators.py", "identity/budgets.py", "identity/clocks.py", "identity/registry.py",
    "identity/statements.py", "identity/lookups.py", "identity/directory/tenants.py", "identity/views/errors.py",
    "identity/browser/content_security.py", "identity/browser/kept_pages.py", "identity/views/context_processors.py",
    "oidc_provider/middleware.py", "identity/keyring/secret_check.py", "identity/passwords/turns.py",
    "identity/passwords/hashers.py", "identity/copies.py", "identity/listening.py", "identity/machine.py",
    "identity/views/machines.py", "oidc_provider/cors.py",
)  # fmt: skip
# Words: rows, refusals, settings, texts. Nobody looks for a rule there.
WORDS = (
    "/models.py", "/models/", "/conf.py", "/errors.py", "/urls.py", "/signals.py", "/texts.py", "/patterns.py",
    "/apps.py", "/__init__.py", "identity/crypto.py", "identity/audit.py", "identity/events.py",
    "identity/policies.py", "identity/assurance.py", "identity/validators.py", "identity/integrity.py",
)  # fmt: skip


@dataclass(frozen=True)
class Walk:
    """The rule files in the order of the first entry, and how often the walk came back to one."""

    files: tuple[str, ...]
    returns: int


def walk(request: Callable[[], Any]) -> Walk:
    """Make the request, which must succeed, and follow it. What a process does but once is the caller's care."""
    entered: list[str] = []

    def follow(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and (path := rule_file(frame.f_code.co_filename)) and entered[-1:] != [path]:
            entered.append(path)

    before = sys.getprofile()
    sys.setprofile(follow)
    try:
        answer = request()
    finally:
        sys.setprofile(before)
    assert answer.status_code < 400, answer.content
    files = tuple(dict.fromkeys(entered))
    return Walk(files, len(entered) - len(files))


def rule_file(filename: str) -> str:
    """Return the path below the root of a file that holds rules, "" for any other."""
    if not filename.startswith(f"{ROOT}/"):
        return ""
    path = filename[len(str(ROOT)) + 1 :]
    is_ours = path.startswith(tuple(f"{app}/" for app in APPS))
    if not is_ours or path.startswith(HALL) or any(word in f"/{path}" for word in WORDS):
        return ""
    return path
