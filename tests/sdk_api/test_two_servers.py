"""Two server processes on one PostgreSQL: of a hundred tries at once, what is good for one use is used once.

SQLite lets one process write at a time and so proves nothing; with it these tests are skipped.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.clients.provider import ROOT, Provider, second_node
from tests.support.at_once import at_once

DATABASE_URL = os.environ.get("DATABASE_URL", "")
pytestmark = [
    pytest.mark.client,
    pytest.mark.xdist_group("two_servers"),
    pytest.mark.security("S10"),
    pytest.mark.skipif(not DATABASE_URL.startswith("postgres"), reason="needs the PostgreSQL of DATABASE_URL"),
]

TRIES = 100
AT_ONCE = 20
PASSWORD = "Amber-Meadow-77"
MOBILE = "13812345678"
SECRET = "choose-a-long-secret-of-your-own"
# Everybody's password will expire soon, so that every sign-in has a state_token; and no limit stands before the races.
CONFIGURATION: dict[str, Any] = {
    "tenant": {
        "code": "default",
        "password_policy": {
            "max_age_days": 7,
            "warn_days": 7,
            "max_failures": 10 * TRIES,
            "max_failures_per_source": 10 * TRIES,
        },
    },
    "message_gateways": [{"name": "terminal", "channel": "sms", "kind": "console"}],
    "users": [{"user_name": "alice", "password": PASSWORD, "mobile": MOBILE, "phone_number_verified": True}],
    "applications": [
        {
            "code": "app",
            "clients": [
                {
                    "client_id": "app",
                    "client_secret": SECRET,
                    "token_endpoint_auth_method": "client_secret_post",
                    "grant_types": ["client_credentials"],
                    "response_types": [],
                    "scopes": ["openid"],
                    "tenant_api": ["auth_api"],
                    "may_use_sdk": True,
                }
            ],
        }
    ],
}


def load_example() -> ModuleType:
    path = ROOT / "docs" / "examples" / "phone_app.py"
    spec = importlib.util.spec_from_file_location("phone_app", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = load_example()


class Nodes:
    """Two servers on one database, and an app that talks to both."""

    def __init__(self, provider: Provider, second: str) -> None:
        self.provider, self.servers = provider, (provider.issuer, second)
        self.back_end = example.BackEnd(provider.issuer, "app", SECRET)
        self.app = example.App(
            provider.issuer,
            "app",
            solve=self.look_up,
            read_code=self.read_code,
            new_password=lambda rule: PASSWORD,
            has_time=lambda: False,
        )

    def look_up(self, puzzle: dict[str, Any]) -> int:
        """The answer of a puzzle, which only the servers' keys open."""
        code = f"from tests.sdk_api.mobile import true_x; print('x', true_x({puzzle['token']!r}))"
        answer = self.provider.manage("shell", "-v", "0", "-c", code)
        match = re.search(r"^x (\d+)$", answer, re.M)
        assert match is not None, answer
        return int(match[1])

    def read_code(self, mobile: str) -> str:
        """The code of a sign-in that the first server printed last."""
        printed = re.findall(r"^sms to .*: (\d{6}) \(login\)$", self.provider.log.read_text(), re.M)
        code: str = printed[-1]
        return code

    def try_all(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> Counter[str]:
        """Ask both servers the same thing a hundred times at once; how often each outcome came."""
        data = json.dumps(body).encode() if body is not None else None

        def ask(number: int) -> str:
            try:
                answer = example.fetch(method, f"{self.servers[number % 2]}{path}", headers, data)
            except example.Refused as refused:
                return str(refused.code)
            return "won" if answer is None or answer.get("status", "SUCCESS") == "SUCCESS" else str(answer)

        return Counter(at_once(ask, times=TRIES, threads=AT_ONCE))

    def headers(self, **more: str) -> dict[str, str]:
        return {**self.app.device, "Content-Type": example.JSON, **more}

    def bearer(self) -> dict[str, str]:
        return {"Content-Type": example.JSON, "Authorization": f"Bearer {self.back_end._access_token()}"}

    def signed_in(self) -> str:
        """A fresh session_token."""
        assert self.app.sign_in_by_password("alice", PASSWORD) == "SUCCESS"
        token: str = self.app.session_token
        return token


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    directory: Path = tmp_path_factory.mktemp("nodes")
    with Provider(directory, database_url=DATABASE_URL, workers=1, threads=8) as provider:
        provider.apply(CONFIGURATION)
        with second_node(provider, threads=8) as (second, _log):
            yield Nodes(provider, second)


def puzzle(nodes: Nodes) -> dict[str, str]:
    """The body of a right answer."""
    drawn = nodes.app.call("GET", "captcha")
    point = json.dumps({"x": float(nodes.look_up(drawn)), "y": 5.0}, separators=(",", ":"))
    return {"point_json": point, "token": drawn["token"], "sender": MOBILE}


# Each makes something that is good for one use, and tells the request that uses it.
Race = Callable[[Nodes], tuple[str, str, dict[str, str], Any]]


def a_puzzle(nodes: Nodes) -> tuple[str, str, dict[str, str], Any]:
    return "POST", "/api/v2/sdk/captcha/verify", nodes.headers(), puzzle(nodes)


def a_captcha_token(nodes: Nodes) -> tuple[str, str, dict[str, str], Any]:
    token = nodes.app.call("POST", "captcha/verify", puzzle(nodes))["captcha_token"]
    body = {"mobile": MOBILE, "type": "FORGET_PWD_SMS", "captcha_token": token}
    return "POST", "/api/v2/sdk/sms/send", nodes.headers(), body


def a_code(nodes: Nodes) -> tuple[str, str, dict[str, str], Any]:
    body = {"mobile": MOBILE, "verify_code": nodes.app.code_for(MOBILE, "LOGIN_SMS")}
    return "POST", "/api/v2/sdk/login/mobile-verify-code", nodes.headers(), body


def a_state_token(nodes: Nodes) -> tuple[str, str, dict[str, str], Any]:
    answer = nodes.app.call("POST", "login", {"user_name": "alice", "password": PASSWORD})
    assert answer["status"] == "PASSWORD_WARN"
    return "GET", "/api/v2/sdk/pwd/skip-update", nodes.headers(**{"X-state-token": answer["state_token"]}), None


def a_ticket(nodes: Nodes) -> tuple[str, str, dict[str, str], Any]:
    device = nodes.app.device_facts()
    body = {"sso_ticket": nodes.back_end.ticket(nodes.signed_in(), device), **device}
    return "POST", "/api/v2/tenant/sso/sso-ticket/verify", nodes.bearer(), body


def a_session_token(nodes: Nodes) -> tuple[str, str, dict[str, str], Any]:
    body = {"session_token": nodes.signed_in(), **nodes.app.device_facts()}
    return "POST", "/api/v2/tenant/sso/session-token/refresh", nodes.bearer(), body


def a_signature(nodes: Nodes) -> tuple[str, str, dict[str, str], Any]:
    nodes.signed_in()
    return "GET", "/api/v2/sdk/profile", nodes.headers(**{"X-signature": nodes.app.signature()}), None


RACES: dict[str, tuple[Race, set[str]]] = {
    "puzzle": (a_puzzle, {"CAPTCHA.0002"}),
    "captcha_token": (a_captcha_token, {"CAPTCHA.0003"}),
    "code": (a_code, {"CAPTCHA.0007"}),
    "state_token": (a_state_token, {"PARAM.0014"}),
    "ticket": (a_ticket, {"PARAM.0032"}),
    "session_token": (a_session_token, {"PARAM.0023"}),
    "signature": (a_signature, {"PARAM.0030"}),
}


@pytest.mark.parametrize("name", RACES)
def test_of_a_hundred_tries_at_two_servers_one_wins(nodes: Nodes, name: str) -> None:
    race, refused = RACES[name]
    outcomes = nodes.try_all(*race(nodes))
    assert outcomes["won"] == 1, outcomes
    del outcomes["won"]
    assert set(outcomes) <= refused
    assert outcomes.total() == TRIES - 1


TENANTS = 3


def test_the_first_signature_of_a_tenant_is_taken_by_the_other_server(nodes: Nodes) -> None:
    """A key is made and published by one process while the other one has just seen that there is none."""
    hosts = [f"id{number}.example" for number in range(TENANTS)]
    documents = [
        {
            **CONFIGURATION,
            "tenant": {"code": host.partition(".")[0], "domains": [host]},
            "applications": [named(CONFIGURATION["applications"][0], host)],
        }
        for host in hosts
    ]
    file = nodes.provider.directory / "tenants.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    nodes.provider.manage("apply_config", str(file))
    # As tenants of earlier versions are: their keys are made on first need, and only then.
    code = "from identity.models import KeyPair; KeyPair.objects.exclude(tenant__code='default').delete()"
    nodes.provider.manage("shell", "-v", "0", "-c", code)
    refused = [host for host in hosts if not is_first_signature_taken(nodes, host)]
    assert refused == []


def named(application: dict[str, Any], host: str) -> dict[str, Any]:
    """The application with a client_id of its own: they are unique among all tenants."""
    return {**application, "clients": [{**application["clients"][0], "client_id": host}]}


def is_first_signature_taken(nodes: Nodes, host: str) -> bool:
    first, second = nodes.servers
    app = example.App(
        first,
        host,
        solve=nodes.look_up,
        read_code=nodes.read_code,
        new_password=lambda rule: PASSWORD,
        has_time=lambda: False,
    )
    app.device["Host"] = host
    app.sign_in_by_password("alice", PASSWORD)
    profile = f"{second}/api/v2/sdk/profile"
    with pytest.raises(example.Refused):
        example.fetch("GET", profile, {**app.device, "X-signature": "bm9uZQ"})
    try:
        return bool(example.fetch("GET", profile, {**app.device, "X-signature": app.signature()}))
    except example.Refused:
        return False
