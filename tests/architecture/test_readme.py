"""What the documents tell a reader to do can be done: commands, targets, variables, files and links exist."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = re.compile(r"```\w*\n(.*?)```|`([^`\n]+)`", re.S)


def code(page: Path) -> str:
    return "\n".join(match[1] or match[2] for match in CODE.finditer(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:^|\s)make ([a-z-]+)", code(page))) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_management_command_that_is_named_exists(page: Path) -> None:
    assert set(re.findall(r"manage\.py ([a-z_]+)", code(page))) <= set(get_commands())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_environment_variable_is_documented_and_every_documented_one_is_read() -> None:
    source = (ROOT / "config" / "env.py").read_text()
    read = set(re.findall(r'env\.\w+\("([A-Z_]+)"', source)) | set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', source))
    table = (ROOT / "docs" / "operations.md").read_text().partition("## Environment")[2].partition("###")[0]
    documented = {name for row in re.findall(r"^\| (`[^|]+) \|", table, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert documented - {"DJANGO_SETTINGS_MODULE"} == read


def test_every_package_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[~=<>]", line)[0].lower() for line in wanted}
    text = (ROOT / "docs" / "dependencies.md").read_text().lower()
    reasons = {name.strip() for row in re.findall(r"^\| ([^|]+) \|", text, re.M) for name in row.split(",")}
    assert names <= reasons


def test_the_lock_files_name_no_package_index() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "http://" not in text
        assert "https://" not in text
        assert "file:/" not in text
        assert "--hash=sha256:" in text


def test_the_first_client_is_the_one_that_the_readme_starts() -> None:
    (application,) = yaml.safe_load((ROOT / "docs" / "examples" / "first-client.yaml").read_text())["applications"]
    (client,) = application["clients"]
    readme = (ROOT / "README.md").read_text()
    assert f"CLIENT_ID={client['client_id']} CLIENT_SECRET={client['client_secret']} " in readme
    assert client["redirect_uris"] == ["http://localhost:5000/callback"]
