"""A hero drawn on a card: the same hero always gets the same picture.

Colours, hair and mask come from a hash of the hero, the emblem from the power. All of it is plain
SVG, drawn here.
"""

from __future__ import annotations

import colorsys
import hashlib
import math
import re
import unicodedata
from dataclasses import dataclass
from html import escape

from course.judge import hero_name

WIDTH, PICTURE, MARGIN = 680, 230, 24
LINE_HEIGHT, LINE_WIDTH = 23, 46
LONGEST = 1200  # characters of a description that a card shows

# Emblems in a box from -30 to 30; the first word that occurs in the power decides.
EMBLEMS = {
    "heal": "M-9,-28 H9 V-9 H28 V9 H9 V28 H-9 V9 H-28 V-9 H-9 Z",
    "fl(y|ight)": "M0,22 C-8,-4 -22,-14 -30,-16 C-22,-2 -14,8 0,22 "
    "C14,8 22,-2 30,-16 C22,-14 8,-4 0,22 Z",
    "fire|flame": "M0,-30 C10,-14 22,-4 18,12 C15,24 6,28 0,28 C-8,28 -18,22 -18,8 "
    "C-18,0 -12,-4 -10,-12 C-4,-8 -4,-20 0,-30 Z",
    "lightning|electr": "M6,-30 L-18,4 H-3 L-8,30 L18,-8 H3 Z",
    "time|clock": "M-20,-28 H20 L4,0 L20,28 H-20 L-4,0 Z",
    "telepath|thought|mind|memory": "M-28,0 a28,28 0 1,0 56,0 a28,28 0 1,0 -56,0 Z "
    "M-19,0 a19,19 0 1,0 38,0 a19,19 0 1,0 -38,0 Z M-10,0 a10,10 0 1,0 20,0 a10,10 0 1,0 -20,0 Z",
    "gold": "M-16,-12 H16 L26,14 H-26 Z M-8,-26 H8 L12,-16 H-12 Z",
    "invisib|shadow|night": "M10,-28 A28,28 0 1,0 10,28 A22,22 0 1,1 10,-28 Z",
    "teleport": "M-28,-4 H6 V-18 L28,0 L6,18 V4 H-28 Z",
    "water|ocean": "M0,-30 C12,-10 20,0 20,10 A20,20 0 1,1 -20,10 C-20,0 -12,-10 0,-30 Z",
    "immortal": "M0,0 C-10,-16 -28,-16 -28,0 C-28,16 -10,16 0,0 "
    "C10,-16 28,-16 28,0 C28,16 10,16 0,0 Z",
}


@dataclass(frozen=True)
class HeroCard:
    """A drawn card. Jupyter shows the picture; `alt` says the same in words."""

    svg: str
    alt: str

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return self.alt

    def __str__(self) -> str:
        return self.svg


def hero_card(text: str, age: int, gender: str, power: str) -> HeroCard:
    """Draw the card of a hero: portrait, name, wishes, description. Takes any text."""
    text, gender, power = _printable(text), _printable(gender), _printable(power)
    shown = text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"
    name = _clip(hero_name(text) or "A hero", 24)
    line = f"{age} · {_clip(gender, 16)} · {_clip(power, 30)}"
    lines = _wrap(shown or "(no description)", LINE_WIDTH)
    height = max(330, 112 + LINE_HEIGHT * len(lines) + MARGIN)
    look = hashlib.sha256(f"{name}|{age}|{gender}|{power}".encode()).digest()
    alt = f"Hero card: {name}, {age}, {gender}, with the power {power}. {shown}"
    left = PICTURE + MARGIN
    rows = "".join(
        f'<text x="{left}" y="{118 + LINE_HEIGHT * number}" font-size="16" fill="#2b2b33">'
        f"{escape(row)}</text>"
        for number, row in enumerate(lines)
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'style="max-width:100%;height:auto" role="img" aria-label="{escape(alt)}" '
        'font-family="Georgia, serif">'
        f"<title>{escape(f'{name}: {power}')}</title>"
        f'<rect x="2" y="2" width="{WIDTH - 4}" height="{height - 4}" rx="18" fill="#fffdf7" '
        'stroke="#2b2b33" stroke-width="3"/>'
        f"{_portrait(look, age, power, height)}"
        f'<text x="{left}" y="52" font-size="30" font-weight="bold" fill="#2b2b33">'
        f"{escape(name)}</text>"
        f'<text x="{left}" y="80" font-size="16" fill="{_colour(look[0], 0.7, 0.27)}">'
        f"{escape(line)}</text>"
        f"{rows}</svg>"
    )
    return HeroCard(svg, alt)


def _portrait(look: bytes, age: int, power: str, height: int) -> str:
    """The picture on the left: sky, cape, body, head, mask, emblem."""
    sky, cape = _colour(look[0], 0.45, 0.86), _colour(look[0] + 110, 0.65, 0.45)
    suit, dark = _colour(look[0] + 60, 0.5, 0.55), _colour(look[0] + 60, 0.5, 0.3)
    skin = ("#f6d7b8", "#e8b98f", "#c98d5f", "#9a6240", "#6d4129")[look[1] % 5]
    hair = "#d9d9de" if age >= 60 else ("#2a1d18", "#5b3320", "#8a5a2b", "#1c1c28")[look[2] % 4]
    x, y = PICTURE / 2 + 4, min(height / 2, 190) + 10
    sway = look[3] % 30 - 15
    rays = "".join(
        f'<path d="M{x},{y - 40} L{x + 260 * math.cos(a):.0f},{y - 40 + 260 * math.sin(a):.0f} '
        f'L{x + 260 * math.cos(a + 0.16):.0f},{y - 40 + 260 * math.sin(a + 0.16):.0f} Z" '
        'fill="#ffffff" opacity="0.45"/>'
        for a in (2 * math.pi * k / 12 + look[4] / 40 for k in range(12))
    )
    clip = f"card{look[:4].hex()}"
    return (
        f'<clipPath id="{clip}"><rect x="14" y="14" width="{PICTURE - 18}" height="{height - 28}" '
        f'rx="12"/></clipPath><g clip-path="url(#{clip})">'
        f'<rect width="{PICTURE}" height="{height}" fill="{sky}"/>{rays}'
        f'<path d="M{x - 34},{y - 16} C{x - 90 + sway},{y + 40} {x - 84 + sway},{y + 100} '
        f"{x - 70 + sway},{y + 136} Q{x},{y + 112} {x + 70 + sway},{y + 136} "
        f'C{x + 84 + sway},{y + 100} {x + 90 + sway},{y + 40} {x + 34},{y - 16} Z" fill="{cape}"/>'
        f'<path d="M{x - 42},{height} C{x - 46},{y + 40} {x - 52},{y - 4} {x},{y - 10} '
        f'C{x + 52},{y - 4} {x + 46},{y + 40} {x + 42},{height} H{x - 42} Z" fill="{suit}"/>'
        f'<circle cx="{x}" cy="{y - 48}" r="36" fill="{skin}"/>'
        f"{_hair(x, y - 48, hair, look[5])}"
        f"{_mask(x, y - 48, dark, look[6])}"
        f'<path d="M{x - 12},{y - 28} Q{x},{y - 20 + look[7] % 4} {x + 12},{y - 28}" fill="none" '
        'stroke="#7a3b2e" stroke-width="3" stroke-linecap="round"/>'
        f'<circle cx="{x}" cy="{y + 42}" r="27" fill="#fff3c4" stroke="{dark}" stroke-width="3"/>'
        f'<g transform="translate({x},{y + 42}) scale(0.62)" fill="{dark}" fill-rule="evenodd">'
        f'<path d="{emblem(power)}"/></g></g>'
    )


def _hair(x: float, y: float, colour: str, kind: int) -> str:
    shapes = (
        f"M{x - 38},{y} C{x - 44},{y - 52} {x + 44},{y - 52} {x + 38},{y} "
        f"C{x + 30},{y - 24} {x - 20},{y - 30} {x - 38},{y} Z",
        f"M{x - 40},{y + 34} C{x - 56},{y - 60} {x + 56},{y - 60} {x + 40},{y + 34} "
        f"C{x + 34},{y - 10} {x + 26},{y - 24} {x},{y - 24} C{x - 26},{y - 24} {x - 34},{y - 10} "
        f"{x - 40},{y + 34} Z",
        "".join(
            f"M{x + d},{y - 30} m-12,0 a12,12 0 1,0 24,0 a12,12 0 1,0 -24,0 Z "
            for d in (-26, -10, 8, 24)
        ),
        f"M{x - 36},{y - 8} L{x - 30},{y - 46} L{x - 12},{y - 34} L{x},{y - 52} L{x + 12},{y - 34} "
        f"L{x + 30},{y - 46} L{x + 36},{y - 8} C{x + 20},{y - 26} {x - 20},{y - 26} "
        f"{x - 36},{y - 8} Z",
    )
    return f'<path d="{shapes[kind % len(shapes)]}" fill="{colour}"/>'


def _mask(x: float, y: float, colour: str, kind: int) -> str:
    wing = 8 + kind % 10
    return (
        f'<path d="M{x - 38},{y - wing} Q{x},{y - 18} {x + 38},{y - wing} L{x + 32},{y + 8} '
        f'Q{x + 14},{y + 16} {x},{y + 4} Q{x - 14},{y + 16} {x - 32},{y + 8} Z" fill="{colour}"/>'
        f'<ellipse cx="{x - 14}" cy="{y - 2}" rx="7" ry="5" fill="#ffffff"/>'
        f'<ellipse cx="{x + 14}" cy="{y - 2}" rx="7" ry="5" fill="#ffffff"/>'
        f'<circle cx="{x - 13}" cy="{y - 2}" r="2.6" fill="#222222"/>'
        f'<circle cx="{x + 15}" cy="{y - 2}" r="2.6" fill="#222222"/>'
    )


def emblem(power: str) -> str:
    """The SVG path of a power's emblem: a picture of its own, else a star made from its name."""
    for pattern, path in EMBLEMS.items():
        if re.search(pattern, power.casefold()):
            return path
    seed = hashlib.sha256(power.casefold().encode()).digest()
    points, inner, turn = 4 + seed[0] % 6, 10 + seed[1] % 9, seed[2] / 40
    corners = [
        (r * math.cos(turn + math.pi * k / points), r * math.sin(turn + math.pi * k / points))
        for k, r in ((k, 29 if k % 2 == 0 else inner) for k in range(2 * points))
    ]
    return "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in corners) + " Z"


def _colour(hue: int, saturation: float, lightness: float) -> str:
    """A colour as #rrggbb; `hue` runs from 0 to 255 and around."""
    channels = colorsys.hls_to_rgb(hue % 256 / 256, lightness, saturation)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def _printable(text: str) -> str:
    """The text on one line, without the characters that no SVG may hold."""
    kept = (c if unicodedata.category(c)[0] != "C" else " " for c in str(text))
    return " ".join("".join(kept).split())


def _clip(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _width(text: str) -> int:
    """How many columns a text takes: East Asian characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _wrap(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` columns; words longer than a line are cut."""
    lines = [""]
    for word in text.split():
        if lines[-1] and _width(lines[-1]) + 1 + _width(word) <= width:
            lines[-1] += " " + word
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if _width(lines[-1]) + _width(character) > width:
                lines.append("")
            lines[-1] += character
    return lines
