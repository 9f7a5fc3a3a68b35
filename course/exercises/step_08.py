"""The exercises of notebook 08: a mask, a temperature and the size of an adapter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from course.exercise import Exercise, Expectation, expect

NOT_LEARNED = -100
LOGITS = (2.0, 1.0, -1.0, 0.0)


def _mask(labels: Sequence[int], example: dict[str, list[int]]) -> Iterator[Expectation]:
    labels = [int(label) for label in labels]
    ids, wanted = example["input_ids"], example["labels"]
    yield expect(len(labels) == len(ids), f"{len(ids)} labels", f"{len(labels)}")
    known = all(label in (NOT_LEARNED, token) for label, token in zip(labels, ids, strict=True))
    yield expect(known, "each label to be the token itself or -100", "another number")
    said, due = (row.count(NOT_LEARNED) for row in (labels, wanted))
    yield expect(said > 0, "labels of -100 where the note stands", "none")
    yield expect(labels[-1] != NOT_LEARNED, "the end of the answer to be learned", "-100 there")
    yield expect(said >= due, "the whole note to be left out", f"only {said} tokens of it")
    yield expect(said <= due, "the whole answer to be learned", f"{said - due} tokens too few")
    yield expect(labels == wanted, "-100 on the note and nowhere else", "-100 in other places")


def _warmth(chances: Callable[[Any, float], Any]) -> Iterator[Expectation]:
    yield expect(callable(chances), "a function", type(chances).__name__)
    import torch

    found = {t: [float(c) for c in chances(torch.tensor(LOGITS), t)] for t in (1.0, 0.5, 2.0)}
    total = sum(found[1.0])
    yield expect(len(found[1.0]) == len(LOGITS), "a chance for every token", len(found[1.0]))
    yield expect(abs(total - 1) < 1e-4, "chances that add up to 1", f"{total:.2f}")
    yield expect(_close(found[1.0], 1.0), "the model's own chances at temperature 1", "others")
    cold, warm = max(found[0.5]), max(found[2.0])
    sharper = cold > max(found[1.0]) > warm
    seen = f"{cold:.2f} at 0.5 and {warm:.2f} at 2"
    yield expect(sharper, "the favourite to grow in the cold and to shrink in the warmth", seen)
    yield expect(_close(found[0.5], 0.5), "the logits to be divided by the temperature", seen)


def _close(found: Sequence[float], temperature: float) -> bool:
    weights = [math.exp(value / temperature) for value in LOGITS]
    wanted = [weight / sum(weights) for weight in weights]
    return all(abs(a - b) < 1e-4 for a, b in zip(found, wanted, strict=True))


def _adapter_size(number: int, matrices: int, width: int, rank: int) -> Iterator[Expectation]:
    whole = isinstance(number, int) and not isinstance(number, bool)
    yield expect(whole, "a whole number", repr(number))
    full = matrices * width * width
    yield expect(
        number < full, "far fewer numbers than the matrices themselves have", f"{number:,}"
    )
    one = number % (rank * width) == 0
    yield expect(one, f"a multiple of {rank} times {width}", f"{number:,}")
    due = matrices * 2 * rank * width
    yield expect(number >= due, "both slim matrices of all adapters counted", f"{number:,}")
    yield expect(number <= due, "nothing counted twice", f"{number:,}")


mask = Exercise(
    "8.1",
    "the mask",
    _mask,
    (
        "Look at the table in section 3: where does -100 stop?",
        "How many tokens does the note have, with the markers around it? `note_ids` holds them.",
        "A list of -100, as long as `note_ids`, and behind it the rest of `row_ids` as it is.",
    ),
)

warmth = Exercise(
    "8.2",
    "the temperature",
    _warmth,
    (
        "The temperature changes the logits before they become chances.",
        "At temperature 1 nothing must change. Which of + - * / does that?",
        "Divide the logits by the temperature inside of the brackets, before `.softmax(-1)`.",
    ),
)

adapter_size = Exercise(
    "8.3",
    "the size of an adapter",
    _adapter_size,
    (
        "An adapter for one matrix is made of two slim matrices.",
        "One of them has width times rank numbers. The other has as many.",
        "Matrices, times two, times rank, times width.",
    ),
)
