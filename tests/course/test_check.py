from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from course.exercise import Exercise, Expectation, expect


def grade(rows: Any) -> Iterator[Expectation]:
    yield expect(isinstance(rows, list), "a list", type(rows).__name__)
    yield expect(len(rows) == 3, "3 rows", f"{len(rows)} rows")
    yield expect(all(row["age"] > 17 for row in rows), "grown-up heroes only", rows)


@pytest.fixture
def exercise() -> Exercise:
    return Exercise("2.1", "three heroes", grade, ("Count.", "Use a loop.", "Use range(3)."))


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ([{"age": 20}] * 3, "Exercise 2.1 (three heroes): done. All 3 checks passed."),
        ([{"age": 20}], "not yet. Expected 3 rows, saw 1 rows. Stuck? Ask for a hint."),
        ("abc", "not yet. Expected a list, saw str."),
        (None, "not yet. Expected a list, saw NoneType."),
        ([{}] * 3, "not yet. What was handed in (list) could not be read: KeyError: 'age'."),
    ],
)
def test_one_clear_line(
    exercise: Exercise, capsys: pytest.CaptureFixture[str], answer: Any, line: str
) -> None:
    exercise.check(answer)
    printed = capsys.readouterr().out
    assert line in printed
    assert printed.count("\n") == 1


def test_nothing_handed_in() -> None:
    def strict(rows: Any) -> Iterator[Expectation]:
        yield expect(len(rows) == 3, "3 rows", len(rows))

    verdict = Exercise("1", "t", strict, ("a", "b", "c")).verdict(...)
    assert not verdict
    assert verdict.problem == "Nothing was handed in: run the cell with your own code first."


def test_a_long_answer_is_shortened(exercise: Exercise) -> None:
    verdict = exercise.verdict([{"age": 2, "text": "x" * 500}] * 3)
    assert verdict.met == 2
    assert len(verdict.problem) < 200


def test_a_check_that_checks_nothing_does_not_pass() -> None:
    verdict = Exercise("1", "t", list, ("a", "b", "c")).verdict()
    assert not verdict


def test_hints_go_up_in_three_steps(exercise: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(4):
        exercise.hint()
    exercise.hint(1)
    assert capsys.readouterr().out.splitlines() == [
        "Hint 1 of 3: Count.",
        "Hint 2 of 3: Use a loop.",
        "Hint 3 of 3: Use range(3).",
        "Hint 3 of 3: Use range(3).",
        "Hint 1 of 3: Count.",
    ]
    with pytest.raises(ValueError, match="three hints"):
        exercise.hint(4)
    with pytest.raises(ValueError, match="needs three hints"):
        Exercise("1", "t", grade, ("a", "b", " "))
