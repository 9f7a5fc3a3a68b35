"""How far the learner has come: read from the files and the passed exercises in data/my.

show_progress()                      # in a notebook
heroes progress                      # in a terminal
heroes progress --json > ada.json    # for the teacher, who merges the reports of a class:
heroes board *.json
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import AwareDatetime, BaseModel, ValidationError

from course.exercise import ProgressError, numbers_of, passed
from course.steps import STEPS
from helpers.data import my_folder

SIGNS = {"done": "[x]", "begun": "[/]", "open": "[ ]"}


class StepProgress(BaseModel):
    """One step of the course: which of its files are there, which exercises are passed."""

    step: str
    title: str = ""
    products: dict[str, bool]
    exercises: dict[str, bool]

    @property
    def state(self) -> str:
        parts = [*self.products.values(), *self.exercises.values()]
        return "done" if parts and all(parts) else "begun" if any(parts) else "open"

    def __str__(self) -> str:
        parts = [f"{sum(self.exercises.values())} of {len(self.exercises)} exercises"]
        if self.products:
            parts.append(f"{sum(self.products.values())} of {len(self.products)} files")
        return f"{SIGNS[self.state]} {self.step} {self.title:<18}{', '.join(parts)}"


class Report(BaseModel):
    """What a learner hands to the teacher."""

    name: str
    made_at: AwareDatetime
    steps: list[StepProgress]


def progress() -> list[StepProgress]:
    """Every step with what is done of it. Reads files only, asks no server."""
    done, folder = passed(), my_folder()
    return [
        StepProgress(
            step=step.number,
            title=step.title,
            products={name: (folder / name).is_file() for name in step.files},
            exercises={number: number in done for number in numbers_of(step.number)},
        )
        for step in STEPS
    ]


def show_progress() -> None:
    """Print a line for each step, and what to do next."""
    found = progress()
    print(*found, sep="\n")
    following = next((each for each in found if each.state != "done"), None)
    print(f"Next: {following.step} {following.title}." if following else "You have done it all.")


def report(name: str) -> dict[str, Any]:
    """The learner's progress under a name, as `heroes progress --json` writes it."""
    made = Report(name=name, made_at=datetime.now(UTC), steps=progress())
    return made.model_dump(mode="json")


def board(paths: Iterable[str | Path]) -> pd.DataFrame:
    """A table with a row for each learner and a column for each step, from their reports.

    If a learner handed in twice, the newest report counts. Raises ProgressError, naming the file
    and the field, for a file that is not a report.
    """
    reports = sorted((_read(Path(path)) for path in paths), key=lambda each: each.made_at)
    newest = {each.name: {step.step: step.state for step in each.steps} for each in reports}
    table = pd.DataFrame.from_dict(newest, orient="index", dtype=object).fillna("open")
    table = table.sort_index(axis="index").sort_index(axis="columns").rename_axis("name")
    return table.assign(done=(table == "done").sum(axis="columns"))


def _read(path: Path) -> Report:
    try:
        return Report.model_validate_json(path.read_text(encoding="utf-8-sig"))
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
    except (OSError, UnicodeError) as error:
        what = str(error)
    raise ProgressError(
        f"{path.name} is not a progress report ({what}). "
        "Make one with: heroes progress --json --name NAME"
    )
