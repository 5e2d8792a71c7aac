"""Draw the pictures behind the sliding puzzle: identity/sign_in/backgrounds/*.webp.

Everything in them is drawn by this file, so they are under the project's own licence. The same seed gives the same
picture; run it again after changing a scene, and look at the result:

    python scripts/make_captcha_backgrounds.py
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

TARGET = Path(__file__).resolve().parents[1] / "identity" / "sign_in" / "backgrounds"
WIDTH, HEIGHT = 420, 210  # more than is shown, so that each puzzle takes another cut
SCALE = 2  # drawn larger, then reduced, for smooth edges
W, H = WIDTH * SCALE, HEIGHT * SCALE
Colour = tuple[int, int, int]


def main() -> int:
    """Draw them all."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for number, (name, scene) in enumerate(SCENES.items()):
        picture = scene(random.Random(f"monban {name} {number}"))
        picture = picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        picture.save(TARGET / f"{name}.webp", quality=90, method=6)
    print(f"{len(SCENES)} pictures in {TARGET}")
    return 0


# Tools -----------------------------------------------------------------------------------------------------


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return a colour between two."""
    share = min(max(share, 0.0), 1.0)
    return tuple(round(a + (b - a) * share) for a, b in zip(one, other, strict=True))  # type: ignore[return-value]


def sky(*stops: Colour) -> Image.Image:
    """Draw colours from top to bottom."""
    column = Image.new("RGB", (1, H))
    for y in range(H):
        place = y / (H - 1) * (len(stops) - 1)
        index = min(int(place), len(stops) - 2)
        column.putpixel((0, y), mix(stops[index], stops[index + 1], place - index))
    return column.resize((W, H))


def hills(
    rng: random.Random, *, base: float, height: float, roughness: float = 0.5, waves: int = 7, start: float = 1.2
) -> list[tuple[float, float]]:
    """Return the line of a ridge as a sum of waves: base and height as shares of the picture."""
    parts = [(start * 1.9**n, rng.uniform(0, 2 * math.pi), roughness**n) for n in range(waves)]
    total = sum(size for _, _, size in parts)
    points = []
    for x in range(0, W + 4, 4):
        angle = x / W * 2 * math.pi
        wave = sum(size * math.sin(frequency * angle + phase) for frequency, phase, size in parts) / total
        points.append((float(x), H * (base - height * wave)))
    return points


def fill(picture: Image.Image, ridge: list[tuple[float, float]], top: Colour, bottom: Colour) -> None:
    """Fill what is below a ridge, lighter towards the ground as mist is."""
    mask = Image.new("L", (W, H))
    ImageDraw.Draw(mask).polygon([(0, H), *ridge, (W, H)], fill=255)
    highest = max(0, int(min(y for _, y in ridge)))
    shade = Image.new("RGB", (1, H), top)
    for y in range(highest, H):
        shade.putpixel((0, y), mix(top, bottom, (y - highest) / max(H - highest, 1)))
    picture.paste(shade.resize((W, H)), mask=mask)


def glow(picture: Image.Image, x: float, y: float, radius: float, colour: Colour, *, strength: float = 1.0) -> None:
    """Draw a soft light."""
    light = Image.new("L", (W, H))
    ImageDraw.Draw(light).ellipse((x - radius, y - radius, x + radius, y + radius), fill=round(255 * strength))
    light = light.filter(ImageFilter.GaussianBlur(radius / 1.6))
    lit = ImageChops.screen(picture, Image.new("RGB", (W, H), colour))
    picture.paste(lit, mask=light)


def disc(picture: Image.Image, x: float, y: float, radius: float, colour: Colour) -> None:
    """Draw a sun or a moon."""
    ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def stars(picture: Image.Image, rng: random.Random, count: int, *, below: float = 0.7) -> None:
    """Stars of several sizes."""
    draw = ImageDraw.Draw(picture)
    for _ in range(count):
        x, y, size = rng.uniform(0, W), rng.uniform(0, H * below) * rng.uniform(0.3, 1), rng.choice((1, 1, 1, 2, 3))
        light = rng.randint(150, 255)
        draw.ellipse((x, y, x + size, y + size), fill=(light, light, min(255, light + 20)))


def clouds(
    picture: Image.Image, rng: random.Random, count: int, colour: Colour, *, between: tuple[float, float]
) -> None:
    """Heaped clouds."""
    layer = Image.new("L", (W, H))
    draw = ImageDraw.Draw(layer)
    for _ in range(count):
        x, y, width = rng.uniform(0, W), H * rng.uniform(*between), rng.uniform(60, 150)
        for _puff in range(14):
            radius = rng.uniform(10, 26)
            dx = rng.uniform(-width, width)
            dy = -abs(rng.gauss(0, 14)) * (1 - abs(dx) / width)
            draw.ellipse((x + dx - radius, y + dy - radius * 0.7, x + dx + radius, y + dy + radius * 0.7), fill=215)
    picture.paste(Image.new("RGB", (W, H), colour), mask=layer.filter(ImageFilter.GaussianBlur(7)))


def pines(
    picture: Image.Image,
    rng: random.Random,
    ridge: list[tuple[float, float]],
    colour: Colour,
    *,
    size: float,
    step: int,
) -> None:
    """Firs along a ridge."""
    draw = ImageDraw.Draw(picture)
    for x, y in ridge[:: max(step // 4, 1)]:
        x += rng.uniform(-step / 2, step / 2)
        height = size * rng.uniform(0.6, 1.25)
        tint = mix(colour, (255, 255, 255), rng.uniform(0, 0.06))
        for tier in range(5):
            top = y - height + height * tier * 0.19
            half = height * (0.07 + 0.052 * tier)
            draw.polygon([(x, top), (x - half, top + height * 0.3), (x + half, top + height * 0.3)], fill=tint)
        draw.rectangle((x - 2, y - height * 0.1, x + 2, y + 6), fill=tint)


def ripples(picture: Image.Image, rng: random.Random, *, top: float, light: Colour, centre: float, count: int) -> None:
    """Light on water, densest below the sun."""
    layer = Image.new("RGBA", (W, H))
    draw = ImageDraw.Draw(layer)
    for _ in range(count):
        depth = rng.random() ** 1.6
        y = H * top + depth * H * (1 - top)
        x = centre + rng.gauss(0, 1) * W * (0.05 + 0.16 * depth) * rng.choice((1, 1, 1, 3))
        half = rng.uniform(4, 10 + 34 * depth)
        alpha = rng.randint(40, 170)
        draw.line((x - half, y, x + half, y), fill=(*light, alpha), width=1 + round(2.4 * depth))
    picture.paste(layer, mask=layer)


# Scenes ----------------------------------------------------------------------------------------------------


def dawn(rng: random.Random) -> Image.Image:
    """Mountains in the mist."""
    picture = sky((72, 98, 160), (214, 164, 176), (252, 214, 170), (255, 236, 206))
    glow(picture, W * 0.66, H * 0.5, 130, (255, 226, 170), strength=0.9)
    disc(picture, W * 0.66, H * 0.47, 26, (255, 246, 222))
    clouds(picture, rng, 5, (255, 226, 214), between=(0.12, 0.36))
    for number in range(5):
        share = number / 4
        ridge = hills(rng, base=0.5 + 0.115 * number, height=0.13 - 0.008 * number, roughness=0.56, start=1 + share)
        fill(picture, ridge, mix((168, 142, 172), (38, 52, 86), share), mix((236, 206, 200), (74, 92, 128), share))
        if number == 4:
            pines(picture, rng, ridge, (24, 36, 62), size=58, step=26)
    return picture


def sunset_sea(rng: random.Random) -> Image.Image:
    """Two boats before the sun."""
    picture = sky((46, 30, 84), (168, 58, 98), (244, 128, 84), (255, 206, 120), (255, 190, 110))
    clouds(picture, rng, 7, (120, 48, 96), between=(0.08, 0.34))
    glow(picture, W * 0.42, H * 0.55, 120, (255, 214, 130))
    disc(picture, W * 0.42, H * 0.54, 40, (255, 240, 190))
    fill(picture, hills(rng, base=0.585, height=0.06, roughness=0.5, start=0.8), (76, 38, 84), (92, 46, 88))
    picture.paste(sky((214, 110, 88), (104, 52, 96), (30, 26, 66)).resize((W, int(H * 0.42) + 1)), (0, int(H * 0.58)))
    ripples(picture, rng, top=0.585, light=(255, 216, 150), centre=W * 0.42, count=520)
    ripples(picture, rng, top=0.6, light=(70, 36, 84), centre=W * 0.75, count=260)
    draw = ImageDraw.Draw(picture)
    for x, y, size in ((W * 0.7, H * 0.72, 62), (W * 0.16, H * 0.66, 36)):
        draw.polygon([(x, y - size * 1.3), (x, y - 6), (x + size * 0.62, y - 6)], fill=(250, 226, 206))
        draw.polygon([(x - 4, y - size), (x - 4, y - 6), (x - size * 0.42, y - 6)], fill=(232, 190, 180))
        draw.polygon(
            [(x - size * 0.5, y), (x + size * 0.66, y), (x + size * 0.42, y + 13), (x - size * 0.34, y + 13)],
            fill=(56, 28, 60),
        )
    return picture


def moonlight(rng: random.Random) -> Image.Image:
    """Draw a wood at night."""
    picture = sky((10, 16, 48), (24, 42, 92), (62, 92, 146), (120, 150, 186))
    stars(picture, rng, 320)
    glow(picture, W * 0.27, H * 0.27, 90, (190, 214, 255), strength=0.75)
    disc(picture, W * 0.27, H * 0.27, 36, (244, 246, 232))
    for dx, dy, radius in ((-10, -8, 8), (9, 4, 10), (-4, 14, 5), (14, -14, 4)):
        disc(picture, W * 0.27 + dx, H * 0.27 + dy, radius, (222, 226, 216))
    for number in range(4):
        share = number / 3
        ridge = hills(rng, base=0.6 + 0.11 * number, height=0.17 - 0.03 * number, roughness=0.6, start=1.3 + share)
        fill(picture, ridge, mix((66, 92, 142), (12, 20, 44), share), mix((126, 150, 186), (30, 44, 78), share))
        if number >= 2:
            pines(picture, rng, ridge, mix((22, 34, 66), (8, 14, 32), share), size=34 + 26 * share, step=18)
    return picture


def dunes(rng: random.Random) -> Image.Image:
    """Draw a caravan."""
    picture = sky((92, 158, 206), (190, 214, 214), (250, 226, 184))
    glow(picture, W * 0.8, H * 0.2, 80, (255, 248, 214))
    disc(picture, W * 0.8, H * 0.2, 24, (255, 252, 232))
    for number in range(5):
        share = number / 4
        ridge = hills(rng, base=0.44 + 0.125 * number, height=0.1, roughness=0.34, waves=4, start=0.7 + 0.35 * number)
        light, dark = mix((240, 198, 140), (224, 140, 70), share), mix((226, 172, 116), (166, 84, 46), share)
        fill(picture, ridge, light, dark)
        mask = Image.new("L", (W, H))
        draw = ImageDraw.Draw(mask)
        for index in range(len(ridge) - 1):
            (x, y), (_, following) = ridge[index], ridge[index + 1]
            if following > y:  # the side away from the sun
                draw.polygon([(x, y), (x + 4, following), (x - 46, H), (x - 50, H)], fill=90)
        picture.paste(
            Image.new("RGB", (W, H), mix(dark, (60, 30, 40), 0.35)), mask=mask.filter(ImageFilter.GaussianBlur(3))
        )
        draw = ImageDraw.Draw(picture)
        for line in range(9):
            offset = 14 + line * (7 + 3 * share)
            draw.line([(x, y + offset + 3 * math.sin(x / 31 + line)) for x, y in ridge], fill=mix(light, dark, 0.45))
    draw = ImageDraw.Draw(picture)
    for number in range(5):
        x, y = W * 0.28 + number * 44, H * 0.60 + number * 5
        draw.ellipse((x, y - 22, x + 24, y - 6), fill=(70, 40, 36))
        draw.ellipse((x + 7, y - 31, x + 18, y - 14), fill=(70, 40, 36))
        draw.line((x + 22, y - 14, x + 32, y - 32), fill=(70, 40, 36), width=5)
        draw.ellipse((x + 28, y - 38, x + 40, y - 30), fill=(70, 40, 36))
        for leg in (3, 8, 16, 21):
            draw.line((x + leg, y - 9, x + leg, y + 8), fill=(70, 40, 36), width=3)
    return picture


def autumn(rng: random.Random) -> Image.Image:
    """Leaves before a mountain."""
    picture = sky((120, 176, 214), (206, 224, 222), (250, 232, 198))
    clouds(picture, rng, 6, (255, 250, 240), between=(0.08, 0.3))
    fill(picture, hills(rng, base=0.42, height=0.14, roughness=0.58), (128, 150, 172), (178, 190, 190))
    leaves = ((196, 72, 38), (222, 118, 34), (236, 168, 52), (168, 52, 40), (140, 132, 54), (206, 92, 40))
    for number in range(4):
        share = number / 3
        ridge = hills(rng, base=0.52 + 0.13 * number, height=0.08, roughness=0.5, start=1 + share)
        fill(picture, ridge, (150, 98, 48), (110, 78, 40))
        draw = ImageDraw.Draw(picture)
        size = 9 + 17 * share
        for _row in range(3):
            for x, y in ridge[:: max(1, round(size / 7))]:
                colour = mix(rng.choice(leaves), (236, 214, 190), 0.42 * (1 - share))
                cx, cy = x + rng.uniform(-size, size), y + rng.uniform(-0.4, 1.9) * size
                for _leaf in range(4):
                    dx, dy, radius = rng.gauss(0, size * 0.4), rng.gauss(0, size * 0.4), size * rng.uniform(0.25, 0.6)
                    tint = mix(colour, rng.choice(((255, 236, 170), (70, 30, 20))), rng.uniform(0, 0.28))
                    draw.ellipse((cx + dx - radius, cy + dy - radius, cx + dx + radius, cy + dy + radius), fill=tint)
    return picture


def meadow(rng: random.Random) -> Image.Image:
    """Flowers and clouds."""
    picture = sky((64, 142, 220), (142, 198, 238), (222, 240, 246))
    clouds(picture, rng, 10, (255, 255, 255), between=(0.1, 0.4))
    for number in range(4):
        share = number / 3
        ridge = hills(rng, base=0.52 + 0.13 * number, height=0.08, roughness=0.38, waves=4, start=0.8 + share)
        fill(picture, ridge, mix((124, 176, 130), (86, 158, 62), share), mix((150, 190, 120), (46, 108, 42), share))
        if number == 1:
            pines(picture, rng, ridge, (64, 118, 84), size=34, step=16)
    draw = ImageDraw.Draw(picture)
    for _ in range(1500):
        depth = rng.random() ** 0.6
        x, y = rng.uniform(0, W), H * (0.8 + 0.2 * depth)
        draw.line(
            (x, y, x + rng.uniform(-4, 4), y - 6 - 12 * depth), fill=mix((70, 140, 50), (150, 200, 80), rng.random())
        )
    for _ in range(260):
        depth = rng.random() ** 0.7
        x, y, size = rng.uniform(0, W), H * (0.74 + 0.26 * depth), 1.5 + 4.5 * depth
        colour = rng.choice(((255, 90, 96), (255, 214, 70), (250, 250, 255), (196, 120, 230), (255, 150, 60)))
        for petal in range(5):
            angle = petal * 2 * math.pi / 5
            px, py = x + size * math.cos(angle), y + size * math.sin(angle)
            draw.ellipse((px - size * 0.7, py - size * 0.7, px + size * 0.7, py + size * 0.7), fill=colour)
        draw.ellipse((x - size * 0.5, y - size * 0.5, x + size * 0.5, y + size * 0.5), fill=(255, 224, 120))
    return picture


def aurora(rng: random.Random) -> Image.Image:
    """Northern lights over snow."""
    picture = sky((6, 10, 34), (12, 30, 62), (20, 62, 84))
    stars(picture, rng, 380, below=0.8)
    for colour, base in (((60, 230, 160), 0.46), ((90, 160, 240), 0.34), ((176, 90, 220), 0.24)):
        layer = Image.new("L", (W, H))
        draw = ImageDraw.Draw(layer)
        line = hills(rng, base=base, height=0.14, roughness=0.42, waves=4, start=0.9)
        shimmer = [0.6 + 0.4 * math.sin(index / 3.1) * math.sin(index / 7.7) for index in range(len(line))]
        for (x, y), light in zip(line, shimmer, strict=True):
            reach = H * 0.34 * light
            for part in range(12):
                start, end = y - reach * part / 12, y - reach * (part + 1) / 12
                draw.line((x, start, x, end), fill=round(190 * light * (1 - part / 12) ** 1.4), width=5)
        layer = layer.filter(ImageFilter.GaussianBlur(5))
        picture.paste(ImageChops.screen(picture, Image.new("RGB", (W, H), colour)), mask=layer)
    ridge = hills(rng, base=0.7, height=0.12, roughness=0.62)
    fill(picture, ridge, (30, 52, 80), (140, 168, 190))
    fill(picture, hills(rng, base=0.82, height=0.05, roughness=0.4), (190, 208, 222), (120, 146, 176))
    front = hills(rng, base=0.92, height=0.05, roughness=0.4)
    fill(picture, front, (212, 226, 236), (150, 174, 200))
    pines(picture, rng, front, (10, 28, 40), size=86, step=46)
    return picture


def city(rng: random.Random) -> Image.Image:
    """Windows at dusk."""
    picture = sky((26, 22, 70), (92, 48, 120), (226, 104, 120), (255, 180, 130))
    stars(picture, rng, 120, below=0.4)
    glow(picture, W * 0.55, H * 0.75, 160, (255, 170, 120), strength=0.7)
    for layer, (wall, lit) in enumerate((((112, 66, 126), 0.1), ((66, 44, 100), 0.32), ((26, 24, 58), 0.5))):
        draw = ImageDraw.Draw(picture)
        x = -20.0
        while x < W:
            width = rng.uniform(34, 74) * (0.8 + 0.2 * layer)
            top = H * (0.32 + 0.16 * layer + rng.uniform(-0.14, 0.16))
            shade = mix(wall, (255, 255, 255), rng.uniform(0, 0.07))
            draw.rectangle((x, top, x + width, H), fill=shade)
            if rng.random() < 0.3:
                draw.polygon([(x, top), (x + width / 2, top - 26), (x + width, top)], fill=shade)
                draw.line((x + width / 2, top - 48, x + width / 2, top - 20), fill=shade, width=3)
            for wy in range(round(top) + 10, H, 13):
                for wx in range(round(x) + 6, round(x + width) - 8, 11):
                    if rng.random() < lit:
                        warm = rng.choice(((255, 220, 140), (255, 200, 110), (200, 226, 255)))
                        draw.rectangle((wx, wy, wx + 5, wy + 6), fill=mix(shade, warm, rng.uniform(0.5, 1)))
            x += width + rng.uniform(-4, 8)
    return picture


def gate(rng: random.Random) -> Image.Image:
    """Draw a gate in the water: what the project is named for."""
    picture = sky((250, 206, 150), (252, 176, 140), (214, 140, 160), (150, 130, 176))
    glow(picture, W * 0.5, H * 0.34, 120, (255, 240, 206))
    disc(picture, W * 0.5, H * 0.34, 56, (255, 244, 222))
    for number in range(3):
        ridge = hills(rng, base=0.5 + 0.05 * number, height=0.1 - 0.02 * number, roughness=0.58)
        fill(
            picture,
            ridge,
            mix((176, 130, 160), (92, 84, 132), number / 2),
            mix((226, 180, 176), (140, 124, 160), number / 2),
        )
    water = sky((196, 150, 166), (120, 116, 166), (58, 66, 118)).resize((W, H - int(H * 0.62)))
    picture.paste(water, (0, int(H * 0.62)))
    ripples(picture, rng, top=0.63, light=(255, 226, 200), centre=W * 0.5, count=460)
    ripples(picture, rng, top=0.63, light=(60, 60, 112), centre=W * 0.2, count=240)
    draw = ImageDraw.Draw(picture)
    red, dark = (196, 54, 44), (70, 24, 34)
    for x, y, size in ((W * 0.3, H * 0.86, 1.0), (W * 0.78, H * 0.7, 0.46)):

        def box(
            x1: float, y1: float, x2: float, y2: float, colour: Colour, x: float = x, y: float = y, size: float = size
        ) -> None:
            draw.rectangle((x + x1 * size, y + y1 * size, x + x2 * size, y + y2 * size), fill=colour)

        for leg in (-76, 62):
            box(leg, -190, leg + 15, 4, red)
            box(leg - 3, -8, leg + 18, 6, dark)
        box(-104, -166, 104, -152, red)
        box(-5, -190, 6, -152, red)
        curve = [(dx, -206 - (dx / 118) ** 2 * 16) for dx in range(-118, 119, 4)]
        upper = [(x + dx * size, y + (dy - 15) * size) for dx, dy in curve]
        lower = [(x + dx * size, y + dy * size) for dx, dy in reversed(curve)]
        draw.polygon(upper + lower, fill=dark)
        draw.polygon([(px, py + 14 * size) for px, py in upper] + [(px, py + 12 * size) for px, py in lower], fill=red)
    return picture


def waves(rng: random.Random) -> Image.Image:
    """Overlapping scales, as on old cloth."""
    picture = Image.new("RGB", (W, H), (28, 66, 108))
    draw = ImageDraw.Draw(picture)
    radius = 58
    tints = ((30, 78, 128), (40, 104, 150), (58, 130, 168), (92, 160, 182), (222, 176, 96))
    for row in range(-1, H // (radius // 2) + 3):
        for column in range(-1, W // (radius * 2) + 2):
            x, y = column * radius * 2 + (row % 2) * radius, row * radius / 2
            colour = mix(rng.choice(tints), (12, 30, 70), y / H * 0.45)
            for ring in range(5):
                size = radius * (1 - ring * 0.19)
                tint = mix(colour, (240, 244, 236), 0.9 if ring % 2 else 0.03 * ring)
                draw.ellipse((x - size, y - size, x + size, y + size), fill=tint)
    glow(picture, W * 0.3, H * 0.2, 130, (255, 226, 170), strength=0.35)
    return picture


SCENES: dict[str, Callable[[random.Random], Image.Image]] = {
    "dawn": dawn,
    "sunset-sea": sunset_sea,
    "moonlight": moonlight,
    "dunes": dunes,
    "autumn": autumn,
    "meadow": meadow,
    "aurora": aurora,
    "city": city,
    "gate": gate,
    "waves": waves,
}

if __name__ == "__main__":
    sys.exit(main())
