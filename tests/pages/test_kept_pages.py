"""Pages that are drawn once and filled in (identity.browser.kept_pages): what comes out is what the template says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.template import loader
from django.test import Client
from django.test.utils import override_settings
from django.utils import translation

from identity.browser import answers, kept_pages
from identity.browser.kept_pages import KeptPage
from identity.views import login
from identity.views.methods import Ways
from tests.pages.conftest import transaction_of

BY_PASSWORD = Ways(("password",), "password")
_TOKEN = re.compile(r'(name="csrfmiddlewaretoken" value=")[^"]{64}"')


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which templates were drawn anew, from now on."""
    names: list[str] = []
    draw = KeptPage._draw

    def noted(page: KeptPage, *args: Any) -> list[str]:
        names.append(page.template)
        return draw(page, *args)

    monkeypatch.setattr(KeptPage, "_draw", noted)
    for page in (login._START_PAGE, answers._FORM_POST):
        monkeypatch.setattr(page, "_drawn", {})
    return names


def _by_template(response: HttpResponse, language: str) -> str:
    """The same page as `render` draws it."""
    context = login._start_page("", (), BY_PASSWORD, transaction_of(response))
    with translation.override(language):
        return _without_token(loader.render_to_string("identity/login.html", context, response.wsgi_request))


def _without_token(page: str) -> str:
    return _TOKEN.sub(r'\1…"', page)


@pytest.mark.parametrize("language", ["en", "zh-hans", "ja"])
def test_a_kept_page_is_the_page_that_its_template_draws(browser, tenant, drawn, language) -> None:
    for _ in range(2):
        response = browser.get("/login?next=/account%3Fa%3D%22%3E%26b", headers={"Accept-Language": language})
        assert _TOKEN.findall(response.content.decode())
        assert _without_token(response.content.decode()) == _by_template(response, language)
    assert drawn == ["identity/login.html"]


def test_each_browser_gets_its_own_token_and_sign_in_on_a_kept_page(tenant, drawn) -> None:
    pages = [Client().get("/login") for _ in range(2)]
    handles = {transaction_of(page) for page in pages}
    tokens = {re.search(r'csrfmiddlewaretoken" value="(.{64})"', page.content.decode())[1] for page in pages}
    assert len(handles) == len(tokens) == 2
    assert drawn == ["identity/login.html"]


def test_another_name_logo_or_language_is_another_page(browser, tenant, drawn) -> None:
    assert tenant.name in browser.get("/login").content.decode()
    tenant.name = "Harbour <b>"
    tenant.save()
    assert "Harbour &lt;b&gt;" in browser.get("/login").content.decode()
    tenant.logo_url = "https://example.org/logo.svg"
    tenant.save()
    assert "https://example.org/logo.svg" in browser.get("/login").content.decode()
    assert '<html lang="ja">' in browser.get("/login", headers={"Accept-Language": "ja"}).content.decode()
    assert len(drawn) == 4


def test_two_applications_have_a_page_each(browser, tenant, drawn) -> None:
    page, request = KeptPage("identity/login.html", login._start_page), browser.get("/login").wsgi_request
    names = ["Payroll", "Library & Archive"]
    texts = [page.answer(request, (name, (), BY_PASSWORD), ("handle",)).content.decode() for name in (*names, *names)]
    assert ("Payroll" in texts[0], "Library &amp; Archive" in texts[1]) == (True, True)
    assert [_without_token(text) for text in texts[:2]] == [_without_token(text) for text in texts[2:]]


@pytest.mark.security("S40")
def test_what_is_filled_in_is_escaped(tenant) -> None:
    request = Client().get('/login?next="><script>').wsgi_request
    hostile = '"><script>alert(1)</script>&'
    response = answers.post_form(request, "https://example.org/?a=1&b=2", [("state", hostile), ("code", "c'")])
    page = response.content.decode()
    assert "<script>alert" not in page
    assert 'action="https://example.org/?a=1&amp;b=2"' in page
    assert 'name="state" value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;"' in page
    assert "csrfmiddlewaretoken" not in page
    assert "csrf" not in "".join(response.cookies)


def test_pages_are_kept_within_bounds(browser, tenant, monkeypatch) -> None:
    monkeypatch.setattr(kept_pages, "MAX_KEPT", 2)
    page = KeptPage("identity/login.html", login._start_page)
    request = browser.get("/login").wsgi_request
    for name in ("a", "b", "c"):
        assert f"<strong>{name}</strong>" in page.answer(request, (name, (), BY_PASSWORD), ("handle",)).content.decode()
    assert len(page._drawn) == 2


@override_settings(DEBUG=True)
def test_who_works_on_templates_sees_each_change(browser, tenant, drawn) -> None:
    for _ in range(2):
        browser.get("/login")
    assert drawn == ["identity/login.html"] * 2
