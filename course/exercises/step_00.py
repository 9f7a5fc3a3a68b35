"""The exercises of notebook 00."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from course.exercise import Expectations, exercise, expect
from course.grid import GENDERS


@exercise("0.1")
def least_probable(piece: Any, pieces: Sequence[Any]) -> Expectations:
    whole = hasattr(piece, "logprob") and hasattr(piece, "token")
    yield expect(whole, "one of the pieces, with its token and its logprob", type(piece).__name__)
    inside = any(piece is other for other in pieces)
    yield expect(inside, "a piece of this answer", "a piece of another one")
    unsurer = sum(other.logprob < piece.logprob for other in pieces)
    seen = f"one with {unsurer} of the {len(pieces)} pieces below it"
    yield expect(unsurer == 0, "the piece with the smallest chance", seen)


@exercise("0.2")
def prompt(note: str) -> Expectations:
    yield expect(isinstance(note, str), "a text in quotes", type(note).__name__)
    yield expect(note.endswith(" ->"), "a blank and an arrow (->) at the very end", repr(note[-8:]))
    parts = note.removesuffix(" ->").split(", ")
    seen = f"{len(parts)}: {parts}"
    yield expect(len(parts) == 3, "three parts with a comma and a blank between them", seen)
    age, gender, power = parts
    is_age = re.fullmatch(r"[1-9][0-9]{0,2}", age) and int(age) <= 120
    yield expect(is_age, "an age in digits, at most 120, as the first part", repr(age))
    yield expect(gender in GENDERS, f"{' or '.join(GENDERS)} as the second part", repr(gender))
    named = re.search(r"[^\W\d_]", power) and power == power.strip()
    yield expect(named, "the name of a power as the third part", repr(power))
