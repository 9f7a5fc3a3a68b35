"""What "auto" becomes: the numbers a job trains with. No torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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
    """Numbers only; ``learning_rate`` is the base's own rate times the multiplier."""

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    learning_rate: float

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
    """Turn what the job asks for into numbers; "auto" or nothing takes the base's advice."""
    rate = float(advice.get("learning_rate", LORA_RATE if lora else SMALL_RATE))
    auto = {
        "n_epochs": _auto_epochs(int(advice.get("n_epochs", EPOCHS)), n_examples),
        "batch_size": min(int(advice.get("batch_size", BATCH_SIZE)), n_examples),
        "learning_rate_multiplier": 1.0,
    }
    given = {name: value for name, value in asked.items() if value not in (None, "auto")}
    numbers = auto | {name: given[name] for name in auto if name in given}
    multiplier = float(numbers["learning_rate_multiplier"])
    return Hyperparameters(
        n_epochs=int(numbers["n_epochs"]),
        batch_size=int(numbers["batch_size"]),
        learning_rate_multiplier=multiplier,
        learning_rate=rate * multiplier,
    )


def _auto_epochs(target: int, n_examples: int) -> int:
    """More rounds over a tiny file, fewer over a huge one."""
    if target * n_examples < ENOUGH_EXAMPLES:
        return min(MOST_AUTO_EPOCHS, max(target, ENOUGH_EXAMPLES // n_examples))
    if target * n_examples > TOO_MANY_EXAMPLES:
        return max(1, TOO_MANY_EXAMPLES // n_examples)
    return target


def describe(base_folder: Path) -> dict[str, Any]:
    """What a base says about itself: advice such as learning_rate, or nothing."""
    path = base_folder / "sandbox.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
