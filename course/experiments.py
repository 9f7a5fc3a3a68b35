"""Notebook 08: trainings that differ in one thing, each with three seeds, and what they get right.

The notebook trains superhero-mini. `python -m bench.experiments` does the same with a larger base
and keeps the table that the notebook shows beside it, in data/experiments.json.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from course.grid import AGES, GENDERS, POWERS
from helpers.data import DATA
from helpers.live import progress_bar
from helpers.statistics import Rate

SEEDS = (1, 2, 3)
KNOWN, OTHERS = "like the file", "other powers and ages"  # two groups of heroes
# In no training file, and superhero-mini has never read of them (a test holds that). Choices are
# made on the first twenty; the others are asked once, at the end.
DEVELOPMENT = (
    *("yodelling", "proofreading", "whale songs", "bee keeping", "crossword puzzles"),
    *("opening stuck jars", "speaking Icelandic", "plumbing", "laser eyes", "haggling"),
    *("trigonometry", "turning pages from afar", "bookbinding", "summoning butterflies"),
    *("parallel parking", "levitation", "sourdough", "hypnosis", "catching falling cups"),
    "sniffing out lies",
)
TEST = (
    *("juggling", "knitting", "public speaking", "whistling", "folding maps", "speed reading"),
    *("making perfect pancakes", "talking to plants", "paper planes", "sword fighting"),
    *("tap dancing", "debugging", "ironing shirts", "finding lost keys", "growing tomatoes"),
    *("baking bread", "sand storms", "heat vision", "tasting colours", "waking up early"),
)
TABLE = DATA / "experiments.json"


class Recipe(NamedTuple):
    """What a training takes: how many rows, how many epochs, how many times the usual rate."""

    rows: int
    epochs: int
    rate: float = 1.0


def grid(usual: int) -> dict[str, list[Recipe]]:
    """The experiments by name, for a base whose jobs usually have so many epochs.

    Each varies one thing, but for the first two: more rows mean more steps, or fewer epochs.
    """
    return {
        "same epochs": [Recipe(rows, usual) for rows in (30, 60, 120)],
        "same steps": [Recipe(rows, 120 // rows * usual) for rows in (30, 60, 120)],
        "rate": [Recipe(60, 2 * usual, rate) for rate in (0.25, 1.0, 4.0)],
        "epochs": [Recipe(30, times * usual) for times in (1, 2, 4)],
    }


def heroes(seed: int, others: Sequence[str] = DEVELOPMENT) -> pd.DataFrame:
    """Forty heroes: twenty as in the training file, and twenty of other powers and ages."""
    chance = random.Random(seed)
    new = [age for age in range(16, 100) if age not in AGES]
    known = (POWERS * 3)[: len(others)]
    drawn = [
        (group, chance.choice(ages), chance.choice(GENDERS), power)
        for group, ages, powers in ((KNOWN, AGES, known), (OTHERS, new, others))
        for power in powers
    ]
    return pd.DataFrame(drawn, columns=["group", "age", "gender", "power"])


def measure(
    client: OpenAI,
    recipes: Iterable[Recipe],
    create: Callable[[Recipe, int], FineTuningJob],
    ask: Callable[[str], pd.DataFrame],
    known: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Train every recipe with every seed and ask each model, under a bar.

    `create` makes a job of a recipe and a seed, or finds that of the last time. `ask` gives a table
    of a model's answers, with the columns `group` and `ok`. Two rows for each training come back,
    one for each group, behind those of `known`, whose recipes are not measured again.
    """
    before = [] if known is None else [known]
    new = [one for one in dict.fromkeys(recipes) if not before or of(known, [one]).empty]
    jobs = {(recipe, seed): create(recipe, seed) for recipe in new for seed in SEEDS}
    rows: list[dict[str, Any]] = []
    with progress_bar(len(jobs), 0, "training") as bar:
        for (recipe, seed), job in jobs.items():
            model = finished(client, job.id)
            [last] = client.fine_tuning.jobs.checkpoints.list(job.id, limit=1).data
            training = {**recipe._asdict(), "seed": seed, "steps": last.step_number}
            rows += [training | score for score in scores(ask(model))]
            bar.update()
    return pd.concat([*before, pd.DataFrame(rows)], ignore_index=True)


def scores(answers: pd.DataFrame) -> list[dict[str, Any]]:
    """For each group of heroes, how many answers are right, and of how many."""
    groups = answers.groupby("group", sort=False)["ok"]
    return [{"group": name, "right": int(ok.sum()), "n": len(ok)} for name, ok in groups]


def finished(client: OpenAI, job_id: str, *, every: float = 0.2, most: float = 1800.0) -> str:
    """Wait without a word until a job has succeeded; its model's name comes back.

    Raises RuntimeError if it ends otherwise, is paused, or needs more than `most` seconds.
    """
    stop_at = time.monotonic() + most
    while True:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if job.status == "succeeded" and job.fine_tuned_model:
            return job.fine_tuned_model
        if job.status in ("failed", "cancelled", "paused") or time.monotonic() > stop_at:
            raise RuntimeError(f"The job {job.id} is {job.status}: {job.error}")
        time.sleep(every)


def of(table: pd.DataFrame, recipes: Sequence[Recipe]) -> pd.DataFrame:
    """The table's rows that belong to these recipes."""
    keys = zip(table["rows"], table["epochs"], table["rate"], strict=True)
    return table[[key in recipes for key in keys]]


def pooled(table: pd.DataFrame) -> dict[str, Rate]:
    """The pass rate of each group, the answers of all trainings together."""
    sums = table.groupby("group", sort=False)[["right", "n"]].sum()
    return {str(group): Rate(int(row.right), int(row.n)) for group, row in sums.iterrows()}


def shipped() -> tuple[pd.DataFrame, dict[str, Any]]:
    """The trainings of the larger base in data/experiments.json, and how they were made."""
    content = json.loads(TABLE.read_text(encoding="utf-8"))
    return pd.DataFrame(content["trainings"]), content["made"]
