"""Somebody who uses applications and our pages with a browser that runs no scripts."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import requests

from tests.factories import PASSWORD
from tests.specs.conformance import Page

MAX_STEPS = 30
REFRESH = re.compile(r'^<meta http-equiv="refresh" content="[01];url=([^"]+)"', re.MULTILINE)


@dataclass
class Person:
    """A browser without JavaScript, whose owner presses what the pages would press themselves."""

    http: requests.Session = field(default_factory=requests.Session)
    asked: int = 0
    seen: list[str] = field(default_factory=list)

    def open(self, url: str) -> requests.Response:
        return self.go_on(self.http.get(url, timeout=20))

    def go_on(self, response: requests.Response) -> requests.Response:
        """Through every form and refresh on the way, signing in where the page asks for it."""
        for _ in range(MAX_STEPS):
            self.seen.append(response.url.partition("?")[0])
            page = Page(response.url, response.status_code, response.text, response.headers)
            message = next((form for form in page.forms if {"SAMLRequest", "SAMLResponse"} & set(form.fields)), None)
            password, refresh = page.form_with("password"), REFRESH.search(response.text)
            if message is not None:
                target, data = message.action, message.fields
            elif password is not None:
                self.asked += 1
                target, data = password.action, {**password.fields, "identifier": "alice", "password": PASSWORD}
            elif refresh is not None:
                response = self.http.get(urljoin(response.url, html.unescape(refresh.group(1))), timeout=20)
                continue
            else:
                return response
            response = self.http.post(urljoin(response.url, target or response.url), data, timeout=20)
        raise AssertionError(f"never arrived: {self.seen}")

    def sign_out(self, url: str) -> requests.Response:
        """At our own page, which asks first."""
        page = self.http.get(url, timeout=20)
        form = Page(page.url, page.status_code, page.text, page.headers).form_with("confirm")
        assert form is not None, page.text
        data = {**form.fields, "confirm": "yes"}
        return self.go_on(self.http.post(urljoin(page.url, form.action or page.url), data, timeout=20))

    def known_to(self, url: str) -> dict[str, Any]:
        """What the application at this address knows of the person."""
        known: dict[str, Any] = self.http.get(url, timeout=20).json()
        return known

    def is_let_in(self, url: str) -> bool:
        return self.http.get(f"{url}/", timeout=20, allow_redirects=False).status_code == 200

    def sign_in(self, url: str, binding: str = "redirect") -> dict[str, Any]:
        arrived = self.open(f"{url}login?binding={binding}")
        assert arrived.url == url, arrived.text
        return self.known_to(url)
