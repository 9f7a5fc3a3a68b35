"""The experiment of notebook 08 about rows and steps with a larger base, three seeds each.

`python -m bench.experiments --base smollm2-135m-instruct` trains every recipe with the seeds 1, 2
and 3, asks each model for the forty heroes of the notebook, and writes a table, which the notebook
shows, to data/experiments.json. It is written after each training, so a run that was stopped goes
on where it was; `--minutes 9` begins no training after that time. Two cores take about a quarter
of an hour. `--fresh` begins anew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.common import own_sandbox
from bench.quality import answers, fine_tune, judged
from course.experiments import SEEDS, TABLE, Recipe, grid, heroes, scores
from helpers.connect import connect_async
from helpers.data import DATA, replace_text
from helpers.jsonl import short_prompt
from sandbox.bases import find_base

TEMPERATURE = 0.7


@dataclass
class Table:
    """The trainings so far, each with its recipe, seed and score, and how they were made."""

    made: dict[str, Any]
    trainings: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path, made: dict[str, Any]) -> Table:
        """The trainings in the file that are wanted; none, if they were made in another way."""
        if not path.is_file():
            return cls(made)
        kept = cls(**json.loads(path.read_text(encoding="utf-8")))
        if any(kept.made.get(key) != made[key] for key in made if key != "date"):
            return cls(made)
        recipes = recipes_of(made["base"])
        return cls(kept.made, [each for each in kept.trainings if recipe_of(each) in recipes])

    def write(self, path: Path) -> None:
        lines = ",\n  ".join(json.dumps(training) for training in self.trainings)
        made = json.dumps(self.made, indent=1)
        replace_text(path, f'{{\n"made": {made},\n"trainings": [\n  {lines}\n]\n}}\n')

    def missing(self, recipes: Sequence[Recipe]) -> list[tuple[Recipe, int]]:
        """What is still to be trained, recipe by recipe."""
        done = {(recipe_of(training), training["seed"]) for training in self.trainings}
        wanted = [(recipe, seed) for recipe in recipes for seed in SEEDS]
        return [key for key in wanted if key not in done]


def recipe_of(training: dict[str, Any]) -> Recipe:
    return Recipe(training["rows"], training["epochs"], training["rate"])


def recipes_of(base: str) -> list[Recipe]:
    """Rows with the same epochs, and the fewest rows with the steps of the most."""
    recipes = grid(int(find_base(base).advice["n_epochs"]))
    return [*recipes["same epochs"], recipes["same steps"][0]]


def train_and_ask(base: str, recipe: Recipe, seed: int) -> list[dict[str, Any]]:
    """One training, and how many of its model's answers are right, for each group of heroes."""
    rows = (DATA / "train.jsonl").read_bytes().splitlines(keepends=True)
    lines = random.Random(seed).sample(rows, recipe.rows)
    numbers = (recipe.rate, recipe.epochs, seed)
    model, _ = fine_tune(*numbers, base=base, lines=lines, validate=False)
    asked = heroes(seed=0)
    wanted = list(asked[["age", "gender", "power"]].itertuples(index=False, name=None))

    async def ask() -> Any:
        async with connect_async() as client:
            return await answers(client, model, [short_prompt(*one) for one in wanted], TEMPERATURE)

    verdicts = judged(asyncio.run(ask()), wanted, strict=False)["ok"]
    steps = -(-recipe.rows // int(find_base(base).advice["batch_size"])) * recipe.epochs
    training = recipe._asdict() | {"seed": seed, "steps": steps}
    return [training | score for score in scores(asked.assign(ok=verdicts))]


def how(base: str) -> dict[str, Any]:
    """How the table is made; it is kept with it."""
    return {
        "command": f"python -m bench.experiments --base {base}",
        "base": base,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}",
        "judge": "course.judge.fair",
        "temperature": TEMPERATURE,
        "questions": "course.experiments.heroes(seed=0), the development set",
        "usual_epochs": int(find_base(base).advice["n_epochs"]),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.experiments", description=__doc__)
    parser.add_argument("--base", default="smollm2-135m-instruct")
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no training after that")
    parser.add_argument("--fresh", action="store_true", help="forget the trainings in the file")
    options = parser.parse_args(arguments)
    table = Table.read(options.out, how(options.base))
    if options.fresh:
        table = Table(how(options.base))
    stop_at = time.monotonic() + 60 * options.minutes
    recipes = recipes_of(options.base)
    with own_sandbox():
        for recipe, seed in table.missing(recipes):
            if time.monotonic() > stop_at:
                break
            table.trainings += train_and_ask(options.base, recipe, seed)
            table.write(options.out)
            print(*table.trainings[-2:], flush=True)
    print(f"{len(table.missing(recipes))} trainings are missing.")


if __name__ == "__main__":
    main()
