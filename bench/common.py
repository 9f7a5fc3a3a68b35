"""What the measurements share: a sandbox of their own, a stopwatch, and a line of the table."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.sandbox import stop_sandbox
from helpers.settings import ROOT

WEIGHTS = ROOT / "sandbox" / "base_model" / "weights"


def show(name: str, value: float, unit: str, aim: str, detail: str) -> None:
    """Print one measured number ("x": a ratio), what it should be, and how it came about."""
    number = f"{value:.2f}" if value < 100 else f"{value:,.0f}"
    print(f"{name:<52} {number + ' ' + unit:>16}   {aim:<10} {detail}", flush=True)


@contextmanager
def own_sandbox() -> Iterator[None]:
    """A fresh sandbox that `connect()` finds, whatever the learner has configured."""
    before = dict(os.environ)
    # Windows keeps the log of the server that has just ended locked for a moment.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name in list(os.environ):
            if name.startswith(("OPENAI_", "HEROES_")):
                del os.environ[name]
        os.environ["HEROES_ENV_FILE"] = str(Path(folder) / "no.env")
        os.environ["HEROES_SANDBOX_STATE"] = str(Path(folder) / "state")
        try:
            yield
        finally:
            stop_sandbox()
            os.environ.clear()
            os.environ.update(before)


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
