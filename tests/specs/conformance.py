"""A relying party and a browser for black-box tests: what a conformance suite has, over Django's test client.

Nothing here looks at a row. The browser keeps cookies, follows our own redirects, fills in our own pages with their
CSRF tokens, and stops where it would leave the site; the relying party judges what reaches it there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import jwt
from django.http.response import HttpResponseBase
from django.test import Client as Transport

HOST = "id.monban.example"
ISSUER = f"https://{HOST}"
CALLBACK = "https://rp.example.org/callback"
AFTER_LOGOUT = "https://rp.example.org/post_logout_redirect"


@dataclass
class Form:
    """A form of a page: where it goes and what it would send."""

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    """Read the forms of a page, as a browser would."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._is_open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(action=values.get("action", "")))
            self._is_open = True
        elif self._is_open and tag == "input" and values.get("name"):
            self.forms[-1].fields[values["name"]] = values.get("value", "")
        elif self._is_open and tag == "button" and values.get("name"):
            self.forms[-1].buttons.append((values["name"], values.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_open = False


@dataclass(frozen=True)
class Page:
    """Where a browser came to rest: a page of ours."""

    path: str
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def forms(self) -> list[Form]:
        reader = _Forms()
        reader.feed(self.text)
        return reader.forms

    def form_with(self, name: str) -> Form | None:
        """The form that has a field or button of this name."""
        return next(
            (form for form in self.forms if name in form.fields or name in dict(form.buttons)),
            None,
        )

    @property
    def is_sign_in(self) -> bool:
        return self.form_with("password") is not None

    @property
    def is_consent(self) -> bool:
        return self.form_with("decision") is not None

    @property
    def is_account_choice(self) -> bool:
        return self.form_with("choice") is not None


@dataclass(frozen=True)
class Callback:
    """What arrived at an address outside: by query, fragment or form_post."""

    address: str  # without parameters
    mode: str
    pairs: list[tuple[str, str]]
    response: HttpResponseBase

    @property
    def params(self) -> dict[str, str]:
        assert len({name for name, _ in self.pairs}) == len(self.pairs), self.pairs
        return dict(self.pairs)


def new_transport() -> Transport:
    return Transport(enforce_csrf_checks=True, HTTP_HOST=HOST)


@dataclass
class Browser:
    """One browser: cookies, and what it was shown on its way."""

    transport: Transport = field(default_factory=new_transport)
    shown: list[Page] = field(default_factory=list)

    def get(self, url: str, **headers: str) -> Page | Callback:
        return self._follow(self.transport.get(url, secure=True, headers=headers), url)

    def post(self, url: str, data: Mapping[str, str], **headers: str) -> Page | Callback:
        return self._follow(self.transport.post(url, data, secure=True, headers=headers), url)

    def post_from_another_site(self, url: str, data: Mapping[str, str]) -> Page | Callback:
        """A form on another site's page: no SameSite=Lax cookie goes with it, but with the GET that follows."""
        jar = self.transport.cookies.copy()
        self.transport.cookies.clear()
        response = self.transport.post(
            url, urlencode(data), content_type="application/x-www-form-urlencoded", secure=True,
            headers={"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"},
        )  # fmt: skip
        new = self.transport.cookies.copy()
        self.transport.cookies.clear()
        for cookies in (jar, new):
            self.transport.cookies.update(cookies)
        return self._follow(response, url)

    def submit(self, page: Page, form: Form, **values: str) -> Page | Callback:
        """Send a form of a page as the page has it, with these values filled in."""
        return self.post(form.action or page.path, {**form.fields, **values}, referer=f"{ISSUER}{page.path}")

    def sign_in(self, page: Page | Callback, user_name: str, password: str) -> Page | Callback:
        assert isinstance(page, Page), page
        form = page.form_with("password")
        assert form is not None, page.text
        return self.submit(page, form, identifier=user_name, password=password)

    def decide(self, page: Page | Callback, decision: str = "allow") -> Page | Callback:
        assert isinstance(page, Page), page
        form = page.form_with("decision")
        assert form is not None, page.text
        return self.submit(page, form, decision=decision)

    @property
    def sign_in_pages(self) -> int:
        """How many times this browser was asked to sign in."""
        return sum(page.is_sign_in for page in self.shown)

    def _follow(self, response: Any, url: str) -> Page | Callback:
        for _ in range(20):
            if response.status_code not in (301, 302, 303, 307, 308):
                return self._arrive(response, url)
            target = response["Location"]
            parts = urlsplit(target)
            if parts.netloc not in ("", HOST) or parts.scheme not in ("", "https"):
                return _callback(target, response)
            url = target
            response = self.transport.get(url, secure=True)
        raise AssertionError(f"redirected for ever, last to {url}")

    def _arrive(self, response: Any, url: str) -> Page | Callback:
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        page = Page(path, response.status_code, response.content.decode(), response.headers)
        form = page.forms[0] if page.forms else None
        if form and "data-auto-submit" in page.text:
            return Callback(form.action, "form_post", list(form.fields.items()), response)
        self.shown.append(page)
        return page


def _callback(target: str, response: HttpResponseBase) -> Callback:
    address, hash_mark, fragment = target.partition("#")
    if hash_mark:
        return Callback(address, "fragment", parse_qsl(fragment, strict_parsing=True), response)
    address, _, query = address.partition("?")
    return Callback(address, "query", parse_qsl(query, keep_blank_values=True), response)


@dataclass
class RelyingParty:
    """A client of the provider under test, and what it believes."""

    client_id: str
    client_secret: str
    user_name: str
    password: str
    auth_method: str = "client_secret_basic"
    redirect_uri: str = CALLBACK
    response_mode: str | None = None  # of every request; None says nothing
    api: Transport = field(default_factory=new_transport)

    # Authorization requests ------------------------------------------------------------------------------------

    def request(self, **changes: str | None) -> dict[str, str]:
        """A valid authorization request, with changes; None takes a parameter away."""
        params: dict[str, str | None] = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "scope": "openid",
            "state": secrets.token_urlsafe(12),
            "nonce": secrets.token_urlsafe(12),
            "response_mode": self.response_mode,
            **changes,
        }
        return {name: value for name, value in params.items() if value is not None}

    def url(self, params: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
        return f"{self.metadata['authorization_endpoint']}?{urlencode(list(dict(params).items()), quote_via=quote)}"

    def start(self, browser: Browser, **changes: str | None) -> Page | Callback:
        """Send the browser to the provider; come back with where it came to rest."""
        return browser.get(self.url(self.request(**changes)))

    def authorize(self, browser: Browser, **changes: str | None) -> Answer:
        """Go through every page until an answer arrives, as a willing user would."""
        params = self.request(**changes)
        return self.finish(browser, browser.get(self.url(params)), params)

    def finish(self, browser: Browser, place: Page | Callback, params: Mapping[str, str]) -> Answer:
        for _ in range(6):
            if isinstance(place, Callback):
                return Answer(self, dict(params), place)
            if place.is_sign_in:
                place = browser.sign_in(place, self.user_name, self.password)
            elif place.is_consent:
                place = browser.decide(place)
            else:
                break
        raise AssertionError(f"no answer, but {place.path} ({place.status}):\n{place.text}")

    # Other endpoints -------------------------------------------------------------------------------------------

    @property
    def metadata(self) -> dict[str, Any]:
        response = self.api.get("/.well-known/openid-configuration", secure=True)
        assert response.status_code == 200, response.content
        document: dict[str, Any] = response.json()
        return document

    def call(self, endpoint: str, data: Mapping[str, str], **headers: str) -> Any:
        """POST a form to an endpoint as this client."""
        form = dict(data)
        if self.auth_method in ("client_secret", "client_secret_basic"):
            pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        elif self.auth_method == "client_secret_post":
            form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        else:
            form |= {"client_id": self.client_id}
        return self.api.post(
            urlsplit(self.metadata[endpoint]).path,
            urlencode(form),
            content_type="application/x-www-form-urlencoded",
            secure=True,
            headers=headers,
        )

    def exchange(self, authorization_code: str, **changes: str) -> Any:
        form = {"grant_type": "authorization_code", "code": authorization_code, "redirect_uri": self.redirect_uri}
        return self.call("token_endpoint", {**form, **changes})

    def refresh(self, refresh_token: str, **changes: str) -> Any:
        return self.call("token_endpoint", {"grant_type": "refresh_token", "refresh_token": refresh_token, **changes})

    def userinfo(self, access_token: str) -> Any:
        return self.api.get("/oauth2/userinfo", secure=True, headers={"authorization": f"Bearer {access_token}"})

    def verify(self, id_token: str, *, nonce: str | None = None) -> dict[str, Any]:
        """Check an id_token as a relying party must (OIDCC-3.1.3.7) and return its claims."""
        header = jwt.get_unverified_header(id_token)
        keys = jwt.PyJWKSet.from_dict(self.api.get("/oauth2/jwks", secure=True).json())
        key = next(key for key in keys.keys if key.key_id == header["kid"])
        claims: dict[str, Any] = jwt.decode(
            id_token,
            key.key,
            algorithms=[header["alg"]],
            audience=self.client_id,
            issuer=ISSUER,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
        assert claims.get("nonce") == nonce
        return claims

    # Logout ----------------------------------------------------------------------------------------------------

    def logout(self, browser: Browser, **params: str) -> Page | Callback:
        return browser.get(f"{self.metadata['end_session_endpoint']}?{urlencode(params)}")


@dataclass
class Answer:
    """An authorization response, and what can be had for it."""

    party: RelyingParty
    request: dict[str, str]
    callback: Callback

    @property
    def params(self) -> dict[str, str]:
        return self.callback.params

    @property
    def error(self) -> str | None:
        return self.params.get("error")

    @property
    def code(self) -> str:
        """The authorization code, once everything around it was found in order."""
        assert self.callback.address == self.request["redirect_uri"]
        assert self.callback.mode == self.request.get("response_mode", "query")
        expected = {"code", "iss"} | ({"state"} if "state" in self.request else set())
        assert set(self.params) == expected, self.params
        assert self.params.get("state") == self.request.get("state")
        assert self.params["iss"] == ISSUER
        return self.params["code"]

    def tokens(self, **changes: str) -> Tokens:
        response = self.party.exchange(self.code, **changes)
        assert response.status_code == 200, response.content
        return Tokens(self, response.json())


@dataclass
class Tokens:
    """A token response."""

    answer: Answer
    body: dict[str, Any]

    @property
    def access_token(self) -> str:
        token: str = self.body["access_token"]
        return token

    @property
    def id_token(self) -> str:
        token: str = self.body["id_token"]
        return token

    @property
    def claims(self) -> dict[str, Any]:
        return self.answer.party.verify(self.id_token, nonce=self.answer.request.get("nonce"))

    @property
    def userinfo(self) -> dict[str, Any]:
        response = self.answer.party.userinfo(self.access_token)
        assert response.status_code == 200, response.content
        document: dict[str, Any] = response.json()
        return document


def code_challenge(verifier: str) -> str:
    """RFC7636-4.2, S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def unsigned_jwt(claims: Mapping[str, Any]) -> str:
    """A JWT with alg none (RFC7519-6.1)."""

    def encode(part: Mapping[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()

    return f"{encode({'alg': 'none'})}.{encode(claims)}."


def query_of(address: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(address).query)
