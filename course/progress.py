"""How far the learner has come: read from the files and the passed exercises in data/my.

`show_progress()` in a notebook, `heroes progress` in a terminal.
"""

from __future__ import annotations

from pydantic import BaseModel

from course.exercise import numbers_of, passed
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
