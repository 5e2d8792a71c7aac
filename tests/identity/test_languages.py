"""Which of our languages a reader gets."""

from __future__ import annotations

import pytest
from django.test import Client

from identity.languages import best_language, supported_language
from tests.factories import make_tenant


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("zh-CN", "zh-hans"),
        ("zh_CN", "zh-hans"),
        ("ja_JP", "ja"),
        ("zh", "zh-hans"),
        ("zh-Hans-HK", "zh-hans"),
        ("zh-SG", "zh-hans"),
        ("zh-TW", None),
        ("zh_HK", None),
        ("zh-MO", None),
        ("zh-Hant", None),
        ("zh-Hant-CN", None),
        ("fr", None),
        ("", None),
    ],
)
def test_a_tag_means_one_of_our_languages_or_none(tag: str, language: str | None) -> None:
    assert supported_language(tag) == language


@pytest.mark.parametrize(
    ("wishes", "language"),
    [("zh-TW en", "en"), ("zh-HK ja en", "ja"), ("zh-TW zh-CN en", "zh-hans"), ("zh-TW fr", "zh-hans"), ("fr", None)],
)
def test_readers_of_traditional_chinese_get_their_next_wish_first(wishes: str, language: str | None) -> None:
    assert best_language(wishes.split()) == language


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-TW,zh-HK;q=0.9,en;q=0.8", "en"),
        ("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "zh-hans"),
        ("zh-TW", "zh-hans"),
        ("zh_CN", "zh-hans"),
        ("ja_JP,en;q=0.5", "ja"),
    ],
)
def test_a_page_speaks_what_the_browser_asks_for(accepted: str, language: str) -> None:
    make_tenant(host="testserver")
    assert Client().get("/login", headers={"accept-language": accepted})["Content-Language"] == language
