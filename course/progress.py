"""How far the learner has come: read from the files and the passed exercises in data/my.

show_progress()                      # in a notebook
heroes progress                      # in a terminal
heroes progress --json > ada.json    # for the teacher, who merges the reports of a class:
heroes board *.json
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import AwareDatetime, BaseModel, ValidationError

from course.exercise import ProgressError, forget, numbers_of, passed
from course.steps import STEPS
from helpers.data import my_folder
from helpers.settings import ROOT

State = Literal["done", "begun", "open"]
SIGNS: dict[State, str] = {"done": "[x]", "begun": "[/]", "open": "[ ]"}
NOTEBOOKS = ROOT / "notebooks"
SET_ASIDE = "set_aside"
REMEDY = "Make one with: heroes progress --json --name NAME"


class StepProgress(BaseModel):
    """One step of the course: which of its files are there, which exercises are passed."""

    step: str
    title: str = ""
    products: dict[str, bool]
    exercises: dict[str, bool]

    @property
    def state(self) -> State:
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
    print("\n".join(str(each) for each in found))
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
        field = ".".join(str(part) for part in first["loc"])
        what = f"the field '{field}': {first['msg']}" if field else first["msg"]
    except (OSError, UnicodeError) as error:
        what = str(error)
    raise ProgressError(f"{path.name} is not a progress report ({what}). {REMEDY}")


def reset(step: str, notebook: bool = False) -> list[str]:
    """Put a step back to its beginning, and return the paths of what was moved aside.

    The step's files move to data/my/set_aside, and its exercises are open again. With `notebook`,
    the edited notebook moves there too, and the version in git takes its place. Raises
    ProgressError, before anything is moved, for an unknown step or without a version in git.
    """
    chosen = next((each for each in STEPS if each.number == step.zfill(2)), None)
    if chosen is None:
        known = ", ".join(each.number for each in STEPS)
        raise ProgressError(f"There is no step {step.zfill(2)}. There are: {known}.")
    passed()  # a damaged record is refused before anything is moved
    original = _original(chosen.number) if notebook else None
    moment = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    aside = my_folder() / SET_ASIDE / f"{chosen.number}_{moment}"
    # Beside a table is the file of the rows that it was made from.
    names = [name for each in chosen.files for name in (each, f"{Path(each).stem}.rows.jsonl")]
    moved = [_set_aside(my_folder() / name, aside) for name in names]
    if original:
        path, content = original
        moved.append(_set_aside(path, aside))
        path.write_bytes(content)
    forget(numbers_of(chosen.number))
    return [str(path) for path in moved if path]


def _set_aside(path: Path, folder: Path) -> Path | None:
    if not path.is_file():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.move(path, folder / path.name))


def _original(step: str) -> tuple[Path, bytes]:
    """A notebook's path, and its content as git has it."""
    path = next(NOTEBOOKS.glob(f"{step}_*.ipynb"))
    name = path.relative_to(ROOT).as_posix()
    command = ["git", "show", f"HEAD:{name}"]
    try:
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ProgressError(
            f"git has no {name} here, so it cannot be brought back. Get a fresh copy of the course."
        ) from error
    return path, shown.stdout
