"""How far the learner has come: read from the products and the exercises in data/my.

show_progress()                      # in a notebook
heroes progress                      # in a terminal
heroes progress --json > ada.json    # for the teacher, who merges them:
heroes board *.json
"""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from course.exercise import Exercise
from course.passed import ProgressError, forget, passed
from helpers.data import my_folder
from helpers.settings import ROOT
from tools.roadmap import STEPS

State = Literal["done", "begun", "open"]
SIGNS: dict[State, str] = {"done": "[x]", "begun": "[/]", "open": "[ ]"}
NOTEBOOKS = ROOT / "notebooks"
SET_ASIDE = "set_aside"
MADE_BY = {
    "superheroes.csv": "02_synthetic_superheroes",
    "validation.csv": "02_synthetic_superheroes",
    "train.jsonl": "03_jsonl_preparation",
    "validation.jsonl": "03_jsonl_preparation",
    "train_completions.jsonl": "03_jsonl_preparation",
    "validation_completions.jsonl": "03_jsonl_preparation",
    "model.json": "06_prediction",
    "evaluation.csv": "07_evaluation",
    "errors_met.json": "10_when_things_go_wrong",
    "loss_by_hand.csv": "08_trainer_by_hand",
    "plan.json": "11_beyond_one_laptop",
    "comparison.csv": "09_retrieval_or_fine_tuning",
}
REMEDY = "Make one with: heroes progress --json --name NAME"


@dataclass(frozen=True)
class Progress:
    """One step of the road: which products are there, which exercises are done."""

    step: str
    title: str
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


def steps() -> list[str]:
    """The numbers of the steps that there are notebooks for: "00", "01" …"""
    return [path.name[:2] for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))]


def exercises_of(step: str) -> list[Exercise]:
    """The exercises of a step, in the order of their numbers."""
    try:
        module = importlib.import_module(f"course.exercises.step_{step}")
    except ModuleNotFoundError:
        return []
    found = [value for value in vars(module).values() if isinstance(value, Exercise)]
    return sorted(found, key=lambda exercise: [int(part) for part in exercise.number.split(".")])


def products_of(step: str) -> list[str]:
    """The files that a step leaves in data/my."""
    return [name for name, maker in MADE_BY.items() if maker.startswith(step)]


def progress() -> list[Progress]:
    """Every step with what is done of it. Reads only; asks no server."""
    done, folder = passed(), my_folder()
    return [
        Progress(
            step,
            STEPS[int(step)].title,
            {name: (folder / name).is_file() for name in products_of(step)},
            {exercise.number: exercise.number in done for exercise in exercises_of(step)},
        )
        for step in steps()
    ]


def show_progress() -> None:
    """Print a line for each step, and what to do next."""
    found = progress()
    print("\n".join(str(each) for each in found))
    following = next((each for each in found if each.state != "done"), None)
    print(f"Next: {following.step} {following.title}." if following else "You have done it all.")


def report(name: str) -> dict[str, Any]:
    """The learner's progress under a name, as `heroes progress --json` writes it."""
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    return {"name": name, "made_at": made_at, "steps": [asdict(each) for each in progress()]}


def board(paths: Iterable[str | Path]) -> pd.DataFrame:
    """A table with a row for each learner and a column for each step, from their reports.

    Where somebody handed in twice, the newest report counts. Raises ProgressError, naming the
    file and the field, for one that is not a report.
    """
    reports = sorted((_read(Path(path)) for path in paths), key=lambda each: each["made_at"])
    newest = {each["name"]: each for each in reports}
    table = pd.DataFrame(
        {name: _states(each["steps"]) for name, each in sorted(newest.items())}
    ).T.fillna("open")
    table = table.reindex(columns=sorted(table.columns)).rename_axis("name")
    return table.assign(done=(table == "done").sum(axis=1))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ProgressError(f"{path.name} is not a progress report ({error}). {REMEDY}") from error
    for field, kind in (("name", str), ("made_at", str), ("steps", list)):
        if not isinstance(found, dict) or not isinstance(found.get(field), kind):
            raise ProgressError(f"{path.name} has no good field '{field}'. {REMEDY}")
    try:
        _states(found["steps"])
    except (TypeError, KeyError, AttributeError) as error:
        raise ProgressError(f"{path.name}: 'steps' cannot be read ({error!r}). {REMEDY}") from error
    return found


def _states(found: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {
        each["step"]: Progress(each["step"], "", each["products"], each["exercises"]).state
        for each in found
    }


def reset(step: str, notebook: bool = False) -> list[str]:
    """Put a step back to its beginning; what was moved away comes back as a list of paths.

    The learner's products are moved to data/my/set_aside, and its exercises are open again. With
    `notebook`, the notebook itself is replaced by the one that git has, and the edited one is
    moved there, too. Raises ProgressError for a step that there is not.
    """
    step = step.zfill(2)
    if step not in steps():
        raise ProgressError(f"There is no step {step}. There are: {', '.join(steps())}.")
    moment = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    aside = my_folder() / SET_ASIDE / f"{step}_{moment}"
    # Beside a table stand the rows that it was made from.
    names = [name for each in products_of(step) for name in (each, f"{Path(each).stem}.rows.jsonl")]
    original = _original(step) if notebook else None
    moved = [_set_aside(my_folder() / name, aside) for name in names]
    if original:
        path, content = original
        moved.append(_set_aside(path, aside))
        path.write_bytes(content)
    forget([exercise.number for exercise in exercises_of(step)])
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
    try:
        shown = subprocess.run(
            ["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise ProgressError(
            f"git has no {name} here, so it cannot be brought back. Get a fresh copy of the course."
        ) from error
    return path, shown.stdout
