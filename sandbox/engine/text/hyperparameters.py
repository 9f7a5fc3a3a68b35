"""What "auto" becomes: the numbers a job trains with. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SMALL_RATE = 1e-4  # full fine-tuning of a base that brings no advice
LORA_RATE = 2e-4
EPOCHS = 3
BATCH_SIZE = 8
SMALLEST_BATCH = 4  # that "auto" chooses to make more steps of few examples
ENOUGH_EXAMPLES = 100  # seen at least so many times in all, if the file is tiny
TOO_MANY_EXAMPLES = 25_000
MOST_AUTO_EPOCHS = 25


@dataclass(frozen=True)
class Hyperparameters:
    """Numbers only; ``learning_rate`` is the base's own rate times the multiplier.

    ``checkpoints_per_epoch`` is more than 1 in a job of one epoch only.
    """

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    learning_rate: float
    checkpoints_per_epoch: int = 1

    def public(self) -> dict[str, Any]:
        """As the job object shows them."""
        return {
            "n_epochs": self.n_epochs,
            "batch_size": self.batch_size,
            "learning_rate_multiplier": self.learning_rate_multiplier,
        }


def resolve(
    asked: Mapping[str, Any], advice: Mapping[str, Any], n_examples: int, lora: bool
) -> Hyperparameters:
    """Turn what the job asks for into numbers; "auto" or nothing takes the base's advice.

    ``least_steps`` in the advice: so many steps are made of few examples, too, in smaller batches
    first and in more epochs then. Without it, a tiny file is seen a number of times in all.
    """
    given = {name: value for name, value in asked.items() if value not in (None, "auto")}
    least_steps = int(advice.get("least_steps", 0))
    batch_size = given.get("batch_size")
    if batch_size is None:
        batch_size = _auto_batch_size(advice, n_examples, least_steps)
    n_epochs = given.get("n_epochs")
    if n_epochs is None:
        steps_per_epoch = math.ceil(n_examples / int(batch_size))
        least = math.ceil(least_steps / steps_per_epoch) if least_steps else None
        n_epochs = _auto_epochs(int(advice.get("n_epochs", EPOCHS)), n_examples, least)
    rate = float(advice.get("learning_rate", LORA_RATE if lora else SMALL_RATE))
    multiplier = float(given.get("learning_rate_multiplier", 1.0))
    return Hyperparameters(
        n_epochs=int(n_epochs),
        batch_size=int(batch_size),
        learning_rate_multiplier=multiplier,
        learning_rate=rate * multiplier,
        checkpoints_per_epoch=int(advice.get("checkpoints_per_epoch", 1)) if n_epochs == 1 else 1,
    )


def _auto_batch_size(advice: Mapping[str, Any], n_examples: int, least_steps: int) -> int:
    """The usual one; a smaller one if that makes too few steps in the usual number of epochs."""
    size = min(int(advice.get("batch_size", BATCH_SIZE)), n_examples)
    target = int(advice.get("n_epochs", EPOCHS))
    while target * n_examples / size < least_steps and size >= 2 * SMALLEST_BATCH:
        size //= 2
    return size


def _auto_epochs(target: int, n_examples: int, least: int | None) -> int:
    """More rounds over a tiny file, fewer over a huge one; ``least``: at least so many."""
    if least is None and target * n_examples < ENOUGH_EXAMPLES:
        least = ENOUGH_EXAMPLES // n_examples
    if target * n_examples > TOO_MANY_EXAMPLES:
        return max(1, TOO_MANY_EXAMPLES // n_examples)
    return max(target, min(MOST_AUTO_EPOCHS, least or 1))
