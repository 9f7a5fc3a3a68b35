"""Two models on the same questions: counted, and judged by the sign test."""

from __future__ import annotations

import pytest

from helpers.comparing import Paired, compare, sign_test


def test_every_question_is_counted_once() -> None:
    first = [True, True, True, False, False]
    second = [True, False, False, True, False]
    pair = compare(first, second)
    assert pair == Paired(both=1, only_first=2, only_second=1, neither=1)
    assert str(pair) == "both 1, only the first 2, only the second 1, neither 1"


@pytest.mark.parametrize(("first", "second"), [([True], [True, False]), ([], [])])
def test_verdicts_that_do_not_belong_together_are_refused(
    first: list[bool], second: list[bool]
) -> None:
    with pytest.raises(ValueError, match="one each"):
        compare(first, second)


@pytest.mark.parametrize(
    ("one", "other", "chance"),
    [(0, 0, 1.0), (3, 3, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (6, 0, 2 / 64), (8, 2, 112 / 1024)],
)
def test_the_sign_test_counts_coins(one: int, other: int, chance: float) -> None:
    assert sign_test(one, other) == pytest.approx(chance)
    assert sign_test(other, one) == pytest.approx(chance), "both directions alike"


def test_what_chance_does_seldom_counts_as_a_difference() -> None:
    assert Paired(50, 6, 0, 4).told_apart
    assert not Paired(50, 5, 0, 5).told_apart
    with pytest.raises(ValueError, match="negative"):
        sign_test(-1, 3)
