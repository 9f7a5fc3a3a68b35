"""Create a fine-tuning job of one's own: its files, its request, and the one call."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Number = int | float | None


@dataclass(frozen=True)
class NewJob:
    """What `jobs.create` is asked for; None leaves the choice to the server ("auto")."""

    model: str
    training_file: str
    validation_file: str | None = None
    suffix: str | None = None
    seed: int | None = None
    n_epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def request(self) -> dict[str, Any]:
        """The keyword arguments of `client.fine_tuning.jobs.create`, without what is left out."""
        numbers: dict[str, Number] = {
            "n_epochs": self.n_epochs,
            "batch_size": self.batch_size,
            "learning_rate_multiplier": self.learning_rate_multiplier,
        }
        chosen = {name: value for name, value in numbers.items() if value is not None}
        request: dict[str, Any] = {
            "model": self.model,
            "training_file": self.training_file,
            "method": {"type": "supervised", "supervised": {"hyperparameters": chosen}},
            **self.options,
        }
        for name in ("validation_file", "suffix", "seed", "metadata"):
            if (value := getattr(self, name)) not in (None, {}):
                request[name] = value
        return request


def local_file(named: str) -> Path | None:
    """The file on this disk that is meant, or None if it is the id of an uploaded one.

    Raises FileNotFoundError for what looks like a path and leads nowhere.
    """
    path = Path(named).expanduser()
    if path.is_file():
        return path
    if path.suffix or "/" in named or "\\" in named or path.is_dir():
        raise FileNotFoundError(f"There is no file {named} here.")
    return None
