"""Step 07: does a model write, or does it recite its training file?

Two texts are compared by the sequences of five words that they share. All descriptions resemble
each other a little, so read the shares beside a baseline: those of texts that copied nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from course.wording import words

LENGTH = 5
NEAR_COPY = 0.5  # half of a text's sequences stand in one and the same row

Sequences = frozenset[tuple[str, ...]]


class Nearest(NamedTuple):
    """The row that a text has most in common with, and the share of the text found in it."""

    share: float
    row: int


def sequences(text: str, length: int = LENGTH) -> Sequences:
    """Every run of `length` words in a text, in lower case and without punctuation."""
    if length < 1:
        raise ValueError(f"length must be at least 1, not {length}.")
    said = words(text.casefold())
    return frozenset(tuple(said[i : i + length]) for i in range(len(said) - length + 1))


def nearest_row(text: str, rows: Sequence[str], length: int = LENGTH) -> Nearest:
    """The row with the largest share (0 to 1) of the text's word sequences.

    A text shorter than `length` words has none: its share is 0. Raises ValueError without rows.
    """
    return nearest_of(sequences(text, length), [sequences(row, length) for row in rows])


def nearest_of(mine: Sequences, shelf: Sequence[Sequences]) -> Nearest:
    """`nearest_row` for texts that were cut into sequences before."""
    if not shelf:
        raise ValueError("There are no rows to compare with.")
    shares = [len(mine & row) / max(1, len(mine)) for row in shelf]
    best = max(range(len(shelf)), key=shares.__getitem__)
    return Nearest(shares[best], best)


def copied(texts: Sequence[str], rows: Sequence[str]) -> list[float]:
    """For each text, the share of it that stands in its nearest row."""
    shelf = [sequences(row) for row in rows]
    return [nearest_of(sequences(text), shelf).share for text in texts]


def copied_among(rows: Sequence[str]) -> list[float]:
    """For each row, the share of it that stands in the nearest *other* row: the baseline."""
    shelf = [sequences(row) for row in rows]
    return [nearest_of(one, shelf[:i] + shelf[i + 1 :]).share for i, one in enumerate(shelf)]
