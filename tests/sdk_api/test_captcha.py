"""The sliding puzzle and what it buys (OneAccess-3.2.4): AJ-Captcha's rules, each use once, its answer never told."""

from __future__ import annotations

import base64
import io
import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from PIL import Image

from identity import copies
from identity.models import AuditEvent, Captcha, Tenant, VerificationCode
from identity.sign_in import captcha, puzzles
from tests.factories import make_application, make_tenant
from tests.factories.oidc import make_client
from tests.sdk_api.mobile import MOBILE, OTHER_MOBILE, Inbox, draw, inbox, order, solve, true_x, verify
from tests.sdk_api.phone import Phone, make_phone
from tests.support.at_once import at_once
from tests.support.contracts import read_contract

__all__ = ["inbox"]

CONTRACT = read_contract("sdk_api")["x-captcha"]
WRONG = {"error_code": "CAPTCHA.0002", "error_msg": "Invalid CAPTCHA code."}


def told(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error_code"]


def encrypted(point: str, key: str) -> str:
    padder = PKCS7(AES.block_size).padder()
    encryptor = Cipher(AES(key.encode()), ECB()).encryptor()
    padded = padder.update(point.encode()) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


@pytest.fixture
def keyed(phone: Phone) -> Phone:
    """An app in a tenant that gives captchas a key."""
    Tenant.objects.filter(pk=phone.tenant.pk).update(encrypt_captcha=True)
    copies.clear()
    return phone


# The puzzle ------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.4.1")
def test_the_answer_has_the_components_fifteen_members(phone: Phone) -> None:
    response = phone.get("captcha")
    body = response.json()
    assert response["Cache-Control"] == "no-store"
    assert list(body) == [
        "captchaId",
        "projectCode",
        "captchaOriginalPath",
        "captchaFontType",
        "captchaFontSize",
        "secretKey",
        "originalImageBase64",
        "point",
        "jigsawImageBase64",
        "wordList",
        "pointList",
        "pointJson",
        "token",
        "result",
        "captchaVerification",
    ]
    filled = {name for name, value in body.items() if value is not None}
    assert filled == {"originalImageBase64", "jigsawImageBase64", "token", "result"}
    assert body["result"] is False
    assert len(body["token"]) == 32
    assert set(body["token"]) <= set("0123456789abcdef")


@pytest.mark.spec("OneAccess-3.2.4.1")
def test_the_pictures_have_the_components_sizes(phone: Phone) -> None:
    body = draw(phone)
    sizes = CONTRACT["sizes"]
    for member, name in (("originalImageBase64", "original"), ("jigsawImageBase64", "jigsaw")):
        with Image.open(io.BytesIO(base64.b64decode(body[member], validate=True))) as picture:
            picture.load()
            assert (picture.width, picture.height) == (sizes[name]["width"], sizes[name]["height"])
            assert picture.format == "PNG"
            if name == "jigsaw":
                alpha = picture.getchannel("A")
                assert alpha.getextrema() == (0, 255)
                left, top, right, bottom = alpha.getbbox() or (0, 0, 0, 0)
                assert (left >= 0, right <= 47, 30 <= bottom - top <= 47) == (True, True, True)


@pytest.mark.spec("OneAccess-3.2.4.1")
def test_the_hole_is_where_the_component_puts_it_and_the_piece_fits(phone: Phone) -> None:
    seen = set()
    for _try in range(12):
        puzzle = puzzles.draw()
        assert CONTRACT["true_x"]["min"] <= puzzle.x <= CONTRACT["true_x"]["max"]
        seen.add((puzzle.x, puzzle.original_png))
        with Image.open(io.BytesIO(puzzle.original_png)) as file, Image.open(io.BytesIO(puzzle.piece_png)) as piece:
            _left, top, _right, bottom = piece.getchannel("A").getbbox() or (0, 0, 0, 0)
            assert (file.size, piece.size) == ((310, 155), (47, 155))
            assert 0 <= top < bottom <= 155
    assert len(seen) == 12


@pytest.mark.security("S41")
def test_the_answer_stands_nowhere_in_clear(phone: Phone) -> None:
    body = draw(phone)
    row = Captcha.objects.get()
    x = true_x(body["token"])
    assert body["token"] not in str(Captcha.objects.values())
    assert f'"x": {x}' not in row.solution_sealed
    solve(phone)
    assert MOBILE not in str(Captcha.objects.values())


def test_drawing_costs_few_statements_and_little_time(phone: Phone) -> None:
    draw(phone)
    with CaptureQueriesContext(connection) as queries:
        draw(phone)
    # The application, the count of the source (one UPDATE in a transaction), the row.
    assert len([query for query in queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN"))]) <= 5


def test_drawing_is_limited_for_each_source(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captcha, "PER_SOURCE", captcha.Limit(2, timedelta(minutes=1)))
    draw(phone)
    draw(phone)
    response = phone.get("captcha")
    assert told(response) == (429, "COM.0429")
    assert 0 < int(response["Retry-After"]) <= 60
    assert Captcha.objects.count() == 2


# Its check -------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.4.2")
@pytest.mark.parametrize(
    "spelling",
    [
        '{{"x":{x}.0,"y":5.0}}',
        '{{"x":{x},"y":5}}',
        '{{"x":{x}.999999999,"y":5}}',
        '{{ "y" : 5.9, "x" : {x}.25 }}',
        '{{"x":{x}e0,"y":5.0}}',
    ],
    ids=["Java", "JavaScript", "a fraction", "another order", "an exponent"],
)
def test_every_spelling_of_the_numbers_is_taken_and_kept_byte_for_byte(phone: Phone, spelling: str) -> None:
    token = draw(phone)["token"]
    point = spelling.format(x=true_x(token))
    response = verify(phone, token, point=point)
    assert (response.status_code, response.json()) == (200, {"captcha_token": f"{token}---{point}"})


@pytest.mark.spec("OneAccess-3.2.4.2")
@pytest.mark.parametrize(
    ("distance", "is_right"), [(-6, False), (-5, True), (0, True), (5, True), (5.9, True), (6, False), (-5.5, False)]
)
def test_the_tolerance_is_five_pixels_after_the_fraction_is_cut_off(
    phone: Phone, distance: float, is_right: bool
) -> None:
    token = draw(phone)["token"]
    point = json.dumps({"x": true_x(token) + distance, "y": 5.0})
    assert (verify(phone, token, point=point).status_code == 200) is is_right


@pytest.mark.spec("OneAccess-3.2.4.2")
def test_a_client_that_shows_the_picture_smaller_scales_what_it_sends(phone: Phone) -> None:
    """As AJ-Captcha's client does: slider distance times 310 over the width that is shown."""
    token = draw(phone)["token"]
    shown_width = 280
    distance = round(true_x(token) * shown_width / 310)  # where a person leaves the piece
    point = json.dumps({"x": distance * 310 / shown_width, "y": 5.0}, separators=(",", ":"))
    assert verify(phone, token, point=point).status_code == 200


@pytest.mark.spec("OneAccess-3.2.4.2")
@pytest.mark.parametrize(
    "point",
    [
        "{",
        "[]",
        "null",
        "237",
        '"x"',
        "{}",
        '{"x":237}',
        '{"x":"237","y":5}',
        '{"x":true,"y":5}',
        '{"x":237,"y":4.9}',
        '{"x":237,"y":-5}',
        '{"x":null,"y":5}',
        '{"x":[237],"y":5}',
        '{"x":NaN,"y":5}',
        '{"x":1e999,"y":5}',
        '{"x":' + "9" * 400 + ',"y":5}',
        '{"x":' + "9" * 5000 + ',"y":5}',
        "[" * 400,
        "eGazrVlBbmHykiX73Qqih/v19UeRBIqgcjMYHJEYiSY=",
        "\x00",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_what_is_no_point_is_wrong_and_ends_the_puzzle(phone: Phone, point: str) -> None:
    token = draw(phone)["token"]
    response = verify(phone, token, point=point)
    assert (response.status_code, response.json()) == (400, WRONG)
    assert verify(phone, token).json() == WRONG


@pytest.mark.spec("OneAccess-3.2.4.2")
@pytest.mark.security("S29")
def test_a_puzzle_is_good_for_one_check_right_or_wrong(phone: Phone) -> None:
    token = draw(phone)["token"]
    assert verify(phone, token).status_code == 200
    assert verify(phone, token).json() == WRONG
    token = draw(phone)["token"]
    assert verify(phone, token, point='{"x":1,"y":5}').json() == WRONG
    assert verify(phone, token).json() == WRONG


@pytest.mark.spec("OneAccess-3.2.4.2")
def test_a_puzzle_lasts_two_minutes(phone: Phone) -> None:
    with time_machine.travel("2026-11-22 09:00:00Z", tick=False) as clock:
        first, second = draw(phone)["token"], draw(phone)["token"]
        clock.shift(119)
        assert verify(phone, first).status_code == 200
        clock.shift(1)
        assert verify(phone, second).json() == WRONG


def other_device(phone: Phone) -> None:
    phone.device["X-device-fingerprint"] = "another"


def other_client(phone: Phone) -> None:
    phone.device["X-client-id"] = make_client(make_application(phone.tenant), may_use_sdk=True).client_id


def other_tenant(phone: Phone) -> None:
    other = make_phone(make_tenant())
    phone.host, phone.device = other.host, other.device


@pytest.mark.security("S44")
@pytest.mark.parametrize("move", [other_device, other_client, other_tenant])
def test_puzzle_and_token_belong_to_the_device_the_client_and_the_tenant(
    phone: Phone, inbox: type[Inbox], move: Any
) -> None:
    token, captcha_token = draw(phone)["token"], solve(phone)
    at_home = (phone.host, dict(phone.device))
    move(phone)
    assert verify(phone, token).json() == WRONG
    assert told(order(phone, captcha_token=captcha_token)) == (400, "CAPTCHA.0004")
    phone.host, phone.device = at_home
    # Whoever else tried them has not spent them.
    assert verify(phone, token).status_code == 200
    assert order(phone, captcha_token=captcha_token).status_code == 200
    assert len(inbox.messages) == 1


# With a key ------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.4.1")
def test_the_contracts_example_of_an_encrypted_point() -> None:
    example = CONTRACT["encryption_when_secretKey_is_set"]["example"]
    assert encrypted(example["plain"], example["secretKey"]) == example["point_json"]
    assert captcha.read_point(example["point_json"], secret_key=example["secretKey"]) == example["plain"]
    assert captcha.read_point(example["plain"], secret_key=example["secretKey"]) == example["plain"]
    assert captcha.read_point(example["point_json"], secret_key="yMXCEXAMPLE7uhmx") is None


@pytest.mark.spec("OneAccess-3.2.4.2")
def test_with_a_key_the_point_is_taken_encrypted_and_plain(keyed: Phone, inbox: type[Inbox]) -> None:
    body = draw(keyed)
    assert len(body["secretKey"]) == 16
    assert body["secretKey"].isalnum()
    assert body["secretKey"] not in str(Captcha.objects.values())
    point = f'{{"x":{true_x(body["token"])},"y":5}}'
    response = verify(keyed, body["token"], point=encrypted(point, body["secretKey"]))
    assert (response.status_code, response.json()) == (200, {"captcha_token": f"{body['token']}---{point}"})
    assert order(keyed, captcha_token=response.json()["captcha_token"]).status_code == 200
    assert verify(keyed, draw(keyed)["token"]).status_code == 200


@pytest.mark.parametrize("damage", ["short", "key", "text", "bytes"])
def test_what_does_not_decrypt_is_wrong(keyed: Phone, damage: str) -> None:
    body = draw(keyed)
    good = encrypted(f'{{"x":{true_x(body["token"])},"y":5}}', body["secretKey"])
    damaged = {
        "short": good[:-4],
        "key": encrypted('{"x":200,"y":5}', "0123456789abcdef"),
        "text": "!" + good,
        "bytes": encrypted("\x00", body["secretKey"]),
    }
    assert verify(keyed, body["token"], point=damaged[damage]).json() == WRONG


# What it buys ----------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.4.4")
@pytest.mark.security("S29")
def test_a_captcha_token_buys_one_message_to_its_sender(phone: Phone, inbox: type[Inbox]) -> None:
    captcha_token = solve(phone)
    assert told(order(phone, mobile=OTHER_MOBILE, captcha_token=captcha_token)) == (400, "CAPTCHA.0004")
    assert told(order(phone, captcha_token=captcha_token + " ")) == (400, "CAPTCHA.0004")
    assert order(phone, captcha_token=captcha_token).status_code == 200
    assert told(order(phone, "FORGET_PWD_SMS", captcha_token=captcha_token)) == (400, "CAPTCHA.0003")
    assert [message.target for message in inbox.messages] == ["+8613812345678"]
    refused = AuditEvent.objects.filter(event_type="verification:send", outcome="refused")
    assert sorted(refused.values_list("reason", flat=True)) == ["CAPTCHA.0003", "CAPTCHA.0004", "CAPTCHA.0004"]


@pytest.mark.spec("OneAccess-3.2.4.4")
@pytest.mark.security("S29")
@pytest.mark.parametrize("answered", [False, True], ids=["not answered", "answered wrong"])
def test_a_captcha_token_that_was_put_together_buys_nothing(phone: Phone, inbox: type[Inbox], answered: bool) -> None:
    token = draw(phone)["token"]
    point = f'{{"x":{true_x(token)},"y":5}}'
    if answered:
        verify(phone, token, point='{"x":1,"y":5}')
    assert told(order(phone, captcha_token=f"{token}---{point}")) == (400, "CAPTCHA.0004")
    assert inbox.messages == []


@pytest.mark.spec("OneAccess-3.2.4.4")
def test_a_captcha_token_lasts_three_minutes(phone: Phone, inbox: type[Inbox]) -> None:
    with time_machine.travel("2026-11-22 09:00:00Z", tick=False) as clock:
        first, second = solve(phone), solve(phone)
        clock.shift(179)
        assert order(phone, captcha_token=first).status_code == 200
        clock.shift(1)
        assert told(order(phone, captcha_token=second)) == (400, "CAPTCHA.0003")


def test_a_sender_may_be_spelled_with_punctuation(phone: Phone, inbox: type[Inbox]) -> None:
    captcha_token = solve(phone, "138-1234-5678")
    assert order(phone, captcha_token=captcha_token).status_code == 200


def test_puzzles_that_are_over_are_deleted(phone: Phone) -> None:
    draw(phone)
    now = timezone.now()
    assert captcha.purge_expired(now, 10) == 0
    assert captcha.purge_expired(now + timedelta(hours=2), 10) == 1


# All at once -----------------------------------------------------------------------------------------------


@pytest.mark.security("S29")
@pytest.mark.django_db(transaction=True)
def test_of_a_hundred_checks_at_once_one_is_taken(inbox: type[Inbox]) -> None:
    phone = make_phone()
    token = draw(phone)["token"]
    point = f'{{"x":{true_x(token)},"y":5}}'
    answers = at_once(lambda _number: verify(phone, token, point=point), times=100)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 99


@pytest.mark.security("S29")
@pytest.mark.django_db(transaction=True)
def test_of_a_hundred_orders_at_once_one_is_sent(inbox: type[Inbox]) -> None:
    phone = make_phone()
    captcha_token = solve(phone)
    answers = at_once(lambda _number: order(phone, captcha_token=captcha_token), times=100)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 99
    assert len(inbox.messages) == VerificationCode.objects.count() == 1
