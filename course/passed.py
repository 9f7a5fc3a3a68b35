"""Which exercises are done: a small file beside the learner's other products."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from helpers.data import my, my_folder, replace_text

NAME = "exercises.json"


class ProgressError(ValueError):
    """A step, a file of progress or a notebook is not as it should be; says what to do."""


def passed() -> dict[str, str]:
    """The numbers of the exercises that were done, each with the moment it was first done.

    Raises ProgressError, with a remedy, if the file was damaged.
    """
    path = my_folder() / NAME
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(text, str) for text in [*found.keys(), *found.values()]):
            raise ValueError("it holds something else than texts")
    except (ValueError, AttributeError) as error:
        raise ProgressError(
            f"{path.parent.name}/{NAME} is damaged ({error}). Move it away; the exercises that "
            "you check from then on are noted again."
        ) from error
    return found


def note_passed(number: str) -> None:
    """Note that an exercise is done; one that was done before keeps its first moment."""
    done = passed()
    if number not in done:
        _write(done | {number: datetime.now(UTC).isoformat(timespec="seconds")})


def forget(numbers: list[str]) -> None:
    """Note that these exercises are open again."""
    done = passed()
    if set(numbers) & set(done):
        _write({number: moment for number, moment in done.items() if number not in numbers})


def _write(done: dict[str, str]) -> None:
    replace_text(my(NAME), json.dumps(done, indent=2) + "\n")
