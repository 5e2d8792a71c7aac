"""What the tests of the architecture are asked on the command line."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --walks."""
    parser.addoption("--walks", choices=("check", "write"), default="check", help="write the walks into the document")
