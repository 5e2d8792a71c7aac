"""A comment that cites a decision leads somewhere: its number is in docs/decisions.md, or its page in docs/adr."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.architecture.walks import APPS, ROOT

DECISION = re.compile(r"\bdecisions? (\d+)(?:(?:, | and |, and )(\d+))*", re.IGNORECASE)
RECORD = re.compile(r"\bADRs? (\d+)(?: and (\d+))?")


def texts() -> Iterator[tuple[str, str]]:
    """The path and the text of each file that may cite."""
    for directory in (*APPS, "tests", "scripts", "bench", "docs", "templates"):
        for path in sorted((ROOT / directory).rglob("*")):
            is_text = path.suffix in (".py", ".md", ".html", ".csv") and "node_modules" not in path.parts
            if is_text and ROOT / "docs" / "contract" not in path.parents:
                yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def cited(pattern: re.Pattern[str]) -> set[tuple[str, int]]:
    """Every file with every number that it cites."""
    return {
        (path, int(number))
        for path, text in texts()
        for found in pattern.finditer(text)
        for number in re.findall(r"\d+", found[0])
    }


def test_every_decision_that_is_cited_is_there() -> None:
    lines = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8").splitlines()
    known = {int(found[1]) for line in lines if (found := re.match(r"(\d+)\. ", line))}
    citations = cited(DECISION)
    assert len(citations) > 100
    assert {citation for citation in citations if citation[1] not in known} == set()


def test_every_record_that_is_cited_is_there_and_listed() -> None:
    pages = {int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("[0-9]*.md")}
    listed = re.findall(r"^\| \[(\d+)\]\((\d{4})-", (ROOT / "docs/adr/README.md").read_text(encoding="utf-8"), re.M)
    assert {int(number) for number, _ in listed} == {int(page) for _, page in listed} == pages
    assert {citation for citation in cited(RECORD) if citation[1] not in pages} == set()
