"""A hand-written grammar that composes superhero descriptions.

The sentences stand in `powers.toml` (what only one power does) and `shared.toml` (what every
hero can have). `describe` picks one sentence for each part of a description and fills in the
hero, so every text states the age, fits the gender and speaks of one power only.
"""

import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GENDERS = ("man", "woman")
PRONOUNS = {
    "man": {"he": "he", "his": "his", "him": "him", "himself": "himself"},
    "woman": {"he": "she", "his": "her", "him": "her", "himself": "herself"},
}
MIN_WORDS, MAX_WORDS = 60, 100

# The parts of a description, in the order they are told. Every pattern shows the power at
# work, one limit of it, and why the hero bothers.
PATTERNS = (
    ("openings", "looks", "show", "deed", "limit", "motives"),
    ("openings", "looks", "show", "deed", "limit", "motives"),
    ("openings", "origins", "show", "deed", "limit", "motives"),
    ("openings", "origins", "looks", "show", "limit", "motives"),
    ("openings", "show", "looks", "deed", "limit", "motives"),
    ("openings", "looks", "origins", "deed", "limit", "motives"),
    ("openings", "looks", "show", "limit", "origins", "motives"),
)


@dataclass(frozen=True)
class Power:
    """One superpower: its name, how a sentence says it, and its own sentences."""

    name: str
    phrase: str
    in_data_set: bool
    show: tuple[str, ...]
    deed: tuple[str, ...]
    limit: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        return self.show + self.deed + self.limit


@dataclass(frozen=True)
class Hero:
    """Who is described: `age` in years, `gender` "man" or "woman"."""

    name: str
    age: int
    gender: str
    power: Power


@cache
def load(name: str) -> dict[str, Any]:
    """Read one of the grammar's TOML files."""
    return tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def powers() -> tuple[Power, ...]:
    """Every power the grammar knows, those of the data set first."""
    return tuple(
        Power(p["name"], p["phrase"], p["in_data_set"], *(tuple(p[k]) for k in PARTS))
        for p in load("powers")["power"]
    )


PARTS = ("show", "deed", "limit")


def stage(age: int) -> str:
    """The stage of life whose sentences fit this age."""
    return "young" if age <= 25 else "adult" if age <= 54 else "older" if age <= 79 else "elder"


def an_age(age: int) -> str:
    """The age as an adjective with its article: "a 40-year-old", "an 18-year-old"."""
    article = "an" if age in (8, 11, 18) or 80 <= age <= 89 else "a"
    return f"{article} {age}-year-old"


def shared(part: str, hero: Hero) -> list[str]:
    """The sentences of `shared.toml` for one part that fit the hero's age and gender."""
    table = load("shared")[part]
    return [s for key in ("all", stage(hero.age), hero.gender) for s in table.get(key, [])]


def random_hero(
    rng: random.Random,
    *,
    age: int | None = None,
    gender: str | None = None,
    power: Power | None = None,
) -> Hero:
    """A hero with everything left open drawn at random; ages run from 16 to 99."""
    gender = gender or rng.choice(GENDERS)
    return Hero(
        name=rng.choice(load("shared")["names"][gender]),
        age=age or rng.randint(16, 99),
        gender=gender,
        power=power or rng.choice(powers()),
    )


def fill(sentence: str, hero: Hero, rng: random.Random) -> str:
    """Put the hero into a sentence template."""
    values = {
        "name": hero.name,
        "man": hero.gender,
        "age": str(hero.age),
        "an_age": an_age(hero.age),
        "phrase": hero.power.phrase,
        "place": rng.choice(load("shared")["places"]["all"]),
        "work": rng.choice(shared("work", hero)),
    }
    for key, word in PRONOUNS[hero.gender].items():
        values[key] = word
        values[key.capitalize()] = word.capitalize()
    text = sentence.format_map(values)
    return text[0].upper() + text[1:]


def compose(hero: Hero, pattern: Sequence[str], rng: random.Random) -> str:
    """One description with the parts of `pattern`, no sentence used twice."""
    used: list[str] = []
    for part in pattern:
        choices = getattr(hero.power, part) if part in PARTS else shared(part, hero)
        used.append(rng.choice([s for s in choices if s not in used]))
    return " ".join(fill(s, hero, rng) for s in used)


def describe(hero: Hero, rng: random.Random) -> str:
    """A description of 60 to 100 words.

    A draw outside those bounds is thrown away and drawn again, which happens rarely.
    """
    while True:
        text = compose(hero, rng.choice(PATTERNS), rng)
        if MIN_WORDS <= len(re.findall(r"\S+", text)) <= MAX_WORDS:
            return text
