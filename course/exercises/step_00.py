"""The exercises of notebook 00: what is expected back, and three hints each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from course.exercise import Exercise, Expectation, expect
from course.grid import GENDERS

OLDEST = 120


def _hesitation(piece: Any, pieces: Sequence[Any]) -> Iterator[Expectation]:
    whole = hasattr(piece, "logprob") and hasattr(piece, "token")
    yield expect(whole, "one of the pieces, with its token and its logprob", type(piece).__name__)
    yield expect(
        any(piece is other for other in pieces), "a piece of this answer", "a piece of another one"
    )
    unsurer = sum(other.logprob < piece.logprob for other in pieces)
    seen = f"one with {unsurer} of the {len(pieces)} pieces below it"
    yield expect(unsurer == 0, "the piece with the smallest chance", seen)


def _note(note: str) -> Iterator[Expectation]:
    yield expect(isinstance(note, str), "a text in quotes", type(note).__name__)
    yield expect(note.endswith(" ->"), "a blank and an arrow (->) at the very end", repr(note[-8:]))
    parts = note.removesuffix(" ->").split(", ")
    seen = f"{len(parts)}: {parts}"
    yield expect(len(parts) == 3, "three parts with a comma and a blank between them", seen)
    age, gender, power = parts
    is_age = re.fullmatch(r"[1-9][0-9]{0,2}", age) and int(age) <= OLDEST
    yield expect(is_age, f"an age in digits, at most {OLDEST}, as the first part", repr(age))
    yield expect(gender in GENDERS, f"{' or '.join(GENDERS)} as the second part", repr(gender))
    named = re.search(r"[^\W\d_]", power) and power == power.strip()
    yield expect(named, "the name of a power as the third part", repr(power))


hesitation = Exercise(
    "0.1",
    "where the model hesitates",
    _hesitation,
    hints=(
        "A small chance has a small logprob. You are looking for the piece whose logprob is least.",
        "Python's min finds the least of a list, and key=… tells it what to compare.",
        "min(pieces, key=lambda piece: …), with the number to compare in place of the dots.",
    ),
)
note = Exercise(
    "0.2",
    "a note for your hero",
    _note,
    hints=(
        "Look at the course's note again: 40, woman, Healing ->. Yours has the same three parts.",
        "An age in digits, then man or woman, then a power. A comma and a blank stand between.",
        'my_note = "33, man, … ->", with a power of your choice in place of the dots.',
    ),
)
