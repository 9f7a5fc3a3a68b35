"""The exercises of notebook 08."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from openai import OpenAI

from course.exercise import Expectations, exercise, expect
from course.experiments import SEEDS, Recipe

BATCH = 8
COLUMNS = ("rows", "epochs", "rate", "seed", "right", "n")
PLANS = (
    ("more epochs", [Recipe(60, 4), Recipe(60, 8)], {"epochs", "steps"}),
    ("more rows, the same epochs", [Recipe(32, 4), Recipe(64, 4)], {"rows", "steps"}),
    ("more rows, the same steps", [Recipe(32, 8), Recipe(64, 4)], {"rows", "epochs"}),
    ("another rate", [Recipe(60, 4, 0.25), Recipe(60, 4), Recipe(60, 4, 4.0)], {"rate"}),
    ("57 rows or 64", [Recipe(57, 4), Recipe(64, 4)], {"rows"}),
    ("one recipe", [Recipe(60, 4)], set()),
    ("all at once", [Recipe(16, 4), Recipe(64, 2, 4.0)], {"rows", "epochs", "rate", "steps"}),
)
VALUES = 3


@exercise("8.1")
def what_varies(varies: Callable[..., set[str]]) -> Expectations:
    yield expect(callable(varies), "a function", type(varies).__name__)
    for what, recipes, wanted in PLANS:
        found = varies(list(recipes), BATCH)
        yield expect(isinstance(found, set), "a set of names", type(found).__name__)
        seen = ", ".join(sorted(map(str, found))) or "nothing"
        names = ", ".join(sorted(wanted)) or "nothing"
        yield expect(found == wanted, f'{names} to vary in the plan "{what}"', seen)


@exercise("8.2")
def own_experiment(table: Any, client: OpenAI) -> Expectations:
    yield expect(isinstance(table, pd.DataFrame), "a table", type(table).__name__)
    missing = [name for name in COLUMNS if name not in table.columns]
    yield expect(not missing, "a table as measure gives it", f"none of {', '.join(missing)}")
    varied = [name for name in ("rows", "epochs", "rate") if table[name].nunique() > 1]
    yield expect(len(varied) == 1, "one thing to vary", ", ".join(varied) or "nothing")
    values = table.groupby(varied[0])["seed"].nunique()
    yield expect(len(values) >= VALUES, f"{VALUES} values of {varied[0]}", len(values))
    fewest = int(values.min())
    yield expect(fewest >= len(SEEDS), f"{len(SEEDS)} seeds for each value", fewest)
    ended = {
        (job.metadata or {}).get("rows")
        for job in client.fine_tuning.jobs.list(limit=100)
        if job.status == "succeeded"
    }
    unknown = {str(rows) for rows in table["rows"]} - ended
    seen = f"none on {', '.join(sorted(unknown))} rows"
    yield expect(not unknown, "finished jobs for all of the table", seen)
