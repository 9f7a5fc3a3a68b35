"""How much of a text stands word for word in one row."""

from __future__ import annotations

import pytest

from helpers.reciting import copied, copied_among, nearest_row, sequences

ROWS = [
    "She keeps bees and paints old doors in blue.",
    "He never flies before breakfast, and seldom after it.",
    "She keeps bees and paints small boats in green.",
]


def test_sequences_ignore_case_and_punctuation() -> None:
    assert sequences("She KEEPS bees, and paints!") == {("she", "keeps", "bees", "and", "paints")}
    assert sequences("Too short for five") == frozenset()
    assert len(sequences("one two three", length=2)) == 2
    with pytest.raises(ValueError, match="at least 1"):
        sequences("one", length=0)


def test_the_nearest_row_and_its_share() -> None:
    assert nearest_row(ROWS[1].upper(), ROWS) == (1.0, 1)
    share, row = nearest_row("She keeps bees and paints small cats.", ROWS)
    assert (share, row) == (pytest.approx(2 / 3), 2), "three sequences, two of them in row 2"
    assert nearest_row("Nothing of this stands in any row.", ROWS).share == 0
    assert nearest_row("Short.", ROWS).share == 0
    with pytest.raises(ValueError, match="no rows"):
        nearest_row("A text", [])


def test_it_is_one_row_that_counts_and_not_all_together() -> None:
    mixed = "She keeps bees and paints. He never flies before breakfast."
    assert nearest_row(mixed, ROWS).share == pytest.approx(1 / 6)


def test_many_texts_and_the_baseline_among_the_rows() -> None:
    assert copied([ROWS[0], "Something else that nobody ever wrote."], ROWS) == [1.0, 0.0]
    alike = copied_among(ROWS)
    assert alike[1] == 0.0, "a row is not compared with itself"
    assert alike[0] == alike[2] == pytest.approx(1 / 5)
