"""Draw a block puzzle in the sizes of AJ-Captcha, whose clients apps have built in (sdk_api.yaml, x-captcha).

A cut of a background, mirrored, tinted and sprinkled with noise, so that no two pictures compare; a hole in the form of
a puzzle piece, another one that fits nothing, and the piece. Everything that does not depend on chance is kept.
"""

from __future__ import annotations

import io
import secrets
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 310, 155
PIECE = 47
MIN_X, MAX_X = 100, 262  # of the hole
MARGIN = 6  # above and below it

_BACKGROUNDS = Path(__file__).parent / "backgrounds"
_OVERSAMPLING = 4
_KNOB = 7  # how far a knob stands out
_NOISE = 9  # standard deviation, in steps of 256
_COMPRESSION = 3
_DEPTH = (0.42, 0.58)  # how dark a hole is
_COLOURS = 128
_chance = secrets.SystemRandom()

Side = tuple[int, int]  # 1 knob, -1 hollow, 0 straight; its shift along the side in pixels
_SIDES: tuple[Side, ...] = ((0, 0), *((kind, shift) for kind in (1, -1) for shift in (-4, 0, 4)))


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A puzzle and its answer."""

    original_png: bytes  # 310 x 155, with the hole
    piece_png: bytes  # 47 x 155, transparent around the piece
    x: int  # of the hole's left edge


def draw() -> Puzzle:
    """Draw a puzzle whose hole is anywhere that AJ-Captcha would put it."""
    picture = _background()
    x, y = MIN_X + _chance.randrange(MAX_X - MIN_X + 1), _chance.randrange(MARGIN, HEIGHT - PIECE - MARGIN)
    shape = _shape()
    piece = _cut_piece(picture, shape, x=x, y=y)
    decoy_x, decoy_y = _decoy_place(x, y)
    _dig_hole(picture, _shape(), x=decoy_x, y=decoy_y, depth=_chance.uniform(*_DEPTH))
    _dig_hole(picture, shape, x=x, y=y, depth=_chance.uniform(*_DEPTH))
    return Puzzle(_png(picture), _png(piece), x)


# The picture -----------------------------------------------------------------------------------------------


@cache
def _backgrounds() -> tuple[Image.Image, ...]:
    """Every background, decoded; about a quarter of a megabyte each."""
    pictures = []
    for file in sorted(_BACKGROUNDS.glob("*.webp")):
        with Image.open(file) as picture:
            pictures.append(picture.convert("RGB"))
    if not pictures:
        raise FileNotFoundError(f"no backgrounds in {_BACKGROUNDS}")
    return tuple(pictures)


def _background() -> Image.Image:
    source = _chance.choice(_backgrounds())
    left = _chance.randrange(source.width - WIDTH + 1)
    top = _chance.randrange(source.height - HEIGHT + 1)
    picture = source.crop((left, top, left + WIDTH, top + HEIGHT))
    if _chance.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tints = [_chance.uniform(0.86, 1.08) for _band in range(3)]
    picture = picture.point([min(255, round(value * tint)) for tint in tints for value in range(256)])
    # Grey in the middle changes nothing; the noise lies around it.
    noise = Image.effect_noise((WIDTH, HEIGHT), _NOISE)
    return ImageChops.overlay(picture, Image.merge("RGB", (noise, noise, noise)))


def _decoy_place(x: int, y: int) -> tuple[int, int]:
    """A place for the hole that fits nothing: clear of the real one, and at a height where the piece cannot go."""
    columns = [place for place in range(WIDTH - PIECE) if abs(place - x) > PIECE + 6]
    rows = [place for place in range(MARGIN, HEIGHT - PIECE - MARGIN) if abs(place - y) > 12]
    return _chance.choice(columns), _chance.choice(rows)


# The piece -------------------------------------------------------------------------------------------------


def _shape() -> tuple[Side, Side, Side, Side]:
    """A random form: top, right, bottom, left; two knobs or hollows at least."""
    while True:
        top, right, bottom, left = (_chance.choice(_SIDES) for _side in range(4))
        if sum(1 for kind, _shift in (top, right, bottom, left) if kind) >= 2:
            return top, right, bottom, left


@lru_cache(maxsize=1024)
def _masks(shape: tuple[Side, Side, Side, Side]) -> tuple[Image.Image, Image.Image, Image.Image]:
    """The form, its bright rim, and the shadow that falls into its hole: three masks of 47 x 47."""
    size = PIECE * _OVERSAMPLING
    large = Image.new("L", (size, size))
    pen = ImageDraw.Draw(large)
    edge, far = _KNOB * _OVERSAMPLING, size - _KNOB * _OVERSAMPLING - 1
    pen.rounded_rectangle((edge, edge, far, far), radius=2 * _OVERSAMPLING, fill=255)
    radius = _KNOB * _OVERSAMPLING * 0.82
    middle = size / 2
    for number, (kind, shift) in enumerate(shape):
        if not kind:
            continue
        along = middle + shift * _OVERSAMPLING
        # The knob's centre lies outside the edge, a hollow's inside it.
        away = radius * 0.42 * kind
        x, y = ((along, edge - away), (far + away, along), (along, far + away), (edge - away, along))[number]
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255 if kind > 0 else 0)
    form = large.resize((PIECE, PIECE), Image.Resampling.LANCZOS)
    inner = form.filter(ImageFilter.MinFilter(3))
    rim = ImageChops.subtract(form, inner)
    fallen = Image.new("L", (PIECE, PIECE))
    fallen.paste(form, (3, 3))
    shadow = ImageChops.subtract(form, fallen.filter(ImageFilter.GaussianBlur(2)))
    return form, rim, shadow


def _cut_piece(picture: Image.Image, shape: tuple[Side, Side, Side, Side], *, x: int, y: int) -> Image.Image:
    form, rim, _shadow = _masks(shape)
    part = picture.crop((x, y, x + PIECE, y + PIECE))
    part.paste((255, 255, 255), mask=rim.point([value * 4 // 5 for value in range(256)]))
    part.putalpha(form)
    piece = Image.new("RGBA", (PIECE, HEIGHT))
    piece.paste(part, (0, y))
    return piece


def _dig_hole(picture: Image.Image, shape: tuple[Side, Side, Side, Side], *, x: int, y: int, depth: float) -> None:
    form, rim, shadow = _masks(shape)
    box = (x, y, x + PIECE, y + PIECE)
    picture.paste((0, 0, 0), box, form.point([round(value * depth) for value in range(256)]))
    picture.paste((0, 0, 0), box, shadow.point([value // 2 for value in range(256)]))
    picture.paste((255, 255, 255), box, rim.point([round(value * depth * 0.8) for value in range(256)]))


# Files -----------------------------------------------------------------------------------------------------


def _png(picture: Image.Image) -> bytes:
    if picture.mode == "RGB":
        # A third of the size, which an app on a mobile network loads; nobody sees the difference.
        picture = picture.quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=_COMPRESSION)
    return file.getvalue()
