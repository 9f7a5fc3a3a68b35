"""The learner's own sandbox: start it as a process of its own, find it again, stop it.

The server is only known by its command line and by `sandbox.json` in its state folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from helpers.settings import ROOT, read_variable

START_SECONDS = 120.0
STOP_SECONDS = 15.0
CLOCK_SECONDS = 2.0  # by so much a correction of the clock may move a start time

# The servers that this process started: kept so that it can reap them once they have ended.
_children: list[subprocess.Popen[bytes]] = []


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


def sandbox_status() -> SandboxStatus:
    """Is the learner's sandbox running? What a killed one left behind does not count."""
    state, (record, process) = state_folder(), _find_server()
    if process and _status_of(record["url"].removesuffix("/v1") + "/health") == 200:
        return SandboxStatus(True, state, record["url"], process.pid, record["started_at"])
    return SandboxStatus(False, state)


def start_sandbox() -> SandboxStatus:
    """Start the learner's sandbox, or find the one that runs already.

    Two notebooks that call this at the same moment get the same sandbox. Raises SandboxError
    with the last lines of the server's log if it does not come up.
    """
    if (status := sandbox_status()).running:
        return status
    with _lock():
        if (status := sandbox_status()).running:
            return status
        return _wait_until_ready(_spawn())


def stop_sandbox() -> bool:
    """Stop the learner's sandbox and wait for its end; False if none was running.

    Raises SandboxError if it does not end.
    """
    with _lock():
        _, process = _find_server()
        if process is None:
            return False
        process.terminate()
        if not _has_ended(process, STOP_SECONDS):
            process.kill()
            if not _has_ended(process, STOP_SECONDS):
                raise SandboxError(f"The sandbox (process {process.pid}) does not end. Try again.")
    return True


def learner_key() -> str:
    """The key that the notebooks use on the learner's sandbox; made at the first call."""
    path = state_folder() / "learner.key"
    with _lock():
        key = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        url = sandbox_status().url
        # With no sandbox to ask, a stored key is taken for valid.
        if not key or (url and _status_of(f"{url}/models", key) == 401):
            key = run_keys("create", "--project", "learner", "--name", "notebooks")["key"]
            path.touch(mode=0o600)  # only its owner can read it
            path.write_text(key + "\n", encoding="ascii")
    return key


def run_keys(*arguments: str) -> Any:
    """Run `python -m sandbox keys …` on the learner's state folder and return what it answers.

    Raises SandboxError with the command's own last line if it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "keys", *arguments, "--state", str(_state()), "--json"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=_child_environment(),
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        why = lines[-1] if lines else "The sandbox's key command failed without a message."
        raise SandboxError(why.removeprefix("sandbox: "))
    return json.loads(done.stdout)


def _state() -> Path:
    """The state folder, made if need be: files and keys in it are for their owner only."""
    state = state_folder()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return state


def _lock() -> FileLock:
    """One starter at a time, over all processes; the system frees it if a holder is killed."""
    return FileLock(_state() / "helpers.lock", timeout=START_SECONDS + STOP_SECONDS)


def _find_server() -> tuple[dict[str, Any], psutil.Process | None]:
    """What sandbox.json says, and the server's process; ({}, None) if it is not alive.

    A pid is used again sooner or later, so the process must also have the recorded start time.
    """
    try:
        record = json.loads((state_folder() / "sandbox.json").read_text(encoding="utf-8"))
        found = {name: record[name] for name in ("url", "pid", "started_at", "process_started")}
        process = psutil.Process(found["pid"])
        is_it = abs(process.create_time() - found["process_started"]) < CLOCK_SECONDS
        alive = is_it and not _has_ended(process)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, psutil.Error):
        return {}, None  # no record, a damaged one, or one of a process that is gone
    return (found, process) if alive else ({}, None)


def _has_ended(process: psutil.Process, patience: float = 0.0) -> bool:
    """Has the process ended, or does it within `patience` seconds? A zombie has ended.

    `Process.wait` would wait until the parent reaps it, and an open notebook never does.
    """
    deadline = time.monotonic() + patience
    while True:
        for child in _children:
            child.poll()
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)


def _spawn() -> subprocess.Popen[bytes]:
    """Start the server detached: it outlives the notebook, and Ctrl-C there does not reach it."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    with (_state() / "sandbox.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--port", "0", "--state", str(state_folder())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_child_environment(),
            start_new_session=sys.platform != "win32",
            creationflags=flags,
        )
    _children.append(child)
    return child


def _child_environment() -> dict[str, str]:
    """Our environment without the learner's hosted keys: they are not the server's business."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}


def _wait_until_ready(child: subprocess.Popen[bytes]) -> SandboxStatus:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (status := sandbox_status()).running:
            return status
        if child.poll() is not None:
            # It may have lost a race against one started by hand, which then is ready soon.
            deadline = min(deadline, time.monotonic() + 3)
        time.sleep(0.05)
    if child.poll() is not None:
        raise SandboxError(_failure(f"ended at once (exit code {child.returncode})"))
    child.kill()
    child.wait()
    raise SandboxError(_failure(f"was not ready after {START_SECONDS:.0f} seconds"))


def _failure(what: str) -> str:
    log = state_folder() / "sandbox.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    tail = "\n".join(text.strip().splitlines()[-8:]) or "(the log is empty)"
    return (
        f"The sandbox {what}. The last lines of {log.name} in {log.parent.name}:\n{tail}\n"
        "`heroes doctor` checks this machine."
    )


def _status_of(url: str, key: str = "") -> int | None:
    """The HTTP status of a GET on this machine, past any proxy; None if there is no answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
        with opener.open(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError):
        return None
