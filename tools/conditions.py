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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from helpers.sandbox import sandbox_status, stop_sandbox
from helpers.settings import ROOT

SEED = 7
START_SECONDS = 180.0
STOP_SECONDS = 20.0
# What would send calls, colours or pictures elsewhere.
CLEARED_PREFIXES = ("OPENAI_", "AZURE_OPENAI_", "HEROES_")
CLEARED = ("MPLBACKEND", "FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "PYTHONWARNINGS")


@contextmanager
def own_environment() -> Iterator[Path]:
    """Environment variables that keep the learner's files, key and sandbox out of reach.

    Gives the folder that everything goes to; it is gone afterwards, and the variables are back.
    """
    before = dict(os.environ)
    # A notebook's kernel may hold a file open for a moment longer, which Windows minds.
    with tempfile.TemporaryDirectory(prefix="heroes-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for variable in before:
            if variable.startswith(CLEARED_PREFIXES) or variable in CLEARED:
                del os.environ[variable]
        os.environ |= {
            "HEROES_ENV_FILE": str(folder / ".env"),
            "HEROES_MY": str(folder / "my"),
            "HEROES_SANDBOX_STATE": str(folder / "state"),
            "IPYTHONDIR": str(folder / "ipython"),
            "PYTHONHASHSEED": "0",
            "COLUMNS": "100",
            "TZ": "UTC",
        }
        try:
            yield folder
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def conditions(copied_state: Path | None = None, *options: str) -> Iterator[None]:
    """The environment of one notebook, with a fresh, seeded sandbox that `connect()` will find.

    `copied_state` is a folder to copy the sandbox's state from; `options` are further ones for
    `python -m sandbox`. Raises RuntimeError, with the server's last lines, if it does not start.
    """
    with own_environment() as folder:
        state = folder / "state"
        if copied_state:
            shutil.copytree(copied_state, state)
        else:
            state.mkdir()
        server = _start(state, options)
        try:
            _wait_for(server, state)
            yield
        finally:
            # Its state is thrown away, so nothing has to be saved.
            kill_with_children(server.pid)
            server.wait(STOP_SECONDS)
            stop_sandbox()  # one that the notebook itself has started in place of ours


def at_kernel_start(code: str) -> None:
    """Let each kernel that starts under the conditions run this Python code first."""
    startup = Path(os.environ["IPYTHONDIR"]) / "profile_default" / "startup" / "first.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(code, encoding="utf-8")


def _start(state: Path, options: tuple[str, ...]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--state", str(state), "--fetched"]
    with (state / "sandbox.log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--seed", str(SEED), *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _wait_for(server: subprocess.Popen[bytes], state: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not sandbox_status().running:
        if server.poll() is not None or time.monotonic() > deadline:
            log = (state / "sandbox.log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"The sandbox did not start.\n{log[-2000:]}")
        time.sleep(0.05)


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
