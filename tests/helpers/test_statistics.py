"""Intervals, paired comparisons and copied word sequences."""

from __future__ import annotations

import pandas as pd
import pytest

from helpers.statistics import (
    Paired,
    Rate,
    compare,
    copied,
    copied_among,
    nearest_row,
    pass_rate,
    sequences,
)

ROWS = [
    "She keeps bees and paints old doors in blue.",
    "He never flies before breakfast, and seldom after it.",
    "She keeps bees and paints small boats in green.",
]


@pytest.mark.parametrize(
    ("passed", "n", "low", "high"),
    # Wilson intervals as published: Newcombe 1998, table I, method 3, and by hand at the ends.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval(passed: int, n: int, low: float, high: float) -> None:
    rate = Rate(passed, n)
    assert (rate.low, rate.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    other = Rate(n - passed, n)
    assert (1 - other.high, 1 - other.low) == pytest.approx((rate.low, rate.high))


def test_more_right_answers_never_lower_the_interval() -> None:
    ends = [(Rate(passed, 25).low, Rate(passed, 25).high) for passed in range(26)]
    assert ends == sorted(ends)
    assert all(0 <= low < high <= 1 for low, high in ends)
    assert str(Rate(25, 25)) == "100% of 25 (95 % interval 87% to 100%)"


def test_pass_rate_counts_booleans_and_tables() -> None:
    assert pass_rate([True, False, True]) == Rate(2, 3)
    assert pass_rate(pd.DataFrame({"ok": [True, False]})) == Rate(1, 2)
    with pytest.raises(ValueError, match="no verdicts"):
        pass_rate([])


def test_every_question_is_counted_once() -> None:
    pair = compare([True, True, True, False, False], [True, False, False, True, False])
    assert pair == Paired(both=1, only_first=2, only_second=1, neither=1)
    assert str(pair) == "both 1, only the first 2, only the second 1, neither 1"
    for first, second in (([True], [True, False]), ([], [])):
        with pytest.raises(ValueError, match="one each"):
            compare(first, second)


@pytest.mark.parametrize(
    ("one", "other", "p_value"),
    [(0, 0, 1.0), (3, 3, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (6, 0, 2 / 64), (8, 2, 112 / 1024)],
)
def test_the_p_value_counts_coins(one: int, other: int, p_value: float) -> None:
    assert Paired(50, one, other, 4).p_value == pytest.approx(p_value)
    assert Paired(0, other, one, 9).p_value == pytest.approx(p_value), "both directions alike"
    assert Paired(50, one, other, 4).significant == (p_value < 0.05)


def test_sequences_ignore_case_and_punctuation() -> None:
    assert sequences("She KEEPS bees, and paints!") == {("she", "keeps", "bees", "and", "paints")}
    assert sequences("Too short for five") == frozenset()
    assert len(sequences("one two three", length=2)) == 2


def test_the_nearest_row_and_its_share() -> None:
    assert nearest_row(ROWS[1].upper(), ROWS) == (1.0, 1)
    share, row = nearest_row("She keeps bees and paints small cats.", ROWS)
    assert (share, row) == (pytest.approx(2 / 3), 2), "three sequences, two of them in row 2"
    assert nearest_row("Short.", ROWS)[0] == 0
    mixed = "She keeps bees and paints. He never flies before breakfast."
    assert nearest_row(mixed, ROWS)[0] == pytest.approx(1 / 6), "one row, not all together"


def test_copied_and_its_baseline() -> None:
    assert copied([ROWS[0], "Something else that no one ever wrote."], ROWS) == [1.0, 0.0]
    assert copied_among(ROWS) == [pytest.approx(0.2), 0.0, pytest.approx(0.2)]
