"""The learner's own sandbox: start it as a process of its own, find it again, stop it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from helpers.settings import ROOT, read_variable

START_SECONDS = 120.0
STOP_SECONDS = 15.0
CLOCK_SECONDS = 2.0  # by so much a correction of the clock may move a start time
_started: list[subprocess.Popen[bytes]] = []  # by this process, which must reap them


class SandboxError(RuntimeError):
    """The sandbox cannot be started or used; the message says why and what to do."""


@dataclass(frozen=True)
class SandboxStatus:
    """A sandbox's state: `url`, `pid` and `started_at` are None while it is not running."""

    running: bool
    state: Path
    url: str | None = None
    pid: int | None = None
    started_at: int | None = None


def state_folder() -> Path:
    """HEROES_SANDBOX_STATE (seen from the project's folder if it is relative), else .sandbox."""
    named = read_variable("HEROES_SANDBOX_STATE")
    return (ROOT / Path(named or ".sandbox").expanduser()).resolve()


def state_lock() -> FileLock:
    """One program at a time starts, stops or makes a key; a killed holder frees it."""
    state = state_folder()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)  # its files and keys are private
    return FileLock(state / "helpers.lock", timeout=START_SECONDS + STOP_SECONDS)


def sandbox_status() -> SandboxStatus:
    """Is the learner's sandbox running? What a killed one left behind does not count."""
    state = state_folder()
    # Suppressed: no record, a damaged one, or one of a process that is gone.
    with suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
        record = json.loads((state / "sandbox.json").read_text(encoding="utf-8"))
        process = psutil.Process(record["pid"])
        # A pid is used again sooner or later, so the start time must be the recorded one, too.
        same = abs(process.create_time() - record["process_started"]) < CLOCK_SECONDS
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return SandboxStatus(True, state, record["url"], process.pid, record["started_at"])
    return SandboxStatus(False, state)


def start_sandbox() -> SandboxStatus:
    """Start the learner's sandbox, or find the one that runs already.

    Notebooks that call this at the same moment get the same sandbox. Raises SandboxError with
    the last lines of the server's log if it does not come up.
    """
    if (status := sandbox_status()).running:
        return status
    with state_lock():
        if (status := sandbox_status()).running:
            return status
        child = spawn(state_folder(), "--fetched")
        deadline = time.monotonic() + START_SECONDS
        while child.poll() is None and time.monotonic() < deadline:
            if (status := sandbox_status()).running:
                return status
            time.sleep(0.05)
        child.kill()
        code = child.wait()
    log = (state_folder() / "sandbox.log").read_text("utf-8", "replace").strip().splitlines()
    raise SandboxError(
        f"The sandbox did not start (exit code {code}). `heroes doctor` checks this machine. The "
        "last lines of its sandbox.log:\n" + "\n".join(log[-8:])
    )


def stop_sandbox() -> bool:
    """Stop the learner's sandbox and wait for its end; False if none was running.

    Raises SandboxError if it does not end.
    """
    with state_lock(), suppress(psutil.NoSuchProcess):  # that is: it has ended
        if not (status := sandbox_status()).running:
            return False
        process = psutil.Process(status.pid)
        for end in (process.terminate, process.kill):
            end()
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline:
                for child in _started:
                    child.poll()
                # A zombie has ended, but the open notebook that started it never asks for that.
                if process.status() == psutil.STATUS_ZOMBIE:
                    return True
                time.sleep(0.05)
        raise SandboxError(f"The sandbox (process {status.pid}) does not end. Try again.")
    return True


def run_keys(*arguments: str, state: Path | None = None) -> Any:
    """Run `python -m sandbox keys …` on a state folder, the learner's if none is named.

    Returns what it answers. Raises SandboxError with the command's own last line if it fails.
    """
    command = [sys.executable, "-m", "sandbox", "keys", *arguments, "--json"]
    command += ["--state", str(state or state_folder())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["No reason given."]
        raise SandboxError(lines[-1].removeprefix("sandbox: "))
    return json.loads(done.stdout)


def spawn(state: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start a server detached: it outlives the notebook, and Ctrl-C there does not reach it."""
    # The learner's hosted keys are not the server's business.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")}
    windows_only = ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW")
    with (state / "sandbox.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--port=0", f"--state={state}", *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            creationflags=sum(getattr(subprocess, flag, 0) for flag in windows_only),
        )
    _started.append(child)
    return child
