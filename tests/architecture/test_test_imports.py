"""What tests share lies where nothing is collected; no test module is a library of another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tests", "bench", "scripts")


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Yield every dotted name that the file imports, at the top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_of_a_test(name: str) -> bool:
    """Tell whether the name is, or lies in, a module of tests, as `tests.pages.test_sign_in` does."""
    folder, *modules = name.split(".")
    return folder == "tests" and any(
        module.startswith("test_") and ROOT.joinpath("tests", *modules[:depth], f"{module}.py").is_file()
        for depth, module in enumerate(modules)
    )


def test_no_file_imports_from_a_test_module() -> None:
    found = [
        (str(path.relative_to(ROOT)), name)
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in imported_modules(ast.parse(path.read_text(encoding="utf-8")))
        if is_of_a_test(name)
    ]
    assert found == []
