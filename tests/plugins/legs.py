"""The order of the tests, who runs with whom, and which of them the second of two runs may leave out.

Tests that wait for other processes (browser, stock clients) start first, so that with more test processes than cores
they wait beside the others' work and not after it.

`--second-leg` is for a run on one database after a whole run on the other: it leaves out what would only prove the
same again: the tests that use no database; those that start servers; those of the console, of pages and of texts on
the wire, behind which stand the statements that the tests of rules run; and of a test with many cases all but the
first, since all of them run the same statements over other data.

`--first-cases` leaves out only the latter: for a developer who waits, before everything runs elsewhere.
"""

import gc
from pathlib import Path

import pytest
from _pytest.nodeid import NodeId

ROOT = Path(__file__).resolve().parents[2]
ONCE = [
    ROOT / "tests" / name
    for name in ("admin", "architecture", "browser", "clients", "config", "contract", "dialects", "flows", "pages")
]
WAITING = ("browser", "client")
DATABASE = {"db", "transactional_db", "live_server"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --second-leg and --first-cases."""
    parser.addoption("--second-leg", action="store_true", help="leave out what one run on another database has proved")
    parser.addoption("--first-cases", action="store_true", help="of a test with many cases, run the first")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what waits first; leave out what was proved."""
    items.sort(key=lambda item: not is_waiting(item))
    if getattr(config.option, "loadgroup", False):
        for item in items:
            name_group(item)
    is_second = config.getoption("second_leg")
    if is_second or config.getoption("first_cases"):
        kept = first_cases([item for item in items if not is_second or differs_by_database(item)])
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = [item for item in items if item in kept]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep the garbage collector away from what was collected: it stays to the end, and is most of all there is."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def first_cases(items: list[pytest.Item]) -> set[pytest.Item]:
    """Return, of the cases of each test, the first."""
    cases: dict[str, pytest.Item] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], item)
    return set(cases.values())


def name_group(item: pytest.Item) -> None:
    """Tell the scheduler of the test processes the group, so that one of them takes the whole group and its servers.

    pytest-xdist 3.8 means to, but writes it where pytest 9.2 no longer looks: every process started every server.
    """
    groups = sorted(str(mark.args[0]) for mark in item.iter_markers("xdist_group"))
    if groups and not item.nodeid.endswith(f"@{groups[-1]}"):
        item._id = NodeId.parse(f"{item.nodeid}@{'_'.join(dict.fromkeys(groups))}")


def is_waiting(item: pytest.Item) -> bool:
    """Tell whether the test waits for processes that it starts."""
    return any(item.get_closest_marker(name) for name in WAITING)


def differs_by_database(item: pytest.Item) -> bool:
    """Tell whether the test could end otherwise on another database."""
    if is_waiting(item) or any(directory in item.path.parents for directory in ONCE):
        return False
    return item.get_closest_marker("django_db") is not None or bool(DATABASE & set(getattr(item, "fixturenames", ())))
