"""Exercises with a verdict: a check grades what the learner made, line by plain line.

A check is a function that takes the artefact (a table, a path, a job …) and yields what it
expects of it, one `expect(…)` at a time:

    def grade(rows):
        yield expect(len(rows) == 42, "42 rows", f"{len(rows)} rows")

    split = Exercise("3.1", "split by power", grade, hints=("Look at …", "Try …", "Write …"))
    split.check(my_rows)    # Exercise 3.1 (split by power): not yet. Expected 42 rows, saw 40.
    split.hint()            # the next of three hints

What is expected is said in words of the task, so a verdict never gives the solution away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from course.passed import note_passed

NOTHING = "Nothing was handed in: run the cell with your own code first."


@dataclass(frozen=True)
class Expectation:
    """One thing a check asks for: was it met, what was wanted, what was there instead."""

    met: bool
    wanted: str
    seen: str


def expect(met: object, wanted: str, seen: object = "something else") -> Expectation:
    """An expectation for a grading function to yield; `seen` is shortened if it is long."""
    text = str(seen)
    return Expectation(bool(met), wanted, text if len(text) <= 120 else text[:117] + "...")


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check. It counts as true when everything was met."""

    met: int
    problem: str | None

    def __bool__(self) -> bool:
        return self.problem is None


@dataclass
class Exercise:
    """A task with a grading function and three hints, from a nudge to nearly the solution."""

    number: str
    title: str
    grade: Callable[..., Iterable[Expectation]]
    hints: tuple[str, str, str]
    _next_hint: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.hints) != 3 or not all(hint.strip() for hint in self.hints):
            raise ValueError(f"Exercise {self.number} needs three hints.")

    def check(self, *artefacts: Any) -> None:
        """Grade what was made, print the verdict in one line, and note an exercise as done."""
        verdict = self.verdict(*artefacts)
        name = f"Exercise {self.number} ({self.title})"
        if verdict:
            print(f"{name}: done. All {verdict.met} checks passed.")
            note_passed(self.number)
        else:
            print(f"{name}: not yet. {verdict.problem} Stuck? Ask for a hint.")

    def verdict(self, *artefacts: Any) -> Verdict:
        """Grade without printing: stops at the first expectation that is not met."""
        met = 0
        if any(artefact is ... for artefact in artefacts):
            return Verdict(met, NOTHING)
        try:
            for expectation in self.grade(*artefacts):
                if not expectation.met:
                    return Verdict(met, f"Expected {expectation.wanted}, saw {expectation.seen}.")
                met += 1
        # Whatever is handed in, the learner gets a sentence and no traceback.
        except Exception as error:  # noqa: BLE001
            return Verdict(met, self._unreadable(artefacts, error))
        return Verdict(met, None if met else "There was nothing to check.")

    def _unreadable(self, artefacts: tuple[Any, ...], error: Exception) -> str:
        if any(artefact is None for artefact in artefacts):
            return NOTHING
        kinds = ", ".join(type(artefact).__name__ for artefact in artefacts) or "nothing"
        return f"What was handed in ({kinds}) could not be read: {type(error).__name__}: {error}."

    def hint(self, level: int | None = None) -> None:
        """Print the next hint, or the one at `level` (1 to 3); after the last it stays there."""
        if level is not None and level not in (1, 2, 3):
            raise ValueError("There are three hints: 1, 2 and 3.")
        index = self._next_hint if level is None else level - 1
        print(f"Hint {index + 1} of 3: {self.hints[index]}")
        self._next_hint = min(index + 1, 2)
