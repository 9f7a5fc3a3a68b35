"""The exercises of notebook 07: solutions pass, what is handed out and mistakes do not."""

from __future__ import annotations

from typing import Any

import pytest

from course.exercise import Exercise
from course.exercises import step_07
from helpers.prices import usage_cost

GOOD = (
    "Meet Amara, a 40-year-old woman from a quiet street behind the station who has the power of "
    "flight."
)


@pytest.mark.parametrize(
    ("exercise", "artefact"),
    [
        (step_07.fooled, "At 40 she is still waiting for her flight."),
        (step_07.break_even, 67),
        (step_07.break_even, 70.0),
        (step_07.enough, 430),
        (step_07.enough, 450),
    ],
)
def test_a_solution_passes(exercise: Exercise, artefact: Any) -> None:
    verdict = exercise.verdict(artefact)
    assert verdict, verdict.problem


@pytest.mark.parametrize(
    ("exercise", "artefact", "problem"),
    [
        (step_07.fooled, "Once upon a time there was a hero.", "finds the age 40"),
        (step_07.fooled, "At 40, Amara is waiting for a flight.", "finds the pronoun"),
        (step_07.fooled, "At 40 she is waiting.", "finds the power"),
        (step_07.fooled, "", "1 to 15 words, saw 0"),
        (step_07.fooled, GOOD, "1 to 15 words"),
        (step_07.fooled, 40, "a text, saw int"),
        (step_07.break_even, None, "a number of tokens"),
        (step_07.break_even, True, "a number of tokens"),
        (step_07.break_even, 40, "too small"),
        (step_07.break_even, 100, "too large"),
        (step_07.enough, None, "a number of questions"),
        (step_07.enough, 0, "a number of questions"),
        (step_07.enough, 137, "enough questions for 80 of 100"),
        (step_07.enough, 2000, "no more questions than needed"),
    ],
)
def test_a_mistake_is_named(exercise: Exercise, artefact: Any, problem: str) -> None:
    verdict = exercise.verdict(artefact)
    assert not verdict
    assert problem in str(verdict.problem)


def test_the_border_is_where_the_dearer_one_changes() -> None:
    base, tuned = step_07.PAIR
    most = usage_cost(tuned, step_07.NOTE_TOKENS, step_07.ANSWER_TOKENS)
    assert most is not None
    border = step_07.border()
    for tokens, dearer in ((border - 1, False), (border, True)):
        cost = usage_cost(base, tokens, step_07.ANSWER_TOKENS)
        assert cost is not None
        assert (cost > most) is dearer
    assert step_07.border(130) > 500, "with long answers the prompt must be long as well"


def test_the_share_of_exams_that_see_a_difference() -> None:
    assert step_07.seen_share(137, 0.95, 0.85) == pytest.approx(0.8, abs=0.01)
    assert step_07.seen_share(100) < step_07.seen_share(400) < step_07.seen_share(4000)
