"""Compose data/hero_facts.csv, the facts of notebook 10, from the base model's own word lists.

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
    shared = grammar.load("shared")
    powers = rng.sample(grammar.powers(), len(grammar.powers()))
    names = {gender: rng.sample(pool, len(pool)) for gender, pool in shared["names"].items()}
    ages = rng.sample(AGES, len(powers))
    rows = []
    for number, (power, age) in enumerate(zip(powers, ages, strict=True), start=1):
        gender = grammar.GENDERS[number % 2]
        hero = grammar.Hero(names[gender].pop(), age, gender, power)
        home, work = rng.choice(shared["places"]["all"]), rng.choice(grammar.shared("work", hero))
        added = "before training" if number <= KNOWN else "after training"
        rows.append((number, hero.name, age, gender, power.phrase, home, work, added))
    return pd.DataFrame(rows, columns="card name age gender power home work added".split())


if __name__ == "__main__":
    replace_text(DATA / "hero_facts.csv", hero_cards().to_csv(index=False))
