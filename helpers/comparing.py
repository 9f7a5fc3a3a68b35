"""Step 07: two models on the same questions, counted question by question."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import comb

SURE = 0.05


@dataclass(frozen=True)
class Paired:
    """How often both models passed a question, only one of them, or neither."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def chance(self) -> float:
        """How often chance alone would part the two at least as far (the sign test)."""
        return sign_test(self.only_first, self.only_second)

    @property
    def told_apart(self) -> bool:
        """Whether chance would do this in less than one case of twenty."""
        return self.chance < SURE

    def __str__(self) -> str:
        return (
            f"both {self.both}, only the first {self.only_first}, only the second "
            f"{self.only_second}, neither {self.neither}"
        )


def compare(first: Iterable[bool], second: Iterable[bool]) -> Paired:
    """Count two models' verdicts on the same questions, given in the same order.

    Raises ValueError if they are not equally many, or none.
    """
    ours, theirs = [bool(ok) for ok in first], [bool(ok) for ok in second]
    if len(ours) != len(theirs) or not ours:
        raise ValueError(f"{len(ours)} and {len(theirs)} verdicts: give one each for the same.")
    pairs = list(zip(ours, theirs, strict=True))
    return Paired(
        both=pairs.count((True, True)),
        only_first=pairs.count((True, False)),
        only_second=pairs.count((False, True)),
        neither=pairs.count((False, False)),
    )


def sign_test(one: int, other: int) -> float:
    """The chance that a fair coin, thrown once for each question on which only one model was
    right, falls as unevenly as `one` to `other`, or more so. 1.0 means no difference at all."""
    if one < 0 or other < 0:
        raise ValueError("Counts cannot be negative.")
    throws, most = one + other, max(one, other)
    tail = sum(comb(throws, heads) for heads in range(most, throws + 1))
    return min(1.0, 2 * tail / 2**throws)
