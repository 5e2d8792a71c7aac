"""Deployed below a path (SCRIPT_NAME): every address, link, redirect, cookie and issuer carries it (ADR 21)."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import jwt
import pytest
import requests

from tests.clients.provider import Provider
from tests.factories import PASSWORD

pytestmark = [pytest.mark.client, pytest.mark.xdist_group("below_path")]

PREFIX = "/sso"
CALLBACK = "http://127.0.0.1:9/callback"
CLIENTS = {
    "standard": {"client_id": "rp", "grant_types": ["authorization_code", "refresh_token"]},
    "pactera": {"client_id": "rp-pactera", "grant_types": ["authorization_code", "refresh_token"]},
}
CONFIGURATION = {
    "tenant": {"code": "default", "name": "Below", "domains": ["id.below.test"]},
    "users": [
        {"user_name": "alice", "password": PASSWORD, "name": "Alice"},
        {"user_name": "olga", "password": PASSWORD, "name": "Olga", "operator": True, "superuser": True},
    ],
    "applications": [
        {
            "code": f"app-{dialect}",
            "name": f"Application {dialect}",
            "access": "everyone",
            "skip_consent": True,
            "clients": [
                {
                    **client,
                    "dialect": dialect,
                    "client_secret": "a-secret-of-a-test-that-is-long-enough",
                    "token_endpoint_auth_method": "client_secret_basic",
                    "redirect_uris": [CALLBACK],
                    "post_logout_redirect_uris": [CALLBACK],
                }
            ],
        }
        for dialect, client in CLIENTS.items()
    ],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    provider = Provider(
        tmp_path_factory.mktemp("below"),
        database_url=os.environ.get("DATABASE_URL", ""),
        workers=1,
        environment={"SCRIPT_NAME": PREFIX, "TRUSTED_PROXIES": "127.0.0.0/8"},
    )
    with provider:
        provider.apply(CONFIGURATION)
        yield provider


class Person:
    """A browser as far as it matters here: cookies by their path, redirects one by one, every page looked through."""

    def __init__(self, origin: str) -> None:
        self.http = requests.Session()
        self.origin = origin
        self.assets: set[str] = set()

    def open(self, address: str, data: dict[str, str] | None = None) -> requests.Response:
        """Ask and follow redirects to our own host; the last answer."""
        method = "POST" if data is not None else "GET"
        for _ in range(12):
            self.last = address
            answer = self.http.request(method, address, data=data, timeout=20, allow_redirects=False)
            if answer.is_redirect:
                address, method, data = urljoin(address, answer.headers["Location"]), "GET", None
                if not address.startswith(self.origin):
                    return answer
                self.check(urlsplit(address).path)
                continue
            self.look_through(answer)
            return answer
        raise AssertionError("The redirects do not end.")

    @staticmethod
    def check(path: str) -> None:
        assert path == PREFIX or path.startswith(f"{PREFIX}/"), path

    def look_through(self, answer: requests.Response) -> None:
        for name, value in re.findall(r'\b(href|src|action|formaction)="([^"]*)"', answer.text):
            path = urlsplit(html.unescape(value)).path
            if value.startswith("/"):
                self.check(path)
                if name == "src" or path.endswith((".css", ".svg")):
                    self.assets.add(path)

    def submit(self, page: requests.Response, **fields: str) -> requests.Response:
        """Send the page's form that has a field of that name."""
        forms = re.findall(r"<form\b(.*?)</form>", page.text, re.S)
        form = next(form for form in forms if all(f'name="{name}"' in form for name in fields))
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
        action = re.search(r'^[^>]*\baction="([^"]*)"', form)
        address = urljoin(self.last, html.unescape(action[1]) if action else self.last)
        return self.open(address, {**{name: html.unescape(value) for name, value in hidden.items()}, **fields})


@pytest.fixture
def person(server: Provider) -> Person:
    return Person(server.issuer)


@pytest.mark.parametrize(("dialect", "issuer_path"), [("standard", ""), ("pactera", "/oidc")])
def test_a_whole_sign_in_runs_below_the_path(server: Provider, person: Person, dialect: str, issuer_path: str) -> None:
    issuer = f"{server.issuer}{PREFIX}{issuer_path}"
    document = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=20).json()
    assert document["issuer"] == issuer
    addresses = [value for name, value in document.items() if name.endswith(("_endpoint", "jwks_uri"))]
    assert len(addresses) >= 5
    assert all(address.startswith(f"{server.issuer}{PREFIX}/") for address in addresses)

    client_id = CLIENTS[dialect]["client_id"]
    query = f"client_id={client_id}&redirect_uri={CALLBACK}&response_type=code&scope=openid&state=s1"
    page = person.open(f"{document['authorization_endpoint']}?{query}{pkce_query()}")
    assert page.status_code == 200, page.text
    answer = person.submit(page, identifier="alice", password=PASSWORD)
    assert answer.headers.get("Location", "").startswith(CALLBACK), answer.text
    returned = parse_qs(urlsplit(answer.headers["Location"]).query)
    if "iss" in returned:
        assert returned["iss"] == [issuer]
    assert {cookie.path for cookie in person.http.cookies} == {f"{PREFIX}/"}

    tokens = requests.post(
        document["token_endpoint"],
        data={
            "grant_type": "authorization_code",
            "code": returned["code"][0],
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        },
        auth=(client_id, "a-secret-of-a-test-that-is-long-enough"),
        timeout=20,
    ).json()
    keys = jwt.PyJWKClient(document["jwks_uri"])
    id_token = tokens["id_token"]
    claims = jwt.decode(
        id_token,
        keys.get_signing_key_from_jwt(id_token).key,
        algorithms=document["id_token_signing_alg_values_supported"],
        audience=client_id,
        issuer=issuer,
    )
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert requests.get(document["userinfo_endpoint"], headers=bearer, timeout=20).json()["sub"] == claims["sub"]

    if "end_session_endpoint" in document:
        left = person.open(
            f"{document['end_session_endpoint']}?id_token_hint={id_token}&post_logout_redirect_uri={CALLBACK}&state=s2"
        )
        for _ in range(3):
            if left.is_redirect and left.headers["Location"].startswith(CALLBACK):
                break
            left = person.submit(left, confirm="yes") if 'name="confirm"' in left.text else left
        assert "Sign in" in person.open(f"{server.issuer}{PREFIX}/account").text
    for asset in person.assets:
        assert requests.get(f"{server.issuer}{asset}", timeout=20).status_code == 200, asset
    assert any(asset.startswith(f"{PREFIX}/static/") for asset in person.assets)


VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B


def pkce_query() -> str:
    return "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"


def test_pages_of_the_account_and_the_console_stay_below_the_path(server: Provider, person: Person) -> None:
    page = person.open(f"{server.issuer}{PREFIX}/account")
    page = person.submit(page, identifier="olga", password=PASSWORD)
    assert "Olga" in page.text
    for path in ("", "/", "/account/password", "/admin", "/admin/", "/admin/identity/user/", "/api/docs", "/logout"):
        assert person.open(f"{server.issuer}{PREFIX}{path}").status_code == 200, path
    switched = person.submit(page, language="ja")
    assert switched.status_code == 200
    assert '<html lang="ja">' in switched.text


def test_refusals_stay_below_the_path(server: Provider, person: Person) -> None:
    assert person.open(f"{server.issuer}{PREFIX}/nowhere").status_code == 404
    refused = person.open(f"{server.issuer}{PREFIX}/oidc/authorize?client_id=unknown")  # Pactera's own error address
    assert refused.status_code in {400, 404}
    busy = requests.get(f"{server.issuer}{PREFIX}/api/v2/sdk/nothing", timeout=20)
    assert busy.status_code == 404


def test_cas_and_saml_name_addresses_below_the_path(server: Provider) -> None:
    metadata = requests.get(f"{server.issuer}{PREFIX}/api/v1/saml2/idp/metadata", timeout=20).text
    named = re.findall(r'(?:entityID|Location)="([^"]*)"', metadata)
    assert len(named) >= 3
    assert all(address.startswith(f"{server.issuer}{PREFIX}/api/v1/saml2/idp/") for address in named)
    login = requests.get(f"{server.issuer}{PREFIX}/api/v1/cas/login", timeout=20, allow_redirects=False)
    assert login.headers["Location"].startswith(f"{PREFIX}/login")


def test_probes_and_metadata_of_rfc_8414_are_found_outside_of_the_path_too(server: Provider) -> None:
    for path in ("/livez", "/readyz", f"{PREFIX}/livez", f"{PREFIX}/readyz"):
        assert requests.get(f"{server.issuer}{path}", timeout=20).status_code == 200, path
    address = f"{server.issuer}/.well-known/oauth-authorization-server{PREFIX}"  # RFC8414-3.1
    assert requests.get(address, timeout=20).json()["issuer"] == f"{server.issuer}{PREFIX}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cookies_go_to_the_path_only_and_by_https_under_a_secure_name(server: Provider, scheme: str) -> None:
    headers = {"Host": "id.below.test", "X-Forwarded-Proto": scheme}
    answer = requests.get(f"{server.issuer}{PREFIX}/login", headers=headers, timeout=20)
    cookies = [line for line in re.split(r", (?=[\w-]+=)", answer.headers["Set-Cookie"]) if "monban_browser" in line]
    assert len(cookies) == 1
    assert f"Path={PREFIX}/;" in f"{cookies[0]};"
    assert cookies[0].startswith("__Secure-monban_browser=" if scheme == "https" else "monban_browser=")


def test_notices_that_the_worker_sends_carry_the_path(server: Provider, tmp_path: Path) -> None:
    script = (
        "from django.urls import reverse, set_script_prefix\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from identity import origins\n"
        "from identity.models import Tenant\n"
        "print(origins.public_base(Tenant.objects.get()), reverse('identity:login'))\n"
    )
    assert server.manage("shell", "--verbosity", "0", "-c", script).strip().splitlines()[-1] == (
        f"https://id.below.test{PREFIX} {PREFIX}/login"
    )
