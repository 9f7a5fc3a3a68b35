"""A hero drawn on a card, and many in one picture: the same hero always looks the same.

Colours, hair and mask come from a hash of the hero, the emblem from the power. The drawings
themselves are the templates hero_card.svg.jinja, hero_team.svg.jinja and portrait.svg.jinja.
"""

from __future__ import annotations

import colorsys
import hashlib
import math
import re
import tomllib
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from wcwidth import wrap

from course.judge import hero_name
from helpers.display import Picture

HERE = Path(__file__).parent
TEMPLATES = Environment(loader=FileSystemLoader(HERE), autoescape=True)
EMBLEMS: dict[str, str] = tomllib.loads((HERE / "emblems.toml").read_text(encoding="utf-8"))
LINE_WIDTH = 46  # columns; East Asian characters take two
ROW = 5  # heroes of a team in a row
LONGEST = 1200  # characters of a description that a card shows
SKINS = ("#f6d7b8", "#e8b98f", "#c98d5f", "#9a6240", "#6d4129")
HAIRS = ("#2a1d18", "#5b3320", "#8a5a2b", "#1c1c28")
GREY = "#d9d9de"


def hero_card(text: str, age: int, gender: str, power: str) -> Picture:
    """Draw the card of a hero: portrait, name, age, gender, power, description. Takes any text."""
    text, gender, power = _printable(text), _printable(gender), _printable(power)
    shown = _clip(text, LONGEST)
    name = _name(text)
    lines = wrap(shown or "(no description)", LINE_WIDTH, break_on_hyphens=False)
    alt = f"Hero card: {name}, {age}, {gender}, with the power {power}. {shown}"
    svg = TEMPLATES.get_template("hero_card.svg.jinja").render(
        alt=alt,
        title=f"{name}: {power}",
        name=name,
        subtitle=f"{age} · {_clip(gender, 16)} · {_clip(power, 30)}",
        lines=lines,
        height=max(330, 136 + 23 * len(lines)),
        **portrait(name, age, gender, power),
    )
    return Picture(svg, alt)


def hero_team(heroes: Iterable[Any]) -> Picture:
    """Draw heroes side by side, five in a row, each with what a judge thinks of it.

    Each has the attributes response_txt, age, gender, power and ok, as the rows of a table have
    that `itertuples()` gives.
    """
    team = []
    for hero in heroes:
        gender, power = _printable(hero.gender), _printable(hero.power)
        name = _name(_printable(hero.response_txt))
        team.append(
            {
                "name": _clip(name, 14),
                "age": hero.age,
                "power": _clip(power, 20),
                "ok": bool(hero.ok),
                **portrait(name, hero.age, gender, power),
            }
        )
    named: dict[bool, list[str]] = {True: [], False: []}
    for each in team:
        named[each["ok"]].append(f"{each['name']} ({each['age']}, {each['power']})")
    alt = f"{len(named[True])} heroes pass: {', '.join(named[True]) or 'none'}."
    alt += f" {len(named[False])} are refused: {', '.join(named[False]) or 'none'}."
    rows = -(-len(team) // ROW)
    svg = TEMPLATES.get_template("hero_team.svg.jinja").render(team=team, alt=alt, rows=rows)
    return Picture(svg, alt)


def portrait(name: str, age: int, gender: str, power: str) -> dict[str, Any]:
    """What portrait.svg.jinja needs to draw this hero: colours, hair, mask, emblem."""
    look = hashlib.sha256(f"{name}|{age}|{gender}|{power}".encode()).digest()
    return {
        "look": list(look),
        "id": f"card{look[:4].hex()}",
        "ink": _colour(look[0], 0.7, 0.27),
        "sky": _colour(look[0], 0.45, 0.86),
        "cape": _colour(look[0] + 110, 0.65, 0.45),
        "suit": _colour(look[0] + 60, 0.5, 0.55),
        "dark": _colour(look[0] + 60, 0.5, 0.3),
        "skin": SKINS[look[1] % len(SKINS)],
        "hair": GREY if age >= 60 else HAIRS[look[2] % len(HAIRS)],
        "emblem": emblem(power),
    }


def emblem(power: str) -> str:
    """The SVG path of a power's emblem: a picture of its own, else a star made from its name."""
    for pattern, path in EMBLEMS.items():
        if re.search(pattern, power.casefold()):
            return path
    seed = hashlib.sha256(power.casefold().encode()).digest()
    points, inner, turn = 4 + seed[0] % 6, 10 + seed[1] % 9, seed[2] / 40
    corners = []
    for k in range(2 * points):
        radius, angle = inner if k % 2 else 29, turn + math.pi * k / points
        corners.append(f"{radius * math.cos(angle):.1f},{radius * math.sin(angle):.1f}")
    return "M" + " L".join(corners) + " Z"


def _colour(hue: int, saturation: float, lightness: float) -> str:
    """A colour as #rrggbb; `hue` runs from 0 to 255 and around."""
    channels = colorsys.hls_to_rgb(hue % 256 / 256, lightness, saturation)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def _name(text: str) -> str:
    return _clip(hero_name(text) or "A hero", 24)


def _printable(text: str) -> str:
    """The text on one line, without the characters that no SVG may hold."""
    kept = (c if unicodedata.category(c)[0] != "C" else " " for c in str(text))
    return " ".join("".join(kept).split())


def _clip(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
