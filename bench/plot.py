"""A line for each operation over the number of rows, as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 420, 60, 40, 190, 50
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf")


def svg(title: str, rows: Sequence[int], series: Mapping[str, Sequence[float]]) -> str:
    """Draw milliseconds over rows, both logarithmic: what is flat is level, whatever it costs."""
    everything = [value for values in series.values() for value in values]
    steps = [step for step in STEPS if min(everything) / 2.5 < step < max(everything) * 2.5]
    height = math.log10(steps[-1] / steps[0])
    across = math.log10(rows[-1] / rows[0]) or 1.0

    def x(count: int) -> float:
        return LEFT + math.log10(count / rows[0]) / across * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - math.log10(value / steps[0]) / height * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        'font-family="sans-serif" font-size="12">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{title}</text>',
    ]
    for value in steps:
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    parts += [
        f'<text x="{x(count):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{count:,}</text>' for count in rows
    ]
    # Names stand beside the ends of their lines, and above each other where these are close.
    lowest = HEIGHT - BOTTOM + 14.0
    for number, (name, values) in enumerate(sorted(series.items(), key=lambda item: item[1][-1])):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x(count):.1f},{y(value):.1f}" for count, value in zip(rows, values, strict=True))
        lowest = min(lowest - 14, y(values[-1]) + 4)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{lowest:.1f}" fill="{colour}">{name}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 8}">rows of users, sessions, access and refresh tokens, each</text>')
    return "\n".join([*parts, "</svg>", ""])
