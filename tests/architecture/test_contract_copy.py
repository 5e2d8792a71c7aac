"""docs/contract is the wire contract. Where the original stands beside the project, each file of the copy is the same.

A file that is new in the original is no fault of the copy: it comes with what it describes.
"""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "docs" / "contract"
ORIGINAL = ROOT.parent / "shared" / "contract"


def files(directory: Path) -> dict[str, bytes]:
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


@pytest.mark.skipif(not ORIGINAL.is_dir(), reason="the original of the contract is not on this machine")
def test_the_copy_of_the_contract_is_the_original() -> None:
    copied, original = files(COPY), files(ORIGINAL)
    assert copied
    assert copied == {name: original.get(name) for name in copied}
