"""The sliding puzzle before a text message, as a person meets it: by keyboard, on a phone, and without scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from identity.sign_in.puzzles import PIECE, WIDTH
from tests.browser import steps
from tests.browser.conftest import NewBrowser, Site

PHONE = {"width": 320, "height": 640}
LOOK_UP = """
import json
from identity import crypto
from identity.models import Captcha
row = Captcha.objects.get(token_hash=crypto.hash_handle("{token}", purpose="captcha"))
print(json.loads(crypto.unseal(row.solution_sealed, purpose="captcha.solution"))["x"])
"""


def meet(site: Site, page: Page) -> tuple[Locator, int]:
    """Forget a password, and be shown a puzzle; its slider, and the answer, which no person can look up."""
    page.goto(site.url("/forgot-password"))
    page.fill(steps.IDENTIFIER, "somebody")
    page.click("main form button[type=submit]")
    slider = page.locator("input[name=captcha_position]")
    expect(slider).to_be_visible()
    token = page.locator("input[name=captcha]").input_value()
    return slider, int(site.provider.manage("shell", "-c", LOOK_UP.format(token=token)).split()[-1])


def below(slider: Locator, x: int) -> tuple[float, float]:
    """The middle of the handle when it stands below what begins at x in the picture."""
    box = slider.bounding_box()
    assert box
    return box["x"] + (x + PIECE / 2) * box["width"] / WIDTH, box["y"] + box["height"] / 2


def drag(page: Page, slider: Locator, x: int) -> None:
    page.mouse.move(*below(slider, 0))
    page.mouse.down()
    page.mouse.move(*below(slider, x), steps=10)
    page.mouse.up()


def test_the_puzzle_is_solved_with_the_keyboard_alone(site: Site, page: Page) -> None:
    slider, x = meet(site, page)
    expect(slider).to_be_focused()
    for _pixel in range(x):
        page.keyboard.press("ArrowRight")
    picture, piece = page.locator(".puzzle-picture").bounding_box(), page.locator(".puzzle-piece").bounding_box()
    assert picture
    assert piece
    assert (piece["x"] - picture["x"]) * WIDTH / picture["width"] == pytest.approx(x, abs=1)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/forgot-password/code"))


def test_the_puzzle_is_solved_on_a_phone(site: Site, new_browser: NewBrowser) -> None:
    page = new_browser(viewport=PHONE)
    slider, x = meet(site, page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    drag(page, slider, x)
    page.click("main form button[type=submit]")
    page.wait_for_url(re.compile("/forgot-password/code"))


def test_the_puzzle_is_solved_without_scripts(site: Site, new_browser: NewBrowser) -> None:
    """The piece stays where it is, and the handle goes below the hole."""
    page = new_browser(java_script_enabled=False)
    slider, x = meet(site, page)
    page.mouse.click(*below(slider, x))
    page.click("main form button[type=submit]")
    page.wait_for_url(re.compile("/forgot-password/code"))


def test_a_wrong_answer_is_told_beside_a_new_puzzle(site: Site, page: Page) -> None:
    slider, x = meet(site, page)
    drag(page, slider, x - 50)
    page.click("main form button[type=submit]")
    expect(page.locator("#id_captcha_position_error")).to_contain_text("did not fit")
    expect(slider).to_have_value("0")
