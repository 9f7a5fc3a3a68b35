"""Compose data/hero_facts.csv, the cards of notebook 09, from the base model's own word lists.

    python tools/hero_facts.py

Thirty heroes are there when a model is trained on facts; the others are added afterwards. No two
share a name, an age or a power, so that a right answer is hardly ever a lucky one.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd

from helpers.data import DATA, replace_text
from sandbox.base_model import grammar

SEED = 9
KNOWN = 30
AGES = range(16, 100)


def hero_cards(seed: int = SEED) -> pd.DataFrame:
    """One card for each power: card, name, age, gender, power, home, work, added."""
    rng = random.Random(seed)
    powers = rng.sample(grammar.powers(), len(grammar.powers()))
    names = {gender: rng.sample(pool, len(pool)) for gender, pool in _names().items()}
    ages = rng.sample(AGES, len(powers))
    homes = grammar.load("shared")["places"]["all"]
    rows = []
    for number, (power, age) in enumerate(zip(powers, ages, strict=True), start=1):
        gender = grammar.GENDERS[number % 2]
        hero = grammar.Hero(names[gender].pop(), age, gender, power)
        rows.append(
            {
                "card": number,
                "name": hero.name,
                "age": age,
                "gender": gender,
                "power": power.phrase,
                "home": rng.choice(homes),
                "work": rng.choice(grammar.shared("work", hero)),
                "added": "before training" if number <= KNOWN else "after training",
            }
        )
    return pd.DataFrame(rows)


def _names() -> dict[str, list[str]]:
    return grammar.load("shared")["names"]


def main() -> None:
    replace_text(DATA / "hero_facts.csv", hero_cards().to_csv(index=False))


if __name__ == "__main__":
    main()
