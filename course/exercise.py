"""Exercises: a grading function checks what the learner made, one expectation at a time.

    @exercise("3.1")                     # title and hints: [3.1] in exercises.toml
    def split_by_power(rows):
        yield expect(len(rows) == 42, "42 rows", f"{len(rows)} rows")

What is expected is said in the words of the task, so that a message never gives the solution away.
"""

from __future__ import annotations

import json
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from helpers.data import my, my_folder, replace_text

TEXTS = tomllib.loads((Path(__file__).parent / "exercises.toml").read_text(encoding="utf-8"))
PASSED = "exercises.json"
WIDTH = 90  # characters of a line that is printed in a notebook
NOTHING = "Nothing was handed in: run the cell with your own code first."


class ProgressError(ValueError):
    """A step, a progress file or a notebook is not as it should be; the text has a remedy."""


# What a grading function yields: None for each expectation that is met, else what is wrong.
Expectations = Iterator[str | None]


def expect(met: object, wanted: str, seen: object = "something else") -> str | None:
    """None if this is met, else the sentence that says so; a long `seen` is shortened."""
    text = str(seen) if len(str(seen)) <= 120 else f"{str(seen)[:117]}..."
    return None if met else f"Expected {wanted}, saw {text}."


def is_number(value: object, kind: type = Real) -> bool:
    """Whether this is a number; True and False are none, although Python counts them as such."""
    return isinstance(value, kind) and not isinstance(value, bool)


def expect_job_on(lines: int, client: Any) -> str | None:
    """Expect a job that succeeded on so many lines among the latest twenty of an OpenAI client."""
    done = (job for job in client.fine_tuning.jobs.list(limit=20) if job.status == "succeeded")
    trained = {len(client.files.content(job.training_file).read().splitlines()) for job in done}
    seen = f"jobs on {', '.join(map(str, sorted(trained))) or 'no'} lines"
    return expect(lines in trained, f"a finished job on {lines} lines", seen)


class Check(NamedTuple):
    """The outcome of grading once. It counts as true when every expectation was met."""

    met: int
    problem: str | None

    def __bool__(self) -> bool:
        return self.problem is None


def wrapped(text: str) -> str:
    """The text in lines that a notebook shows whole; JupyterLab breaks longer ones within words."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


@dataclass
class Exercise:
    """A task with a grading function and three hints, from a nudge to nearly the solution."""

    number: str
    title: str
    grading: Callable[..., Iterable[str | None]]
    hints: Sequence[str]
    _hints_given: int = field(default=0, init=False, repr=False)

    def check(self, *artefacts: Any) -> None:
        """Grade what was made, print the outcome, and record a passed exercise."""
        outcome = self.grade(*artefacts)
        name = f"Exercise {self.number} ({self.title})"
        if outcome:
            print(f"{name}: done. All {outcome.met} checks passed.")
            note_passed(self.number)
        else:
            print(f"{name}: not yet.\n{wrapped(f'{outcome.problem} Stuck? Ask for a hint.')}")

    def grade(self, *artefacts: Any) -> Check:
        """Grade without printing: stops at the first expectation that is not met."""
        met = 0
        if any(artefact is ... for artefact in artefacts):
            return Check(met, NOTHING)
        try:
            for problem in self.grading(*artefacts):
                if problem:
                    return Check(met, problem)
                met += 1
        # A learner can hand in anything: the answer is a sentence, never a traceback.
        except Exception as error:  # noqa: BLE001
            if any(artefact is None for artefact in artefacts):
                return Check(met, NOTHING)
            kinds = ", ".join(type(artefact).__name__ for artefact in artefacts)
            told = f"could not be read: {type(error).__name__}: {error}."
            return Check(met, f"What was handed in ({kinds}) {told}")
        return Check(met, None if met else "There was nothing to check.")

    def hint(self) -> None:
        """Print the next of the three hints; after the third it stays there."""
        self._hints_given = min(self._hints_given + 1, 3)
        text = f"Hint {self._hints_given} of 3: {self.hints[self._hints_given - 1]}"
        print(wrapped(text))


def exercise(number: str) -> Callable[[Callable[..., Expectations]], Exercise]:
    """Make a grading function an exercise, with its title and hints from exercises.toml."""
    step, place = number.split(".")
    texts = TEXTS[step][place]
    return lambda grading: Exercise(number, texts["title"], grading, texts["hints"])


def numbers_of(step: str) -> list[str]:
    """The numbers of a step's exercises: "03" has "3.1", "3.2" and "3.3"."""
    return [f"{int(step)}.{place}" for place in TEXTS[str(int(step))]]


def passed() -> dict[str, str]:
    """The numbers of the exercises that were passed, with the moment it first happened.

    Raises ProgressError, with a remedy, if the file is damaged.
    """
    path = my_folder() / PASSED
    if not path.is_file():
        return {}
    try:
        return TypeAdapter(dict[str, str]).validate_json(path.read_bytes())
    except ValidationError as error:
        raise ProgressError(
            f"{path.parent.name}/{PASSED} is damaged ({error.errors()[0]['msg']}). Move it away; "
            "the exercises that you check from then on are noted again."
        ) from error


def note_passed(number: str) -> None:
    """Record that an exercise was passed; one that was passed before keeps its first moment."""
    with _record() as done:
        done.setdefault(number, datetime.now(UTC).isoformat(timespec="seconds"))


def forget(numbers: Iterable[str]) -> None:
    """Record that these exercises are open again."""
    with _record() as done:
        for number in numbers:
            done.pop(number, None)


@contextmanager
def _record() -> Iterator[dict[str, str]]:
    """The record, to be changed; two notebooks that do so at once wait for each other."""
    with FileLock(my(f".{PASSED}.lock")):
        done = passed()
        yield done
        replace_text(my(PASSED), json.dumps(done, indent=2) + "\n")
