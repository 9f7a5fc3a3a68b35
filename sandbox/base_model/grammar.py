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
AGES = range(1, 121)
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
PARTS = ("show", "deed", "limit")  # those that a power of the data set has sentences of its own for
OWN_SHARE = 0.75  # how often such a power takes its own sentence; else one that fits any power


@dataclass(frozen=True)
class Power:
    """One superpower: its name, how a sentence says it, and its own sentences, if it has any."""

    name: str
    phrase: str
    show: tuple[str, ...] = ()
    deed: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        return self.show + self.deed + self.limit

    @property
    def in_data_set(self) -> bool:
        return bool(self.sentences)

    @property
    def family(self) -> str:
        """ "doing" for a power such as "painting clouds", "having" for any other.

        A capital makes a name of it: "Painting Clouds" is something that a hero has.
        """
        first = self.phrase.split()[0]
        is_doing = re.fullmatch(r"[a-z]+ing", first) and first not in words("not_doing")
        return "doing" if is_doing else "having"


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
def words(name: str) -> tuple[str, ...]:
    """One list of `words.toml`."""
    return tuple(load("words")[name].split())


@cache
def data_set_powers() -> tuple[Power, ...]:
    """The powers that have sentences of their own."""
    return tuple(
        Power(p["name"], p["phrase"], *(tuple(p[part]) for part in PARTS))
        for p in load("powers")["power"]
    )


@cache
def powers() -> tuple[Power, ...]:
    """Every power the course asks for: those of the data set, then those of which the corpus
    never speaks."""
    return *data_set_powers(), *(Power(name, name.lower()) for name in load("powers")["unheard"])


def stage(age: int) -> str:
    """The stage of life whose sentences fit this age."""
    ends = {12: "child", 25: "young", 54: "adult", 79: "older"}
    return next((name for end, name in ends.items() if age <= end), "elder")


def an_age(age: int) -> str:
    """The age as an adjective with its article: "a 40-year-old", "an 18-year-old"."""
    article = "an" if age in (8, 11, 18) or 80 <= age <= 89 else "a"
    return f"{article} {age}-year-old"


def shared(part: str, hero: Hero) -> list[str]:
    """The sentences of `shared.toml` for one part that fit the hero."""
    table = load("shared")[part]
    keys = ("all", stage(hero.age), hero.gender, hero.power.family)
    return [s for key in keys for s in table.get(key, [])]


def random_hero(
    rng: random.Random,
    *,
    age: int | None = None,
    gender: str | None = None,
    power: Power | None = None,
) -> Hero:
    """A hero with everything left open drawn at random."""
    gender = gender or rng.choice(GENDERS)
    return Hero(
        name=rng.choice(load("shared")["names"][gender]),
        age=age or rng.choice(AGES),
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
        "years_old": "1 year old" if hero.age == 1 else f"{hero.age} years old",
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
        own = hero.power.in_data_set and part in PARTS and rng.random() < OWN_SHARE
        choices = getattr(hero.power, part) if own else shared(part, hero)
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
