"""Draw the inside of the two largest apps for docs/architecture.md, from the import contracts and from the code itself.

    python scripts/house_docs.py write
    python scripts/house_docs.py check     fails where the document shows another house

A box is a package, or the modules of one floor; an arrow is an import that no longer way says already.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "architecture.md"
APPS = ("identity", "oidc_provider")

Box = tuple[str, ...]  # the names in it


def main(words: list[str]) -> int:
    """Write or check the pictures."""
    text = DOCUMENT.read_text(encoding="utf-8")
    shown = text
    for app in APPS:
        begin, end = f"<!-- the inside of {app}: made by `make docs` -->", f"<!-- end of {app} -->"
        before, _, rest = shown.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            print(f"{DOCUMENT.relative_to(ROOT)} has no place for {app}.")
            return 1
        shown = f"{before}{begin}\n```mermaid\n{drawn(app)}\n```\n{end}{after}"
    if words == ["write"]:
        DOCUMENT.write_text(shown, encoding="utf-8")
    elif shown != text:
        print(f"{DOCUMENT.relative_to(ROOT)} shows another house; run `make docs`.")
        return 1
    return 0


def drawn(app: str) -> str:
    """Return a flowchart in Mermaid's words."""
    floors = floors_of(app)
    boxes = {module: box for floor in floors for box in floor for module in box}
    arrows = sorted({arrow for arrow in imports(app, boxes) if arrow[0] != arrow[1]})
    lines = ["flowchart TD"]
    lines += [f'  {name(box)}["{"<br/>".join(rows(box))}"]' for floor in floors for box in floor]
    lines += [f"  {name(one)} --> {name(other)}" for one, other in arrows if not has_longer_way(one, other, arrows)]
    return "\n".join(lines)


def floors_of(app: str) -> list[list[Box]]:
    """Return the boxes of each floor, from the top: a package by itself, the modules of the floor together."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in settings["contracts"] if contract["id"] == app)
    floors = []
    for layer in layers:
        modules = [module.strip(" ()") for module in layer.replace("|", ":").split(":")]
        packages = [(module,) for module in modules if (ROOT / app / module).is_dir()]
        single = tuple(module for module in modules if not (ROOT / app / module).is_dir())
        floors.append([*packages, *([single] if single else [])])
    return floors


def imports(app: str, boxes: dict[str, Box]) -> set[tuple[Box, Box]]:
    """Return which box imports which."""
    sys.path.insert(0, str(ROOT))
    graph = grimp.build_graph(app, cache_dir=None)
    found = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            one, other = (boxes.get(path.split(".")[1]) if "." in path else None for path in (module, imported))
            if one and other:
                found.add((one, other))
    return found


def has_longer_way(one: Box, other: Box, arrows: list[tuple[Box, Box]]) -> bool:
    """Tell whether something that `one` imports leads to `other`."""
    seen: set[Box] = set()
    waiting = [target for source, target in arrows if source == one and target != other]
    while waiting:
        box = waiting.pop()
        if box == other:
            return True
        if box not in seen:
            seen.add(box)
            waiting += [target for source, target in arrows if source == box]
    return False


def name(box: Box) -> str:
    """Return the name of a box in the drawing."""
    return "_".join(box)[:60]


def rows(box: Box) -> list[str]:
    """Return what a box says: names, a few in a row."""
    return [" ".join(box[start : start + 5]) for start in range(0, len(box), 5)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
