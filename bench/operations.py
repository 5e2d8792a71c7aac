"""The operations that are measured. Each checks its answer; WrongAnswerError says what was not as it has to be."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from bench import saml, sdk, tenants
from bench.http import Connection, Response, WrongAnswerError, check
from bench.worker import Target, Worker

MAX_LOGIN_STEPS = 8
WARM_UPS = 6 * tenants.COUNT  # so that both processes have met nearly every tenant
CAS_SERVICE = "http://127.0.0.1:9/cas"


async def discovery(worker: Worker) -> Response:
    response = await worker.connection.get(f"{worker.target.issuer}/.well-known/openid-configuration")
    check(response.status == 200 and response.json()["issuer"] == worker.target.issuer, "discovery", response)
    return response


async def jwks(worker: Worker) -> Response:
    response = await worker.connection.get(worker.target.metadata["jwks_uri"])
    check(response.status == 200 and len(response.json()["keys"]) > 0, "jwks", response)
    return response


async def client_credentials(worker: Worker) -> Response:
    target = worker.target
    form = {"grant_type": "client_credentials", "scope": target.api_scope}
    response = await worker.connection.post(target.metadata["token_endpoint"], form, target.basic)
    check(response.status == 200 and "access_token" in response.json(), "client_credentials", response)
    return response


async def code_exchange(worker: Worker) -> Response:
    authorization_code, verifier = worker.codes.pop()
    return await redeem(worker, authorization_code, verifier)


async def refresh(worker: Worker) -> Response:
    target, before = worker.target, worker.token["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": before}
    response = await worker.connection.post(target.metadata["token_endpoint"], form, target.basic)
    check(response.status == 200, "refresh", response)
    worker.token = response.json()
    check(worker.token["refresh_token"] != before and "id_token" in worker.token, "refresh", response)
    return response


async def userinfo(worker: Worker) -> Response:
    bearer = {"Authorization": f"Bearer {worker.token['access_token']}"}
    response = await worker.connection.get(worker.target.metadata["userinfo_endpoint"], bearer)
    check(response.status == 200 and response.json()["sub"] == worker.subject, "userinfo", response)
    return response


async def introspection(worker: Worker) -> Response:
    target = worker.target
    form = {"token": worker.token["access_token"]}
    response = await worker.connection.post(target.metadata["introspection_endpoint"], form, target.basic)
    check(response.status == 200 and response.json()["active"] is True, "introspection", response)
    return response


async def authorize(worker: Worker) -> Response:
    url, state, _verifier = authorization_request(worker.target)
    response = await worker.browser.get(url)
    authorization_code_of(worker.target, response, state)
    return response


async def cas_login_and_validate(worker: Worker) -> Response:
    """A signed-in browser opens a CAS application, whose back end asks who it is: two requests."""
    response = await worker.browser.get(_cas_login(worker))
    return await _validate(worker, response)


async def cas_login(worker: Worker) -> Response:
    """The same by a browser that knows nothing: sign-in page, password, redirects, ticket, validation."""
    browser = Connection(worker.connection.host, worker.connection.port)
    try:
        response = await through_sign_in(worker, browser, _cas_login(worker), leads_to(CAS_SERVICE))
        return await _validate(worker, response)
    finally:
        browser.close()


def _cas_login(worker: Worker) -> str:
    return f"{worker.target.issuer}/api/v1/cas/login?{urlencode({'service': CAS_SERVICE})}"


async def _validate(worker: Worker, response: Response) -> Response:
    location = response.header("location")
    ticket = parse_qs(urlsplit(location).query).get("ticket", [""])[0]
    check(response.status in (302, 303) and location.startswith(CAS_SERVICE) and ticket != "", "cas login", response)
    query = urlencode({"service": CAS_SERVICE, "ticket": ticket})
    response = await worker.connection.get(f"{worker.target.issuer}/api/v1/cas/p3/serviceValidate?{query}")
    check(response.status == 200 and b"<cas:user>" in response.body, "cas validation", response)
    return response


async def saml_login(worker: Worker) -> Response:
    """A browser that knows nothing: AuthnRequest, sign-in page, password, signed response."""
    browser = Connection(worker.connection.host, worker.connection.port)
    try:
        url = saml.request_url(worker.target.issuer)
        return saml.check_answer(await through_sign_in(worker, browser, url, saml.is_answer))
    finally:
        browser.close()


async def login_flow(worker: Worker) -> Response:
    """A browser that knows nothing: authorization request, sign-in page, password, code, exchange."""
    browser = Connection(worker.connection.host, worker.connection.port)
    try:
        authorization_code, verifier = await sign_in(worker, browser)
        return await redeem(worker, authorization_code, verifier)
    finally:
        browser.close()


def authorization_request(target: Target) -> tuple[str, str, str]:
    """An authorization request with PKCE: its URL, state and verifier."""
    verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(8)
    query = {
        "client_id": target.client_id,
        "response_type": "code",
        "redirect_uri": target.redirect_uri,
        "scope": "openid profile email",
        "state": state,
        "nonce": secrets.token_urlsafe(8),
        "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    return f"{target.metadata['authorization_endpoint']}?{urlencode(query)}", state, verifier


def authorization_code_of(target: Target, response: Response, state: str) -> str:
    location = response.header("location")
    answer = parse_qs(urlsplit(location).query)
    good = response.status in (302, 303) and location.startswith(target.redirect_uri) and answer.get("state") == [state]
    check(good and "code" in answer, "authorize", response)
    return answer["code"][0]


async def sign_in(worker: Worker, browser: Connection) -> tuple[str, str]:
    """Sign in by the page, as a browser would; an authorization code and its verifier."""
    url, state, verifier = authorization_request(worker.target)
    response = await through_sign_in(worker, browser, url, leads_to(worker.target.redirect_uri))
    return authorization_code_of(worker.target, response, state), verifier


def leads_to(address: str) -> Callable[[Response], bool]:
    """Whether a response sends the browser to the application."""
    return lambda response: response.header("location").startswith(address)


async def through_sign_in(
    worker: Worker, browser: Connection, url: str, is_answer: Callable[[Response], bool]
) -> Response:
    """Follow redirects, and send name and password where they are asked for, until the application is answered."""
    person = worker.person
    response = await browser.get(url)
    for _ in range(MAX_LOGIN_STEPS):
        if is_answer(response):
            return response
        if response.status in (302, 303):
            url = urljoin(url, response.header("location"))
            response = await browser.get(url)
        else:
            check(response.status == 200 and b'name="password"' in response.body, "sign-in page", response)
            form = hidden_fields(response.body.decode())
            form |= {"identifier": person.user_name, "password": person.password}
            parts = urlsplit(url)
            response = await browser.post(url, form, {"Origin": f"{parts.scheme}://{parts.netloc}", "Referer": url})
            check(response.status in (302, 303), "password", response)
    raise WrongAnswerError("signing in takes too many steps")


def hidden_fields(page: str) -> dict[str, str]:
    """The hidden fields of the form that asks for the password."""
    form = next(text for text in re.findall(r"<form\b.*?</form>", page, re.DOTALL) if 'name="password"' in text)
    fields = {}
    for tag in re.findall(r"<input\b[^>]*>", form):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if attributes.get("type") == "hidden":
            fields[attributes["name"]] = html.unescape(attributes.get("value", ""))
    return fields


async def redeem(worker: Worker, authorization_code: str, verifier: str) -> Response:
    target = worker.target
    form = {
        "grant_type": "authorization_code",
        "code": authorization_code,
        "redirect_uri": target.redirect_uri,
        "code_verifier": verifier,
    }
    response = await worker.connection.post(target.metadata["token_endpoint"], form, target.basic)
    check(response.status == 200, "code_exchange", response)
    worker.token = response.json()
    expected = {"access_token", "refresh_token", "id_token"}
    check(expected <= worker.token.keys(), "code_exchange", response)
    return response


async def mint_codes(worker: Worker, count: int) -> None:
    for _ in range(count):
        url, state, verifier = authorization_request(worker.target)
        response = await worker.browser.get(url)
        worker.codes.append((authorization_code_of(worker.target, response, state), verifier))


async def mint_tickets(worker: Worker, count: int) -> None:
    worker.tickets += [await sdk.mint_ticket(worker) for _ in range(count)]


@dataclass(frozen=True)
class Operation:
    name: str
    run: Callable[[Worker], Awaitable[Response]]
    budget: int | None = None  # round trips to the database; None where no budget is set
    uses_codes: bool = False
    uses_tickets: bool = False
    of_many_tenants: bool = False
    is_sign_in: bool = False  # by password, of all its requests: measured with a cheap hash too
    warm_ups: int = 0  # requests before the measurement, where a second of them does not do


OPERATIONS = (
    Operation("discovery", discovery, budget=0),
    Operation("jwks", jwks, budget=1),
    Operation("client_credentials", client_credentials, budget=1),
    Operation("code_exchange", code_exchange, budget=2, uses_codes=True),
    Operation("refresh", refresh, budget=2),
    Operation("userinfo", userinfo, budget=1),
    Operation("introspection", introspection, budget=1),
    Operation("client_credentials_of_one", tenants.of_one, of_many_tenants=True),
    Operation("client_credentials_of_many", tenants.of_many, of_many_tenants=True, warm_ups=WARM_UPS),
    Operation("jwks_of_many", tenants.key_set_of_many, of_many_tenants=True, warm_ups=WARM_UPS),
    Operation("authorize", authorize, budget=2),
    Operation("cas_login_and_validate", cas_login_and_validate, budget=4),
    Operation("saml_redirect_sso", saml.saml_redirect_sso, budget=3),
    Operation("login_flow", login_flow, budget=14, is_sign_in=True),
    Operation("cas_login", cas_login, budget=14, is_sign_in=True),
    Operation("saml_login", saml_login, budget=14, is_sign_in=True),
    Operation("sdk_login", sdk.sdk_login),
    Operation("sdk_profile", sdk.sdk_profile, budget=6),
    Operation("sdk_captcha", sdk.sdk_captcha),
    Operation("sso_ticket_issue", sdk.sso_ticket_issue),
    Operation("sso_ticket_verify", sdk.sso_ticket_verify, budget=4, uses_tickets=True),
)
