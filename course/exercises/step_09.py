"""The exercises of notebook 09."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from course.exercise import Expectations, exercise, expect, is_number

NOT_LEARNED = -100
LOGITS = (2.0, 1.0, -1.0, 0.0)


@exercise("9.1")
def label_mask(labels: Sequence[int], example: dict[str, list[int]]) -> Expectations:
    labels = [int(label) for label in labels]
    ids, wanted = example["input_ids"], example["labels"]
    yield expect(len(labels) == len(ids), f"{len(ids)} labels", f"{len(labels)}")
    known = all(label in (NOT_LEARNED, token) for label, token in zip(labels, ids, strict=True))
    yield expect(known, "each label to be the token itself or -100", "another number")
    said, due = labels.count(NOT_LEARNED), wanted.count(NOT_LEARNED)
    yield expect(said > 0, "labels of -100 where the note stands", "none")
    yield expect(labels[-1] != NOT_LEARNED, "the end of the answer to be learned", "-100 there")
    seen = f"-100 on {said} tokens instead of {due}" if said != due else "-100 in other places"
    yield expect(labels == wanted, "-100 on the whole note and nowhere else", seen)


@exercise("9.2")
def sampling_temperature(chances: Callable[[Any, float], Any]) -> Expectations:
    yield expect(callable(chances), "a function", type(chances).__name__)
    import torch  # takes seconds, and the notebook sets up its libraries before it is loaded

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
    """Whether these are the probabilities of LOGITS at a temperature."""
    weights = [math.exp(value / temperature) for value in LOGITS]
    wanted = [weight / sum(weights) for weight in weights]
    return all(abs(a - b) < 1e-4 for a, b in zip(found, wanted, strict=True))


@exercise("9.3")
def adapter_size(number: int, matrices: int, width: int, rank: int) -> Expectations:
    yield expect(is_number(number, int), "a whole number", repr(number))
    seen = f"{number:,}"
    full, due = matrices * width * width, matrices * 2 * rank * width
    yield expect(number < full, "far fewer numbers than the matrices themselves have", seen)
    yield expect(number % (rank * width) == 0, f"a multiple of {rank} times {width}", seen)
    yield expect(number >= due, "both slim matrices of all adapters counted", seen)
    yield expect(number <= due, "nothing counted twice", seen)
