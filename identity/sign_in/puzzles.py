"""Draw a block puzzle in the sizes of AJ-Captcha, whose clients apps have built in (sdk_api.yaml, x-captcha).

A puzzle is a cost, not a proof: whoever trains a program for these pictures will solve them, so the limits on sending
do the work. It is not to be solved by a dozen lines that anybody has at hand, though. The piece is no copy of what the
hole was cut from, and the hole is filled with something else and shaded unevenly. Holes that fit nothing stand in the
same row with the piece's own texture in them, so that whatever looks for the texture, for the darkest spot or for the
strongest contrast goes there. People see the form of the hole. Everything that does not depend on chance is kept.
"""

from __future__ import annotations

import io
import math
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
_SLOPE = (0.45, 0.55)  # how dark the hole is at its one side, and how bright at the other
_DECOY_SLOPE = (0.6, 0.72)  # the same of a hole that fits nothing: so that contrast tells the wrong one
_DECOY_DEPTH = (0.3, 0.42)  # how dark another such hole is: so that darkness tells the wrong one
_PIECE_NOISE = 36
_APART = 6  # pixels between two holes
_COLOURS = 128
_chance = secrets.SystemRandom()

Shade = tuple[Image.Image, Image.Image]  # how much black, and how much white, lies over a hole: masks of 47 x 47
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
    texture = picture.crop((x, y, x + PIECE, y + PIECE))
    places = [(x, y)]
    decoys = ((True, _even(_DECOY_DEPTH)), (True, _uneven(_DECOY_SLOPE)), (False, _even(_DECOY_DEPTH)))
    for is_in_row, shade in decoys:
        if place := _decoy_place(places, y=y, is_in_row=is_in_row):
            places.append(place)
            if is_in_row:
                picture.paste(texture, place, _masks(shape)[0])
            _dig_hole(picture, _other_shape(shape), place, shade)
    picture.paste(_filling(picture), (x, y), _masks(shape)[0])
    _dig_hole(picture, shape, (x, y), _uneven(_SLOPE))
    return Puzzle(_png(picture), _png(_cut_piece(texture, shape, y=y)), x)


# The picture -----------------------------------------------------------------------------------------------


@cache
def _backgrounds() -> tuple[Image.Image, ...]:
    """Return every background, decoded; about a quarter of a megabyte each."""
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
    noise = _noise(picture.size, _NOISE)
    return ImageChops.overlay(picture, Image.merge("RGB", (noise, noise, noise)))


def _noise(size: tuple[int, int], deviation: float) -> Image.Image:
    """Grey noise around the middle, which an overlay leaves as it is."""
    even = Image.frombytes("L", size, _chance.randbytes(size[0] * size[1]))
    scale = deviation / (256 / math.sqrt(12))  # of even noise over 256 values
    return even.point([round(128 + (value - 127.5) * scale) for value in range(256)])


def _decoy_place(taken: list[tuple[int, int]], *, y: int, is_in_row: bool) -> tuple[int, int] | None:
    """Return a place for a hole that fits nothing, clear of the others; None where there is no room.

    is_in_row: at the height where the piece slides, else at one where it cannot go.
    """
    rows = [y] if is_in_row else [row for row in range(MARGIN, HEIGHT - PIECE - MARGIN) if abs(row - y) > 12]
    row = _chance.choice(rows)
    near = [left for left, top in taken if abs(top - row) < PIECE + _APART]
    columns = [place for place in range(WIDTH - PIECE) if all(abs(place - left) > PIECE + _APART for left in near)]
    return (_chance.choice(columns), row) if columns else None


def _filling(picture: Image.Image) -> Image.Image:
    """Return what the hole shows: any other part of the picture."""
    left, top = _chance.randrange(WIDTH - PIECE), _chance.randrange(HEIGHT - PIECE)
    return picture.crop((left, top, left + PIECE, top + PIECE))


# The piece -------------------------------------------------------------------------------------------------


def _shape() -> tuple[Side, Side, Side, Side]:
    """Return a random form: top, right, bottom, left; two knobs or hollows at least."""
    while True:
        top, right, bottom, left = (_chance.choice(_SIDES) for _side in range(4))
        if sum(1 for kind, _shift in (top, right, bottom, left) if kind) >= 2:
            return top, right, bottom, left


def _other_shape(shape: tuple[Side, Side, Side, Side]) -> tuple[Side, Side, Side, Side]:
    """Return a form that a person tells from this one: two sides at least are of another kind."""
    while True:
        other = _shape()
        if sum(1 for (kind, _), (own, _shift) in zip(other, shape, strict=True) if kind != own) >= 2:
            return other


@lru_cache(maxsize=1024)
def _masks(shape: tuple[Side, Side, Side, Side]) -> tuple[Image.Image, Image.Image]:
    """Return the form and its bright rim: two masks of 47 x 47."""
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
    return form, ImageChops.subtract(form, inner)


def _cut_piece(texture: Image.Image, shape: tuple[Side, Side, Side, Side], *, y: int) -> Image.Image:
    """Return the piece: what the hole was cut from, in another light and with noise of its own."""
    form, rim = _masks(shape)
    tints = [_chance.uniform(0.8, 1.2) for _band in range(3)]
    part = texture.point([min(255, round(value * tint)) for tint in tints for value in range(256)])
    noise = [_noise(part.size, _PIECE_NOISE) for _band in range(3)]
    part = ImageChops.overlay(part, Image.merge("RGB", noise))
    part.paste((255, 255, 255), mask=rim.point([value * 4 // 5 for value in range(256)]))
    part.putalpha(form)
    piece = Image.new("RGBA", (PIECE, HEIGHT))
    piece.paste(part, (0, y))
    return piece


def _even(depths: tuple[float, float]) -> Shade:
    """Dark everywhere."""
    depth = _chance.uniform(*depths)
    return Image.new("L", (PIECE, PIECE), round(255 * depth)), Image.new("L", (PIECE, PIECE))


def _uneven(slopes: tuple[float, float]) -> Shade:
    """Dark at one side and bright at the other, so that the hole is not darker as a whole."""
    slope = _chance.uniform(*slopes)
    ramp = Image.linear_gradient("L").resize((PIECE, PIECE)).rotate(_chance.choice((0, 90, 180, 270)))
    dark = ramp.point([max(0, round(slope * (2 * value - 255))) for value in range(256)])
    return dark, ramp.point([max(0, round(slope * (255 - 2 * value))) for value in range(256)])


def _dig_hole(picture: Image.Image, shape: tuple[Side, Side, Side, Side], place: tuple[int, int], shade: Shade) -> None:
    """Shade the form's place, and draw its rim."""
    form, rim = _masks(shape)
    dark, bright = shade
    box = (*place, place[0] + PIECE, place[1] + PIECE)
    picture.paste((0, 0, 0), box, ImageChops.multiply(form, dark))
    picture.paste((255, 255, 255), box, ImageChops.multiply(form, bright))
    picture.paste((255, 255, 255), box, rim.point([round(value * 0.4) for value in range(256)]))


# Files -----------------------------------------------------------------------------------------------------


def _png(picture: Image.Image) -> bytes:
    if picture.mode == "RGB":
        # A third of the size, which an app on a mobile network loads; nobody sees the difference.
        picture = picture.quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=_COMPRESSION)
    return file.getvalue()
