"""The progress of a class: each learner hands in a report, the teacher merges them.

heroes progress --json > ada.json
heroes board *.json
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import AwareDatetime, BaseModel, ValidationError

from course.exercise import ProgressError
from course.progress import StepProgress, progress
from helpers.settings import read_saved_text


class Report(BaseModel):
    """What a learner hands to the teacher."""

    name: str
    made_at: AwareDatetime
    steps: list[StepProgress]


def report(name: str) -> dict[str, Any]:
    """The learner's progress under a name, as `heroes progress --json` writes it."""
    return Report(name=name, made_at=datetime.now(UTC), steps=progress()).model_dump(mode="json")


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
        return Report.model_validate_json(read_saved_text(path))  # PowerShell's > writes UTF-16
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
    except OSError as error:
        what = str(error)
    raise ProgressError(
        f"{path.name} is not a progress report ({what}). "
        "Make one with: heroes progress --json --name NAME"
    )
