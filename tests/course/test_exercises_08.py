from __future__ import annotations

from typing import Any

import pytest
import torch

from course.exercise import Exercise
from course.exercises import step_08

EXAMPLE = {"input_ids": [0, 2, 7, 4, 3, 50, 51, 4], "labels": [-100] * 5 + [50, 51, 4]}


def warm(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    return (logits / temperature).softmax(-1)


def deaf(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    return logits.softmax(-1)


def reversed_(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    return (logits * temperature).softmax(-1)


def powered(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    return (logits / temperature**2).softmax(-1)


def raw(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    return logits / temperature


@pytest.mark.parametrize(
    ("exercise", "artefacts"),
    [
        (step_08.mask, (EXAMPLE["labels"], EXAMPLE)),
        (step_08.mask, (torch.tensor(EXAMPLE["labels"]), EXAMPLE)),
        (step_08.warmth, (warm,)),
        (step_08.adapter_size, (24576, 16, 192, 4)),
    ],
)
def test_a_solution_passes(exercise: Exercise, artefacts: tuple[Any, ...]) -> None:
    verdict = exercise.verdict(*artefacts)
    assert verdict, verdict.problem


@pytest.mark.parametrize(
    ("exercise", "artefacts", "problem"),
    [
        (step_08.mask, (EXAMPLE["input_ids"], EXAMPLE), "saw none"),
        (step_08.mask, (EXAMPLE["labels"][1:], EXAMPLE), "8 labels, saw 7"),
        (step_08.mask, ([-1] * 5 + [50, 51, 4], EXAMPLE), "the token itself or -100"),
        (step_08.mask, ([-100] * 5 + [50, 51, -100], EXAMPLE), "the end of the answer"),
        (step_08.mask, ([-100] * 4 + [3, 50, 51, 4], EXAMPLE), "only 4 tokens"),
        (step_08.mask, ([-100] * 6 + [51, 4], EXAMPLE), "1 tokens too few"),
        (step_08.mask, ([0] + [-100] * 5 + [51, 4], EXAMPLE), "in other places"),
        (step_08.mask, (None, EXAMPLE), "Nothing was handed in"),
        (step_08.warmth, (deaf,), "saw 0.64 at 0.5 and 0.64 at 2"),
        (step_08.warmth, (reversed_,), "in the cold"),
        (step_08.warmth, (powered,), "divided by the temperature"),
        (step_08.warmth, (raw,), "add up to 1"),
        (step_08.warmth, (0.7,), "a function"),
        (step_08.warmth, (lambda logits, temperature: [1.0],), "for every token"),
        (step_08.adapter_size, (None, 16, 192, 4), "a whole number"),
        (step_08.adapter_size, (True, 16, 192, 4), "a whole number"),
        (step_08.adapter_size, (16 * 192 * 192, 16, 192, 4), "far fewer"),
        (step_08.adapter_size, (1000, 16, 192, 4), "a multiple of 4 times 192"),
        (step_08.adapter_size, (16 * 4 * 192, 16, 192, 4), "both slim matrices"),
        (step_08.adapter_size, (16 * 4 * 4 * 192, 16, 192, 4), "nothing counted twice"),
    ],
)
def test_a_mistake_is_named(exercise: Exercise, artefacts: tuple[Any, ...], problem: str) -> None:
    verdict = exercise.verdict(*artefacts)
    assert not verdict
    assert problem in str(verdict.problem)
