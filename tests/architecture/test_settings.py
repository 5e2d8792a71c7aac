"""What the settings promise, asked of the function that makes them."""

import base64
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import entry, local_secrets
from config.env import read
from config.settings.base import build


def key(byte: int) -> str:
    return base64.urlsafe_b64encode(bytes([byte]) * 32).decode()


SECRETS = {
    "SECRET_KEY": "x" * 60,
    "KEY_ENCRYPTION_KEYS": f"{key(1)},{key(2)}",
    "HASH_PEPPERS": key(3),
    "BLIND_INDEX_KEY": key(4),
}
SILENT = ("DEBUG", "DATABASE_URL", "REDIS_URL", "TRUSTED_PROXIES", "SHARED_HOST", "SCRIPT_NAME")
NOTHING = dict.fromkeys((*SECRETS, *SILENT), "")


def production(**changes: str) -> Mapping[str, Any]:
    return build(read(debug=False, overrides={**NOTHING, **SECRETS, "DEBUG": "0", **changes}))


@pytest.mark.parametrize("name", SECRETS)
def test_production_does_not_start_without_a_secret(name: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=name):
        production(**{name: ""})


@pytest.mark.parametrize("name", ["KEY_ENCRYPTION_KEYS", "HASH_PEPPERS", "BLIND_INDEX_KEY"])
@pytest.mark.parametrize("value", ["c2hvcnQ=", "not base64!", key(1)[:-4]])
def test_a_malformed_key_is_refused_without_being_shown(name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=name) as refused:
        production(**{name: value})
    assert value not in str(refused.value)


def test_keys_are_read_newest_first() -> None:
    assert production()["IDENTITY"]["key_encryption_keys"] == (b"\1" * 32, b"\2" * 32)


def test_the_blind_index_has_one_key() -> None:
    with pytest.raises(ImproperlyConfigured, match="exactly one"):
        production(BLIND_INDEX_KEY=f"{key(4)},{key(5)}")


def test_debug_derives_a_different_key_for_each_purpose() -> None:
    settings = build(read(debug=True, overrides={**NOTHING, "SECRET_KEY": "one", "DEBUG": "1"}))["IDENTITY"]
    derived = [settings["key_encryption_keys"][0], settings["hash_peppers"][0], settings["blind_index_key"]]
    other = build(read(debug=True, overrides={**NOTHING, "SECRET_KEY": "two", "DEBUG": "1"}))["IDENTITY"]
    assert len(set(derived)) == 3
    assert other["blind_index_key"] not in derived


@pytest.mark.security("S32")
def test_no_forwarded_header_is_believed_by_default() -> None:
    settings = production()
    assert settings["IDENTITY"]["trusted_proxies"] == ()
    assert settings["SECURE_PROXY_SSL_HEADER"] is None
    assert settings["USE_X_FORWARDED_HOST"] is False


def test_a_malformed_proxy_range_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES"):
        production(TRUSTED_PROXIES="10.0.0.0/8,everyone")


@pytest.mark.parametrize("name", ["SESSION", "CSRF"])
def test_production_cookies_belong_to_this_host_and_https(name: str) -> None:
    settings = production()
    assert settings[f"{name}_COOKIE_NAME"].startswith("__Host-")
    assert settings[f"{name}_COOKIE_SECURE"] is True
    assert settings[f"{name}_COOKIE_HTTPONLY"] is True
    assert settings[f"{name}_COOKIE_SAMESITE"] == "Lax"


def test_the_cache_is_never_the_memory_of_one_process() -> None:
    assert production()["CACHES"]["default"]["BACKEND"].endswith("DatabaseCache")
    assert production(REDIS_URL="redis://127.0.0.1:6379/1")["CACHES"]["default"]["BACKEND"].endswith("RedisCache")


def test_a_secret_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret_key"
    file.write_text("from a file\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(file))
    assert production()["SECRET_KEY"] == "from a file"


def test_development_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secrets.env"
    assert local_secrets.ensure(path) is True
    first = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert local_secrets.ensure(path) is False
    assert path.read_bytes() == first
    assert [p.name for p in path.parent.iterdir()] == ["secrets.env"]


def test_development_secrets_are_usable_and_marked_as_generated(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    local_secrets.ensure(path)
    values = dict(line.split("=", 1) for line in path.read_text().splitlines() if not line.startswith("#"))
    settings = production(**values)
    assert settings["SECRET_KEY"].startswith(local_secrets.GENERATED_PREFIX)
    assert len(settings["IDENTITY"]["key_encryption_keys"][0]) == 32


@pytest.mark.parametrize(
    ("surroundings", "web_server", "command"),
    [
        ({}, "prod", "dev"),
        ({"SECRET_KEY": "x"}, "prod", "prod"),
        ({"SECRET_KEY_FILE": "/run/secrets/key"}, "prod", "prod"),
        ({"SECRET_KEY": "x", "DEBUG": "1"}, "prod", "prod"),
        ({"DJANGO_SETTINGS_MODULE": "config.settings.dev", "SECRET_KEY": "x"}, "dev", "dev"),
        ({"DJANGO_SETTINGS_MODULE": "config.settings.prod"}, "prod", "prod"),
    ],
)
def test_one_environment_gives_one_set_of_secrets_at_every_entry_point(
    monkeypatch: pytest.MonkeyPatch, surroundings: dict[str, str], web_server: str, command: str
) -> None:
    for can_develop, expected in ((False, web_server), (True, command)):
        for name in ("DJANGO_SETTINGS_MODULE", "SECRET_KEY", "SECRET_KEY_FILE", "DEBUG"):
            monkeypatch.delenv(name, raising=False)
        for name, value in surroundings.items():
            monkeypatch.setenv(name, value)
        entry.choose_settings(can_develop=can_develop)
        assert os.environ["DJANGO_SETTINGS_MODULE"] == f"config.settings.{expected}"


def test_cookies_below_a_path_go_there_only() -> None:
    settings = production(SCRIPT_NAME="/sso/")
    assert (settings["FORCE_SCRIPT_NAME"], settings["STATIC_URL"]) == ("/sso", "/sso/static/")
    for name in ("SESSION", "CSRF"):
        assert settings[f"{name}_COOKIE_NAME"].startswith("__Secure-")
        assert settings[f"{name}_COOKIE_PATH"] == "/sso/"
    assert production()["FORCE_SCRIPT_NAME"] is None


@pytest.mark.parametrize("path", ["sso", "/s so", "/../x", "//x", "https://x/sso", "/sso?x"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="SCRIPT_NAME"):
        production(SCRIPT_NAME=path)


def test_a_header_that_is_none_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="FORWARDED_HOST_HEADER"):
        production(FORWARDED_HOST_HEADER="X-Forwarded-Host: x")
