"""The course's road map: one drawing per notebook, with the step where we are lit.

`python -m tools.roadmap` writes them to notebooks/images/road_00.svg … road_11.svg.
"""

from __future__ import annotations

import sys
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from helpers.data import replace_text
from helpers.settings import ROOT

IMAGES = ROOT / "notebooks" / "images"
WIDTH, HEIGHT = 680, 470
INK, PAPER, GRASS = "#2b2b33", "#fffdf7", "#e4efdc"
ROAD, LINE = "#8d8d94", "#fff3c4"
DONE, NOW, AHEAD = "#0b6e8f", "#d9822b", "#ffffff"


class Step(NamedTuple):
    """One stop on the road: its name and what one has in hand after it."""

    title: str
    product: str


STEPS = (
    Step("Start here", "a map and a checked machine"),
    Step("API key", "a key and a first conversation"),
    Step("Synthetic heroes", "294 descriptions in a table"),
    Step("JSONL files", "checked training files"),
    Step("Submit a job", "a running fine-tuning job"),
    Step("Follow it", "the finished job and its loss curve"),
    Step("Predict", "your own hero on a card"),
    Step("Evaluate", "a score, before and after"),
    Step("Train by hand", "the same model without the API"),
    Step("Retrieve or tune", "a measured comparison"),
    Step("Mend errors", "every common error, repaired"),
    Step("Go beyond", "the same road at scale"),
)


def alt_text(step: int) -> str:
    """What the map of a step shows, in words."""
    here = STEPS[_known(step)]
    done = f"{step} stop{'' if step == 1 else 's'} done" if step else "nothing done yet"
    left = len(STEPS) - 1 - step
    ahead = f"{left} ahead, next: {STEPS[step + 1].title}" if left else "none ahead"
    return (
        f"Road map of the course: {len(STEPS)} stops on a winding road. You are at stop "
        f"{step:02d}, {here.title}: {here.product}. {done.capitalize()}, {ahead}."
    )


def road_svg(step: int) -> str:
    """The map with this step lit."""
    stops = [_place(number) for number in range(len(STEPS))]
    path = _road(stops)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'role="img" aria-label="{escape(alt_text(step))}" font-family="Georgia, serif">',
        f"<title>{escape(alt_text(step))}</title>",
        f'<rect x="2" y="2" width="{WIDTH - 4}" height="{HEIGHT - 4}" rx="20" fill="{PAPER}" '
        f'stroke="{INK}" stroke-width="3"/>',
        _scenery(),
        f'<path d="{path}" fill="none" stroke="{ROAD}" stroke-width="26" stroke-linecap="round"/>',
        f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="3" stroke-dasharray="12 11"/>',
        *(_stop(number, x, y, step) for number, (x, y) in enumerate(stops)),
        _hero(*stops[step]),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _known(step: int) -> int:
    if not 0 <= step < len(STEPS):
        raise ValueError(f"There is no step {step}: the road has the steps 0 to {len(STEPS) - 1}.")
    return step


def _place(number: int) -> tuple[int, int]:
    """Where a stop stands: three rows of four, there and back like a ribbon."""
    row, column = divmod(number, 4)
    column = column if row % 2 == 0 else 3 - column
    return 100 + 160 * column, 92 + 140 * row + (0, 14, -8, 6)[column]


def _road(stops: list[tuple[int, int]]) -> str:
    """A bent line through all stops; at the end of a row it swings out."""
    path = [f"M{stops[0][0]},{stops[0][1]}"]
    for (x0, y0), (x1, y1) in pairwise(stops):
        if x0 == x1:
            out = 84 if x0 > WIDTH / 2 else -84
            path.append(f"C{x0 + out},{y0 + 8} {x1 + out},{y1 - 8} {x1},{y1}")
        else:
            middle = (x0 + x1) / 2
            path.append(f"C{middle:.0f},{y0 - 16} {middle:.0f},{y1 + 16} {x1},{y1}")
    return " ".join(path)


def _scenery() -> str:
    """Hills, a sun and a few houses: the same on every map."""
    hills = (
        f'<path d="M4,330 Q120,250 250,318 T520,300 T676,322 V450 Q676,466 658,466 H22 '
        f'Q4,466 4,448 Z" fill="{GRASS}"/>'
    )
    sun = '<circle cx="622" cy="44" r="20" fill="#f4d58d"/>'
    houses = "".join(
        f'<path d="M{x},{y} v-16 l12,-11 l12,11 v16 Z" fill="#efe3cf" stroke="{INK}" '
        f'stroke-width="1.5"/><rect x="{x + 9}" y="{y - 9}" width="6" height="9" fill="{INK}"/>'
        for x, y in ((318, 330), (346, 334), (590, 322), (18, 454), (640, 454))
    )
    return hills + sun + houses


def _stop(number: int, x: int, y: int, now: int) -> str:
    fill = NOW if number == now else DONE if number < now else AHEAD
    ink = INK if number > now else "#ffffff"
    radius, weight = (21, "bold") if number == now else (17, "normal")
    glow = (
        f'<circle cx="{x}" cy="{y}" r="32" fill="{NOW}" opacity="0.25"/>' if number == now else ""
    )
    # A tick says "done" to those who don't see the colour.
    mark = "✓" if number < now else f"{number:02d}"
    return (
        f'<g>{glow}<circle cx="{x}" cy="{y}" r="{radius}" fill="{fill}" stroke="{INK}" '
        f'stroke-width="2.5"/><text x="{x}" y="{y + 6}" text-anchor="middle" font-size="17" '
        f'font-weight="bold" fill="{ink}">{mark}</text><text x="{x}" y="{y + 50}" '
        f'text-anchor="middle" font-size="18" font-weight="{weight}" fill="{INK}" stroke="{PAPER}" '
        f'stroke-width="4" paint-order="stroke">{escape(STEPS[number].title)}</text></g>'
    )


def _hero(x: int, y: int) -> str:
    """The small hero who stands at the lit stop, cape in the wind."""
    return (
        f'<g transform="translate({x + 24},{y - 34})">'
        '<path d="M-2,-8 C-22,-4 -30,10 -32,20 C-22,16 -12,18 -4,14 Z" fill="#b8501f"/>'
        f'<path d="M-7,18 L-5,-8 H7 L9,18 Z" fill="{DONE}" stroke="{INK}" stroke-width="1.5"/>'
        f'<circle cx="1" cy="-16" r="8.5" fill="#e8b98f" stroke="{INK}" stroke-width="1.5"/>'
        f'<path d="M-7,-19 H9 V-14 H-7 Z" fill="{INK}"/>'
        '<circle cx="-2" cy="-16.5" r="1.5" fill="#ffffff"/>'
        '<circle cx="4" cy="-16.5" r="1.5" fill="#ffffff"/>'
        f'<path d="M6,-4 L18,-16" stroke="{INK}" stroke-width="4" stroke-linecap="round"/></g>'
    )


def write_maps(folder: Path = IMAGES) -> list[Path]:
    """Write the maps of all steps; their paths come back."""
    paths = [folder / f"road_{step:02d}.svg" for step in range(len(STEPS))]
    for step, path in enumerate(paths):
        replace_text(path, road_svg(step))
    return paths


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    written = write_maps(target)
    print(f"Wrote {len(written)} maps: {written[0].name} to {written[-1].name}")
