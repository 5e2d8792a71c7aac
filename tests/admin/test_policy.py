"""The Content-Security-Policy of the operators' pages, and what it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib import admin
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import reverse

from identity.models import User

COLORS = Path("identity/static/monban/admin_colors.css")


@pytest.mark.security("S50")
def test_no_script_and_no_style_element_of_a_page_is_run(browser: Browser) -> None:
    answer = browser.get(reverse("admin:index"))
    policy = dict(rule.split(" ", 1) for rule in answer["Content-Security-Policy"].split("; ") if " " in rule)
    assert policy["script-src"] == "'self' 'unsafe-eval'"
    assert policy["script-src-attr"] == "'none'"
    assert policy["style-src"] == "'self'"


def test_pages_hold_no_script_style_element_or_handler(browser: Browser, operator: User) -> None:
    for page in (
        reverse("admin:index"),
        reverse("admin:identity_user_changelist"),
        reverse("admin:identity_user_change", args=[operator.pk]),
        reverse("admin:identity_tenant_change", args=[operator.tenant_id]),
        reverse("admin:oidc_provider_client_add"),
    ):
        text = browser.get(page).content.decode()
        assert [tag for tag in re.findall(r"<script[^>]*>", text) if "src=" not in tag and "json" not in tag] == [], (
            page
        )
        assert "<style" not in text, page
        assert re.findall(r"<[^>]*\son(?:click|load|change|submit|error)=", text) == [], page


def test_the_file_of_colours_is_that_of_the_theme() -> None:
    colors = admin.site._get_colors("COLORS", RequestFactory().get("/"))  # type: ignore[attr-defined]
    wanted = {
        f"--color-{name}-{weight}": value for name, weights in colors.items() for weight, value in weights.items()
    }
    written = dict(re.findall(r"^  (--color-[a-z0-9-]+): (.*);$", COLORS.read_text(), re.M))
    assert written == wanted
