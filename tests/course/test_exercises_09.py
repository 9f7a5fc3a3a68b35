from __future__ import annotations

from typing import Any

import pytest

from course.exercise import Exercise
from course.exercises.step_09 import break_even, own_card
from course.facts import card_text

HERO: dict[str, Any] = {
    "name": "Ada",
    "age": 36,
    "gender": "woman",
    "power": "good luck",
    "home": "a narrow house with a yellow door",
    "work": "a clockmaker",
}
PROMPT = f"Facts:\n- {card_text(HERO)}\n\nQuestion: How old is Ada?"


@pytest.mark.parametrize(
    ("exercise", "artefacts"),
    [
        (own_card, (HERO, PROMPT)),
        (break_even, (24_000, 12, 0.0009, 0.0004)),
        (break_even, (12 / (0.0009 - 0.0004), 12, 0.0009, 0.0004)),
    ],
)
def test_a_solution_passes(exercise: Exercise, artefacts: tuple[Any, ...]) -> None:
    verdict = exercise.verdict(*artefacts)
    assert verdict, verdict.problem


@pytest.mark.parametrize(
    ("exercise", "artefacts", "problem"),
    [
        (own_card, (HERO, "How old is Ada?"), "begins with the facts"),
        (own_card, ([], PROMPT), "a dict"),
        (own_card, (HERO | {"work": ""}, PROMPT), "no work"),
        (own_card, (HERO | {"name": "Zofia"}, PROMPT), "no card yet"),
        (own_card, (HERO, None), "as text"),
        (own_card, (HERO | {"age": 37}, PROMPT), "own card"),
        (own_card, (HERO, PROMPT.replace("\n\n", "\n- Bo is 20.\n\n")), "2 cards"),
        (own_card, (HERO, PROMPT.replace("is Ada?", "is Bo?")), "a question about your hero"),
        (break_even, (None, 12, 0.0009, 0.0004), "a number of calls"),
        (break_even, (0, 12, 0.0009, 0.0004), "above zero"),
        (break_even, (12 / 0.0009, 12, 0.0009, 0.0004), "both bills equal"),
    ],
)
def test_what_is_missing_is_said(
    exercise: Exercise, artefacts: tuple[Any, ...], problem: str
) -> None:
    verdict = exercise.verdict(*artefacts)
    assert not verdict and problem in str(verdict.problem)


@pytest.mark.parametrize("exercise", [own_card, break_even])
def test_hints_do_not_hold_the_answer(exercise: Exercise) -> None:
    told = " ".join(exercise.hints)
    assert "24" not in told and card_text(HERO) not in told
