"""Programs that try to solve the sliding puzzle, as somebody would write them in a quarter of an hour.

Each slides along the row in which the piece lies, which the piece itself tells, and answers an x.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image, ImageChops, ImageStat

from identity.sign_in.puzzles import PIECE, WIDTH, Puzzle


def _open(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def _row(puzzle: Puzzle) -> tuple[Image.Image, Image.Image, Image.Image]:
    """The picture's row in grey, the piece in grey, and its form."""
    piece = _open(puzzle.piece_png).convert("RGBA")
    form = piece.getchannel("A").point([255 if value > 127 else 0 for value in range(256)])
    _left, top, _right, bottom = form.getbbox() or (0, 0, PIECE, PIECE)
    picture = _open(puzzle.original_png).convert("L")
    return (
        picture.crop((0, top, WIDTH, bottom)),
        piece.convert("L").crop((0, top, PIECE, bottom)),
        form.crop((0, top, PIECE, bottom)),
    )


def _best(row: Image.Image, score: Callable[[Image.Image], float]) -> int:
    height = row.height
    return max(range(WIDTH - PIECE + 1), key=lambda x: score(row.crop((x, 0, x + PIECE, height))))


def by_texture(puzzle: Puzzle) -> int:
    """Normalised correlation of the piece's texture with what is under it."""
    row, piece, form = _row(puzzle)
    own = ImageStat.Stat(piece, form)

    def score(part: Image.Image) -> float:
        here = ImageStat.Stat(part, form)
        both = ImageStat.Stat(ImageChops.multiply(piece, part), form).mean[0] * 255
        covariance = both - own.mean[0] * here.mean[0]
        return float(covariance / max(here.stddev[0], 1))

    return _best(row, score)


def by_darkness(puzzle: Puzzle) -> int:
    """The place whose inside is the darkest beside what is around it."""
    row, _piece, form = _row(puzzle)
    outside = ImageChops.invert(form)
    return _best(row, lambda part: ImageStat.Stat(part, outside).mean[0] - ImageStat.Stat(part, form).mean[0])


def by_form(puzzle: Puzzle) -> int:
    """Normalised correlation of the form itself with the darkness of the picture."""
    row, _piece, form = _row(puzzle)
    own = ImageStat.Stat(form)

    def score(part: Image.Image) -> float:
        here = ImageStat.Stat(part)
        both = ImageStat.Stat(ImageChops.multiply(form, part)).mean[0] * 255
        return float((own.mean[0] * here.mean[0] - both) / max(here.stddev[0], 1))

    return _best(row, score)


def by_contrast(puzzle: Puzzle) -> int:
    """The place whose inside varies the most."""
    row, _piece, form = _row(puzzle)
    return _best(row, lambda part: ImageStat.Stat(part, form).stddev[0])


SOLVERS = (by_texture, by_darkness, by_form, by_contrast)
