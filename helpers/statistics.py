"""How far a score can be trusted, whether two models differ, and what a text has copied."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, sqrt

import pandas as pd

Z = 1.959964  # a normal variable is less than this far from its mean in 95 of 100 cases
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")  # "40-year-old" and "don't" are one each


@dataclass(frozen=True)
class Rate:
    """`passed` of `n`, with Wilson's 95 % interval: it holds for small n and near 0 and 100 %."""

    passed: int
    n: int

    @property
    def share(self) -> float:
        return self.passed / self.n

    @property
    def low(self) -> float:
        return max(0.0, self._end(-1))

    @property
    def high(self) -> float:
        return min(1.0, self._end(+1))

    def _end(self, sign: int) -> float:
        half = Z * sqrt(self.passed * (self.n - self.passed) / self.n + Z**2 / 4)
        return (self.passed + Z**2 / 2 + sign * half) / (self.n + Z**2)

    def __str__(self) -> str:
        return f"{self.share:.0%} of {self.n} (95 % interval {self.low:.0%} to {self.high:.0%})"


def pass_rate(passed: pd.DataFrame | Iterable[bool]) -> Rate:
    """The share of passed texts: booleans, or a table with a column `ok` such as a judge's.

    Raises ValueError when there is nothing to count.
    """
    verdicts = [bool(ok) for ok in (passed["ok"] if isinstance(passed, pd.DataFrame) else passed)]
    if not verdicts:
        raise ValueError("There are no verdicts to count.")
    return Rate(sum(verdicts), len(verdicts))


@dataclass(frozen=True)
class Paired:
    """How often both models passed a question, only one of them, or neither."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def p_value(self) -> float:
        """How often two equally good models would differ at least this much (exact McNemar test).

        Each question that only one model passed is a fair coin: how often do so many coins fall
        as unevenly as these, or more so? 1.0 means no difference at all.
        """
        coins, most = self.only_first + self.only_second, max(self.only_first, self.only_second)
        tail = sum(comb(coins, heads) for heads in range(most, coins + 1))
        return min(1.0, 2 * tail / 2**coins)

    @property
    def significant(self) -> bool:
        """Whether the p-value is below 0.05, the usual limit."""
        return self.p_value < 0.05

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
    kinds = ((True, True), (True, False), (False, True), (False, False))
    return Paired(*(pairs.count(kind) for kind in kinds))


@lru_cache(maxsize=10_000)  # rows are compared with many texts
def sequences(text: str, length: int = 5) -> frozenset[tuple[str, ...]]:
    """Every run of `length` words in a text, in lower case and without punctuation."""
    words = WORD.findall(text.casefold())
    return frozenset(zip(*(words[start:] for start in range(length)), strict=False))


def nearest_row(text: str, rows: Sequence[str]) -> tuple[float, int]:
    """The largest share (0 to 1) of the text's word sequences that one row has, and which row.

    A text of fewer than five words has none: its share is 0.
    """
    mine = sequences(text)
    shares = [len(mine & sequences(row)) / max(1, len(mine)) for row in rows]
    return max(shares), shares.index(max(shares))


def copied(texts: Sequence[str], rows: Sequence[str]) -> list[float]:
    """For each text, the share of it that also occurs in its nearest row."""
    return [nearest_row(text, rows)[0] for text in texts]


def copied_among(rows: Sequence[str]) -> list[float]:
    """For each row, the share of it that occurs in the nearest *other* row: the baseline."""
    return [nearest_row(row, [*rows[:i], *rows[i + 1 :]])[0] for i, row in enumerate(rows)]
