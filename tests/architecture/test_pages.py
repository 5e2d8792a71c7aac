"""End-user pages: nothing inline, usable by a screen reader, in three languages, and alone when all else is down."""

import re
from pathlib import Path

import pytest
from django import forms
from django.template.loader import render_to_string
from django.utils import translation

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
LANGUAGES = {"en": "en", "zh-hans": "zh-Hans", "ja": "ja"}  # Django's name, and the one that HTML wants
STATUS_PAGES = ["400", "403", "403_csrf", "404", "413", "414", "429", "500", "503"]
MAILS = ["verification_code", "email_verification", "password_reset"]
PAGES = sorted(
    path.relative_to(TEMPLATES).as_posix()
    for path in TEMPLATES.rglob("*.html")
    if path.relative_to(TEMPLATES).parts[0] not in ("admin", "unfold")
)


class PasswordForm(forms.Form):
    """A field with everything that a field can have."""

    password = forms.CharField(label="Password", help_text="Eight or more.", widget=forms.PasswordInput)


@pytest.mark.parametrize("page", PAGES)
def test_page_has_nothing_inline_and_nothing_from_elsewhere(page: str) -> None:
    source = (TEMPLATES / page).read_text(encoding="utf-8")
    assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)", source)
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", source)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", STATUS_PAGES)
def test_status_page_renders_without_request_tenant_or_database(page: str, language: str) -> None:
    with translation.override(language):
        html = render_to_string(f"{page}.html")
    assert f'<html lang="{LANGUAGES[language]}">' in html
    assert html.count("<h1>") == 1
    assert f'<p class="error-status">{page[:3]}</p>' in html
    assert "Monban" in html


@pytest.mark.parametrize("page", STATUS_PAGES)
def test_status_page_speaks_three_languages(page: str) -> None:
    headings = set()
    for language in LANGUAGES:
        with translation.override(language):
            headings.update(re.findall(r"<h1>(.+?)</h1>", render_to_string(f"{page}.html")))
    assert len(headings) == len(LANGUAGES)


def test_refused_field_is_tied_to_its_label_help_and_error() -> None:
    form = PasswordForm({"password": ""})
    html = render_to_string("partials/field.html", {"field": form["password"]})
    field = re.search(r"<input[^>]*>", html)
    assert field is not None
    described_by = re.search(r'aria-describedby="([^"]*)"', field[0])
    assert described_by is not None
    assert described_by[1].split() == ["id_password_helptext", "id_password_error"]
    assert 'aria-invalid="true"' in field[0]
    assert all(f'id="{name}"' in html for name in described_by[1].split())
    assert '<label for="id_password">' in html


def test_refusals_are_announced_and_take_the_focus() -> None:
    form = PasswordForm({"password": ""})
    form.add_error(None, "Not <b>correct</b>.")
    html = render_to_string("partials/form_errors.html", {"form": form})
    assert '<div class="alert" role="alert" tabindex="-1" autofocus>' in html
    assert "Not &lt;b&gt;correct&lt;/b&gt;." in html
    assert '<a href="#id_password">' in html


def test_form_without_refusal_shows_no_alert() -> None:
    assert render_to_string("partials/form_errors.html", {"form": PasswordForm()}).strip() == ""


@pytest.mark.spec("OAuthFormPost-2")
def test_form_post_page_carries_the_answer_escaped_and_nothing_of_ours() -> None:
    html = render_to_string(
        "form_post.html",
        {"action": "https://rp.example/cb?a=1&b=2", "fields": [("state", '"><script>alert(1)</script>')]},
    )
    assert '<form method="post" action="https://rp.example/cb?a=1&amp;b=2" data-auto-submit>' in html
    assert re.findall(r"<input[^>]*>", html) == [
        '<input type="hidden" name="state" value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;">'
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mail", MAILS)
def test_mail_has_one_line_of_subject_and_the_code_unescaped_names_included(mail: str, language: str) -> None:
    context = {"tenant": {"name": "Smith & Sons"}, "verification_code": "042917", "valid_minutes": 10}
    with translation.override(language):
        subject = render_to_string(f"identity/email/{mail}_subject.txt", context).strip()
        body = render_to_string(f"identity/email/{mail}.txt", context)
    assert "\n" not in subject
    assert "Smith & Sons" in subject
    assert "Smith & Sons" in body
    assert re.search(r"^\s+042917$", body, re.MULTILINE)
    assert "10" in body
    assert "042917" not in subject
