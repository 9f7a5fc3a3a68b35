"""What the measurements share: a sandbox of their own, a stopwatch, and a line of the table."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from helpers.sandbox import stop_sandbox
from helpers.settings import ROOT
from sandbox.bases import find_base
from sandbox.store import keys
from sandbox.store.database import Store
from tools.conditions import own_environment

WEIGHTS = ROOT / "sandbox" / "base_model" / "weights"
MODEL = "superhero-mini"
PROJECT = "bench"
MARK = "SANDBOX_BENCH"  # a variable that all processes of one server inherit
STOP_SECONDS = 60
ORPHAN_SECONDS = 20


def show(name: str, value: float, unit: str, aim: str, detail: str) -> None:
    """Print one measured number ("x": a ratio), what it should be, and how it came about."""
    number = f"{value:.2f}" if value < 100 else f"{value:,.0f}"
    print(f"{name:<52} {number + ' ' + unit:>16}   {aim:<10} {detail}", flush=True)


@contextmanager
def own_sandbox() -> Iterator[None]:
    """A fresh sandbox that `connect()` finds, whatever the learner has configured.

    Its model is the one of WEIGHTS, as with everything that it is compared with.
    """
    with own_environment():
        os.environ |= {"HEROES_BASE_MODEL": MODEL, "HEROES_GENERATOR_MODEL": MODEL}
        try:
            yield
        finally:
            stop_sandbox()


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Server:
    """`python -m sandbox` on a state of its own. It is started again when it has been killed."""

    def __init__(self, folder: Path, base: Path, *options: str, threads: int = 1) -> None:
        """Start it on a new state in `folder`; `options` are further ones of the command line.

        With one thread, equal weights get equal sums, in the same order; 0 leaves it to torch.
        """
        folder.mkdir()
        self.environment = {"OMP_NUM_THREADS": str(threads)} if threads else {}
        self.state, self.log = folder / "state", folder / "server.log"
        self.note = self.state / "sandbox.json"
        self.mark, self.model = uuid.uuid4().hex, find_base(str(base)).name
        self.arguments = ["-m", "sandbox", "--port", "0", "--state", str(self.state)]
        self.arguments += [] if base == WEIGHTS else ["--base-model", str(base)]
        self.arguments += options or ["--trainers", "1"]
        with Store(self.state) as store:
            self.key = keys.create_key(store, PROJECT, "bench")[1]
        self.start()

    def start(self) -> None:
        """Start the server without waiting for it."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                cwd=ROOT,
                env=os.environ | {MARK: self.mark} | self.environment,
                stdout=log,
                stderr=log,
            )

    def stop(self) -> int:
        """End the server, if it still runs, as a service manager does; return its exit code."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)

    def workers(self) -> list[psutil.Process]:
        """The server's trainers and samplers, also those that are just being started."""
        try:
            return psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def orphans(self) -> list[str]:
        """What is left of the server's processes after its end, if they have had some time."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        while True:
            left = [
                f"an orphan: {each.pid} {each.info['cmdline']}"
                for each in psutil.process_iter(["environ", "cmdline"])
                if (each.info["environ"] or {}).get(MARK) == self.mark
            ]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.2)
