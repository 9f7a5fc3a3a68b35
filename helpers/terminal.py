"""Run a `heroes` command from a notebook and show what a terminal would show."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path

from helpers.data import my_folder
from helpers.display import in_lines

COLOURS = ("FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR")


def terminal(*words: str | Path, ctrl_c_at: str = "", last: int | None = None) -> int:
    """Run a command such as `heroes jobs list`, printing its lines as they come; its exit code.

    Strings are split as a shell would split them; a Path is one word, whatever is in it. Ctrl-C is
    pressed after the first line that contains `ctrl_c_at`. `last` prints only the last lines. Your
    own folder is shown as data/my, wherever it is.
    """
    command = [part for word in words for part in _split(word)]
    if command[:1] != ["heroes"]:
        raise ValueError(f"This runs the command heroes only, not {command[:1]}.")
    shown: deque[str] = deque(maxlen=last)
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env=_environment(),
    ) as process:
        for line in process.stdout or ():
            line = _without_place(line)
            line = line if len(line) <= 118 else in_lines(line) + "\n"
            if last is None:
                print(line, end="", flush=True)
            shown.append(line)
            if ctrl_c_at and ctrl_c_at in line:
                ctrl_c_at = ""
                _press_ctrl_c(process)
    if last is not None:
        print(*shown, sep="", end="")
    return process.returncode


def _environment() -> dict[str, str]:
    """Ours, without what a notebook's kernel says of itself: that it is a coloured terminal."""
    kept = {name: value for name, value in os.environ.items() if name not in COLOURS}
    return {**kept, "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}


def _split(word: str | Path) -> list[str]:
    return [str(word)] if isinstance(word, Path) else shlex.split(word)


def _without_place(line: str) -> str:
    for place in (my_folder().resolve(), my_folder()):
        line = line.replace(str(place), "data/my")
    return line


def _press_ctrl_c(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        process.terminate()  # Ctrl-C would reach this notebook, too
    else:
        process.send_signal(signal.SIGINT)
