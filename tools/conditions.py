"""The conditions under which a notebook's outputs are made and compared: the same every time.

A notebook starts cold: a sandbox with a fixed seed, nothing of the learner's own (neither files
nor a key), and an environment that does not depend on the machine. Up to notebook 05 the sandbox
is empty. From 06 on it holds the course's finished jobs, as it would for a learner who comes that
far: they are trained once and copied, instead of once for each notebook.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

from helpers.sandbox import sandbox_status, stop_sandbox
from helpers.settings import ROOT

SEED = 7
START_SECONDS = 180.0
STOP_SECONDS = 20.0
# What would send calls, colours or pictures elsewhere.
CLEARED_PREFIXES = ("OPENAI_", "AZURE_OPENAI_", "HEROES_")
CLEARED = ("MPLBACKEND", "FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "PYTHONWARNINGS")


class Environment:
    """Environment variables for a while; the former ones come back at the end.

    Used for every test: no test may touch the learner's files, key or sandbox.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._before: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._before = dict(os.environ)
        # A notebook's kernel may hold a file open for a moment longer, which Windows minds.
        self._folder = tempfile.TemporaryDirectory(prefix="heroes-", ignore_cleanup_errors=True)
        for name in list(os.environ):
            if name.startswith(CLEARED_PREFIXES) or name in CLEARED:
                del os.environ[name]
        os.environ.update(self._variables(Path(self._folder.name)))
        return self

    def __exit__(self, *_: object) -> None:
        os.environ.clear()
        os.environ.update(self._before)
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    @staticmethod
    def _variables(folder: Path) -> dict[str, str]:
        return {
            "HEROES_ENV_FILE": str(folder / ".env"),
            "HEROES_MY": str(folder / "my"),
            "HEROES_SANDBOX_STATE": str(folder / "state"),
            "IPYTHONDIR": str(folder / "ipython"),
            "PYTHONHASHSEED": "0",
            "COLUMNS": "100",
            "TZ": "UTC",
        }


class Conditions(Environment):
    """The environment of one notebook, with a fresh, seeded sandbox that `connect()` will find.

    `options` are further ones for `python -m sandbox`; `state` is a folder to copy the sandbox's
    state from. Raises RuntimeError, with the server's last lines, if it does not come up.
    """

    def __init__(self, options: Sequence[str] = (), state: Path | None = None) -> None:
        super().__init__()
        self._options = options
        self._copied = state
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._stop()
        finally:
            super().__exit__()

    def _start(self) -> None:
        state = Path(os.environ["HEROES_SANDBOX_STATE"])
        if self._copied:
            shutil.copytree(self._copied, state)
        else:
            state.mkdir(parents=True)
        command = [sys.executable, "-m", "sandbox", "--port", "0", "--state", str(state)]
        with (state / "sandbox.log").open("wb") as log:
            self._server = subprocess.Popen(
                [*command, "--seed", str(SEED), *self._options],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while not sandbox_status().running:
            if self._server.poll() is not None or time.monotonic() > deadline:
                log_text = (state / "sandbox.log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"The sandbox did not start.\n{log_text[-2000:]}")
            time.sleep(0.05)

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server:
            # Its state is thrown away, so nothing has to be saved and nobody needs to wait.
            kill_with_children(server.pid)
            server.wait(STOP_SECONDS)
        # One that the notebook itself has started in place of ours.
        stop_sandbox()


def kill_with_children(pid: int) -> None:
    """Kill a process and all that it has started; one that is gone already is fine."""
    try:
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, STOP_SECONDS)
