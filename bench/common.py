"""What the measurements share: a sandbox of their own, a stopwatch, and a line of the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from helpers.sandbox import stop_sandbox
from helpers.settings import ROOT
from tools.conditions import own_environment

WEIGHTS = ROOT / "sandbox" / "base_model" / "weights"


def show(name: str, value: float, unit: str, aim: str, detail: str) -> None:
    """Print one measured number ("x": a ratio), what it should be, and how it came about."""
    number = f"{value:.2f}" if value < 100 else f"{value:,.0f}"
    print(f"{name:<52} {number + ' ' + unit:>16}   {aim:<10} {detail}", flush=True)


@contextmanager
def own_sandbox() -> Iterator[None]:
    """A fresh sandbox that `connect()` finds, whatever the learner has configured."""
    with own_environment():
        try:
            yield
        finally:
            stop_sandbox()


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
