"""docs/tenant_api.sh replays the documented examples against a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from identity.models import TenantDomain
from tests.contract.tenant_contract import operations
from tests.factories.oidc import CLIENT_SECRET
from tests.tenant_api.world import World

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "tenant_api.sh"


@pytest.mark.client
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
@pytest.mark.django_db(transaction=True)
def test_the_documented_examples_work_with_curl(live_server: Any) -> None:
    world = World()
    TenantDomain.objects.create(tenant=world.tenant, host=live_server.url.partition("//")[2], position=1)
    environment = {
        "PATH": os.environ["PATH"],
        "BASE": live_server.url,
        "CLIENT_ID": world.client.client_id,
        "CLIENT_SECRET": CLIENT_SECRET,
        "APPLICATION_ID": world.application.public_id,
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["sh", str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    replayed = {line.split()[0] for line in done.stdout.splitlines()[:-1]}
    assert replayed == {row.name for row in operations()}
