"""Settings of one server."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DEFAULT_BASE = "superhero-mini"
ORGANIZATION = "org-sandbox"
MEBIBYTE = 1024 * 1024


class ConfigError(Exception):
    """The server cannot start like this; the message says what to change."""


@dataclass(frozen=True)
class Settings:
    """Everything that can be set on one server."""

    state_dir: Path = Path(".sandbox")
    host: str = "127.0.0.1"
    port: int = 8765  # 0 = any free one
    seed: int | None = None
    base_models: tuple[str, ...] = (DEFAULT_BASE,)  # names, folders or Hugging Face ids
    trainers: int = 1  # jobs that train at the same time, each in a process of its own
    requests_per_minute: int | None = None  # for each key; None = no limit
    max_file_bytes: int = 512 * MEBIBYTE
    max_body_bytes: int = 8 * MEBIBYTE


def usual_trainers(base_models: Sequence[str]) -> int:
    """How many jobs train at the same time if nobody says it.

    Two of the shipped model's jobs side by side, on two cores, end in about half the time of one
    after the other. A larger model fills the machine (or its GPU's memory) alone.
    """
    return min(2, os.cpu_count() or 1) if list(base_models) == [DEFAULT_BASE] else 1
