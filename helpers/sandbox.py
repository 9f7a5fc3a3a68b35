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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from helpers.settings import ROOT, read_variable

START_SECONDS = 120.0
STOP_SECONDS = 15.0

# Kept so that Python neither warns about a child left running nor leaves a dead one unreaped.
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
    state = state_folder()
    try:
        info = json.loads((state / "sandbox.json").read_text(encoding="utf-8"))
        url, pid, started_at = str(info["url"]), int(info["pid"]), int(info["started_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return SandboxStatus(False, state)
    if psutil.pid_exists(pid) and _answers(url):
        return SandboxStatus(True, state, url, pid, started_at)
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
    """Stop the learner's sandbox and wait for its end; False if none was running."""
    with _lock():
        process = _find_process()
        if process is None:
            return False
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
    for child in _children:
        child.poll()
    return True


def learner_key() -> str:
    """The key that the notebooks use on the learner's sandbox; made at the first call."""
    path = state_folder() / "learner.key"
    with _lock():
        key = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        if key and _key_is_known(key):
            return key
        key = run_keys("create", "--project", "learner", "--name", "notebooks")["key"]
        _write_secret(path, key)
    return key


def run_keys(*arguments: str) -> Any:
    """Run `python -m sandbox keys …` on the learner's state folder and return what it answers.

    Raises SandboxError with the command's own last line if it fails.
    """
    command = ["keys", *arguments, "--state", str(state_folder()), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", *command],
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
        why = lines[-1] if lines else "The sandbox's key command failed without a word."
        raise SandboxError(why.removeprefix("sandbox: "))
    return json.loads(done.stdout)


@contextmanager
def _lock() -> Iterator[None]:
    """One starter at a time, over all processes; the system frees it if a holder is killed."""
    state = state_folder()
    state.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(state / "helpers.lock", timeout=START_SECONDS + STOP_SECONDS):
            yield
    except Timeout as error:
        raise SandboxError(
            "Another program has been starting or stopping the sandbox for minutes. "
            "Close it and try again."
        ) from error


def _spawn() -> subprocess.Popen[bytes]:
    """Start the server detached: it outlives the notebook, and Ctrl-C there does not reach it."""
    state = state_folder()
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    with (state / "sandbox.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--port", "0", "--state", str(state)],
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
    """Our environment without the learner's hosted keys, which the server has no business with."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}


def _wait_until_ready(child: subprocess.Popen[bytes]) -> SandboxStatus:
    deadline = time.monotonic() + START_SECONDS
    ended_at: float | None = None
    while time.monotonic() < deadline:
        if (status := sandbox_status()).running:
            return status
        if child.poll() is not None:
            # It may have lost a race against one started by hand, which then is ready soon.
            ended_at = ended_at or time.monotonic()
            if time.monotonic() - ended_at > 3:
                raise SandboxError(_failure(f"ended at once (exit code {child.returncode})"))
        time.sleep(0.05)
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


def _answers(url: str) -> bool:
    """Does a server answer at this base URL?"""
    return _status_of(url.removesuffix("/").removesuffix("/v1") + "/health") == 200


def _key_is_known(key: str) -> bool:
    """Is the stored key still valid? With no sandbox to ask, it is taken for valid."""
    url = sandbox_status().url
    return url is None or _status_of(f"{url}/models", {"Authorization": f"Bearer {key}"}) != 401


def _status_of(url: str, headers: dict[str, str] | None = None) -> int | None:
    """The HTTP status of a GET on this machine, past any proxy; None if nobody answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers or {}), timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError):
        return None


def _find_process() -> psutil.Process | None:
    """The server's process, if the pid on record still belongs to a sandbox and to no one else."""
    path = state_folder() / "sandbox.json"
    with suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
        process = psutil.Process(int(json.loads(path.read_text(encoding="utf-8"))["pid"]))
        if "sandbox" in " ".join(process.cmdline()):
            return process
    with suppress(FileNotFoundError):
        path.unlink()
    return None


def _write_secret(path: Path, secret: str) -> None:
    """Write a file that only its owner can read, all at once."""
    draft = path.with_name(f".{path.name}.tmp")
    with suppress(FileNotFoundError):
        draft.unlink()
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")
    draft.replace(path)
