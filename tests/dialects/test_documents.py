"""docs/dialects says what is so: its examples register, its flags are those that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from identity.models import Tenant
from oidc_provider import dialects
from oidc_provider.clients import registration
from oidc_provider.models import CLIENT_FLAGS
from tests.factories import make_application

PAGES = Path(__file__).resolve().parents[2] / "docs" / "dialects"
VENDORS = [dialect for dialect in dialects.ALL if dialect.name != "standard"]
SECRET = "a-secret-of-the-example-long-enough"


def example(name: str) -> dict[str, Any]:
    """The first client of the page's example, with a secret in place of the file's name."""
    text = re.search(r"```yaml\n(.*?)```", (PAGES / f"{name}.md").read_text(encoding="utf-8"), re.DOTALL)
    assert text is not None
    document = yaml.safe_load(text[1])
    client: dict[str, Any] = (document.get("applications") or [document])[0]["clients"][0]
    if "client_secret" in client:
        client["client_secret"] = SECRET
    return client


@pytest.mark.django_db
@pytest.mark.parametrize("dialect", VENDORS, ids=lambda dialect: dialect.name)
def test_the_example_registers(tenant: Tenant, dialect: dialects.Dialect) -> None:
    values = example(dialect.name)
    client, secret = registration.register_client(catalogue_entry=make_application(tenant), **values)
    assert client.dialect == dialect.name
    assert secret == values.get("client_secret", "")


def test_every_flag_is_described() -> None:
    text = (PAGES / "README.md").read_text(encoding="utf-8")
    described = dict(re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \|", text, re.MULTILINE))
    flags = {name: {dialect for dialect, names in CLIENT_FLAGS.items() if name in names} for name in described}
    assert {name: set(spoken.split(", ")) for name, spoken in described.items()} == flags
    assert set(described) == {name for names in CLIENT_FLAGS.values() for name in names}


@pytest.mark.parametrize("dialect", VENDORS, ids=lambda dialect: dialect.name)
def test_the_page_names_the_addresses_of_the_document(dialect: dialects.Dialect) -> None:
    text = (PAGES / "README.md").read_text(encoding="utf-8")
    assert f"https://HOST{dialect.issuer('', app_code='APP_CODE')}" in text
