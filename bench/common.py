"""What the measurements share: a sandbox of their own, a stopwatch, and the table."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers.sandbox import stop_sandbox

OWN_SETTINGS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HEROES_BASE_MODEL", "HEROES_GENERATOR_MODEL")


@dataclass(frozen=True)
class Row:
    """One line of the table: a measured number, what it should be, and how it came about."""

    name: str
    value: float
    unit: str  # "x" for a ratio
    aim: str
    detail: str

    def __str__(self) -> str:
        number = f"{self.value:.2f}" if self.value < 100 else f"{self.value:,.0f}"
        return f"{self.name:<52} {number + ' ' + self.unit:>16}   {self.aim:<10} {self.detail}"


@contextmanager
def own_sandbox() -> Iterator[Path]:
    """A fresh sandbox that `connect()` finds, whatever the learner has configured; its state."""
    before = dict(os.environ)
    # Windows keeps the log of the server that has just ended locked for a moment.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name in OWN_SETTINGS:
            os.environ.pop(name, None)
        os.environ["HEROES_ENV_FILE"] = str(Path(folder) / "no.env")
        os.environ["HEROES_SANDBOX_STATE"] = str(Path(folder) / "state")
        try:
            yield Path(folder) / "state"
        finally:
            stop_sandbox()
            os.environ.clear()
            os.environ.update(before)


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median(values: list[float]) -> float:
    """The middle value, which one slow run cannot move."""
    return sorted(values)[len(values) // 2]
