"""The command `heroes` for tests: in this process, as one of its own, or on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from typer.testing import CliRunner

from heroes.app import app

Done = subprocess.CompletedProcess[str]
ROOT = Path(__file__).resolve().parents[2]
SILENCE_SECONDS = 300.0  # then a program hangs: the test fails instead of waiting for ever
# A child of a program that ignores Ctrl-C ignores it, too, unless it is told not to. On Windows
# only Ctrl-Break can be sent to a process group.
RUN = """
import runpy, signal, sys
for name in ("SIGINT", "SIGBREAK"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.default_int_handler)
sys.argv[0] = "heroes"
runpy.run_module("heroes", run_name="__main__")
"""


@dataclass
class Heroes:
    """Runs `heroes` as a process, with an environment of its own."""

    environment: dict[str, str]

    def __call__(self, *arguments: str, input: str = "", **variables: str) -> Done:
        """Run it to its end, with `input` in a pipe."""
        return subprocess.run(
            [sys.executable, "-m", "heroes", *arguments],
            cwd=ROOT,
            env={**self.environment, **variables},
            input=input,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )

    def json(self, *arguments: str, **variables: str) -> Any:
        """Run it with --json; it must succeed, and print nothing but JSON."""
        done = self(*arguments, "--json", **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it; `interrupt` can press Ctrl-C on it."""
        flags = subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0
        return subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=sys.platform != "win32",
            creationflags=flags,
        )


class HeroesInProcess(Heroes):
    """Runs `heroes` in this process, which takes milliseconds: no signals and no terminal."""

    def __call__(self, *arguments: str, input: str = "", **variables: str) -> Done:
        """Run it to its end, with `input` in a pipe; an unforeseen error is raised."""
        with patch.dict(os.environ, self.environment | variables, clear=True):
            done = CliRunner().invoke(app, list(arguments), input=input, prog_name="heroes")
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(["heroes", *arguments], done.exit_code, done.stdout, done.stderr)


class Terminal:
    """`heroes` on a pseudo-terminal, as a person sees it; not on Windows."""

    def __init__(self, heroes: Heroes, *words: str, columns: int = 80) -> None:
        import pty

        self._master, slave = pty.openpty()
        # Its keyboard sends Ctrl-C only to the program whose terminal it is.
        own = "import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        self._child = subprocess.Popen(
            [sys.executable, "-c", own + RUN, *words],
            cwd=ROOT,
            env={**heroes.environment, "TERM": "xterm", "COLUMNS": str(columns)},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.wait()
        os.close(self._master)

    def write(self, text: str) -> None:
        """Type it."""
        os.write(self._master, text.encode())

    def interrupt(self) -> str:
        """Press Ctrl-C; what is shown until the program ends.

        A press that comes in the moment before the program waits for a key is noticed with the
        next key only: so it is pressed again, as a person would do.
        """
        seen = b""
        for _ in range(10):
            self.write("\x03")
            while self._shows_something(2):
                if not (data := self._read(1024)):
                    return seen.decode()
                seen += data
        raise AssertionError(f"Ctrl-C does not end it: {seen!r}")

    def read_until(self, text: str) -> str:
        """What is shown until this text has appeared."""
        seen = b""
        while text.encode() not in seen:
            assert self._shows_something(SILENCE_SECONDS), f"no {text!r} in {seen!r}"
            data = self._read(1)
            assert data, f"it has ended: no {text!r} in {seen!r}"
            seen += data
        return seen.decode()

    def read_all(self) -> str:
        """What is shown until the program ends."""
        seen = b""
        while self._shows_something(SILENCE_SECONDS):
            if not (data := self._read(1024)):
                return seen.decode()
            seen += data
        raise AssertionError(f"it does not end: {seen!r}")

    def _shows_something(self, seconds: float) -> bool:
        return bool(select.select([self._master], [], [], seconds)[0])

    def _read(self, most: int) -> bytes:
        # Reading from a terminal that is gone is an error on Linux, and nothing on macOS.
        with contextlib.suppress(OSError):
            return os.read(self._master, most)
        return b""

    def wait(self) -> int:
        """The exit code."""
        return self._child.wait(SILENCE_SECONDS)


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Press Ctrl-C; exit code, stdout and stderr."""
    process.send_signal(signal.CTRL_BREAK_EVENT if sys.platform == "win32" else signal.SIGINT)
    out, err = process.communicate(timeout=SILENCE_SECONDS)
    return process.returncode, out, err


def environment(tmp_path: Path, **variables: str) -> dict[str, str]:
    """An environment with nothing of the learner's own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "HEROES_"))}
    return {
        **kept,
        "HEROES_ENV_FILE": str(tmp_path / ".env"),
        "HEROES_SANDBOX_STATE": str(tmp_path / "state"),
        "HEROES_MY": str(tmp_path / "my"),
        "PYTHONIOENCODING": "utf-8",
        **variables,
    }
