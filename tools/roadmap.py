"""The course's road map: one drawing per notebook, with the step where we are lit.

`python -m tools.roadmap` writes them to notebooks/images/road_00.svg … road_13.svg.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from course.steps import STEPS
from helpers.data import replace_text
from helpers.settings import ROOT

IMAGES = ROOT / "notebooks" / "images"
WIDTH = 680
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
)


def alt_text(step: int) -> str:
    """What the map of a step shows, in words. Raises ValueError for a step that does not exist."""
    if not 0 <= step < len(STEPS):
        raise ValueError(f"There is no step {step}: there are steps 0 to {len(STEPS) - 1}.")
    here = STEPS[step]
    done = f"{step} stop{'' if step == 1 else 's'} done" if step else "nothing done yet"
    left = len(STEPS) - 1 - step
    ahead = f"{left} ahead, next: {STEPS[step + 1].title}" if left else "none ahead"
    return (
        f"Road map of the course: {len(STEPS)} stops on a winding road. You are at stop "
        f"{step:02d}, {here.title}: {here.product}. {done.capitalize()}, {ahead}."
    )


def road_svg(step: int) -> str:
    """The map with this step lit."""
    stops = [(*_position(number), stop.title) for number, stop in enumerate(STEPS)]
    template = TEMPLATES.get_template("road.svg.jinja")
    return template.render(alt=alt_text(step), now=step, stops=stops, road=_road()) + "\n"


def _position(number: int) -> tuple[int, int]:
    """Where a stop is drawn: rows of five, there and back like a ribbon."""
    row, column = divmod(number, 5)
    column = column if row % 2 == 0 else 4 - column
    return 88 + 126 * column, 92 + 140 * row + (0, 14, -8, 6, -4)[column]


def _road() -> str:
    """A bent line through all stops; at the end of a row it swings out."""
    stops = [_position(number) for number in range(len(STEPS))]
    path = ["M{},{}".format(*stops[0])]
    for (x0, y0), (x1, y1) in pairwise(stops):
        if x0 == x1:
            out = 84 if x0 > WIDTH / 2 else -84
            path.append(f"C{x0 + out},{y0 + 8} {x1 + out},{y1 - 8} {x1},{y1}")
        else:
            middle = (x0 + x1) / 2
            path.append(f"C{middle:.0f},{y0 - 16} {middle:.0f},{y1 + 16} {x1},{y1}")
    return " ".join(path)


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
