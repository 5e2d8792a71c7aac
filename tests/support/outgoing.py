"""What the worker would post to applications, caught where it leaves the house."""

from __future__ import annotations

from typing import Any

import pytest

from identity.outbound import Response


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str], bool]]:
    """What would leave the house; `posted.status` is what the service answers."""

    class Posted(list[tuple[str, dict[str, str], bool]]):
        status = 200

    calls = Posted()

    def post_form(url: str, fields: dict[str, str], *, internal: bool, limits: Any) -> Response:
        calls.append((url, fields, internal))
        return Response(status=calls.status, headers={}, body=b"")

    monkeypatch.setattr("identity.outbound.post_form", post_form)
    return calls
