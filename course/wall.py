"""The wall of notebook 11: a brick for each exercise, and a hero who can be seen once they are out.

The drawing is the template wall.svg.jinja.
"""

from __future__ import annotations

import textwrap

from course.exercise import TEXTS, passed
from course.hero_card import TEMPLATES, portrait
from helpers.display import Picture

STEP = "11"
HERO = ("Rosa", 40, "woman", "Healing")


def wall() -> Picture:
    """The wall as it is now: each exercise of notebook 11 that is passed takes a brick out."""
    done = passed()
    bricks = [
        {"name": texts["brick"], "out": f"{STEP}.{place}" in done}
        for place, texts in TEXTS[STEP].items()
    ]
    out = [each["name"] for each in bricks if each["out"]]
    left = [each["name"] for each in bricks if not each["out"]]
    alt = f"{HERO[0]}, a hero, stands behind a wall. " if left else f"{HERO[0]} is free. "
    alt += f"{len(left)} of {len(bricks)} bricks are left"
    alt += f": {', '.join(left)}." if left else "."
    for each in bricks:
        each["lines"] = textwrap.wrap(each["name"], 18)
    alt += f" Out: {', '.join(out)}." if out else ""
    svg = TEMPLATES.get_template("wall.svg.jinja").render(
        alt=alt, bricks=bricks, x=350, height=246, **portrait(*HERO)
    )
    return Picture(svg, alt)
