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
ENOUGH_EXAMPLES = 100  # seen at least so many times in all, if the file is tiny
TOO_MANY_EXAMPLES = 25_000
MOST_AUTO_EPOCHS = 25


@dataclass(frozen=True)
class Hyperparameters:
    """Numbers only; ``learning_rate`` is the base's own rate times the multiplier.

    The second matrices of LoRA adapters, which begin at zero, learn ``lora_plus_ratio`` times as
    fast (LoRA+). ``checkpoints_per_epoch`` is more than 1 in a job of one epoch only.
    """

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    learning_rate: float
    lora_plus_ratio: float = 1.0
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

    ``least_steps`` in the advice: a small file is seen in so many epochs as make so many steps.
    Without it, in so many as show 100 examples in all.
    """
    rate = float(advice.get("learning_rate", LORA_RATE if lora else SMALL_RATE))
    given = {name: value for name, value in asked.items() if value not in (None, "auto")}
    usual = min(int(advice.get("batch_size", BATCH_SIZE)), n_examples)
    batch_size = int(given.get("batch_size", usual))
    n_epochs = int(given.get("n_epochs", _auto_epochs(advice, n_examples, batch_size)))
    multiplier = float(given.get("learning_rate_multiplier", 1.0))
    return Hyperparameters(
        n_epochs=n_epochs,
        batch_size=batch_size,
        learning_rate_multiplier=multiplier,
        learning_rate=rate * multiplier,
        lora_plus_ratio=float(advice.get("lora_plus_ratio", 1.0)),
        checkpoints_per_epoch=int(advice.get("checkpoints_per_epoch", 1)) if n_epochs == 1 else 1,
    )


def _auto_epochs(advice: Mapping[str, Any], n_examples: int, batch_size: int) -> int:
    """More rounds over a tiny file, fewer over a huge one."""
    target = int(advice.get("n_epochs", EPOCHS))
    if target * n_examples > TOO_MANY_EXAMPLES:
        return max(1, TOO_MANY_EXAMPLES // n_examples)
    least = ENOUGH_EXAMPLES // n_examples
    if "least_steps" in advice:
        least = math.ceil(int(advice["least_steps"]) / math.ceil(n_examples / batch_size))
    return max(target, min(MOST_AUTO_EPOCHS, least))
