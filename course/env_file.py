"""First aid for a `.env` file: the mistakes people make in one, each with its remedy.

A key is a secret: nothing here puts a value of the file into a message.
"""

from __future__ import annotations

import difflib
import io
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from dotenv.parser import Binding, parse_stream

from helpers.settings import INVISIBLE, clean_value, read_saved_text

MISTAKES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
NAMES: list[str] = MISTAKES["names"].split()
KEY = "OPENAI_API_KEY"
ONE_A_LINE = "Write NAME=value, one variable on a line."
REVOKE = "Revoke the key where it was made and make a new one: anyone who has the history has it."


class Finding(NamedTuple):
    """One problem: how bad it is, where it is, what is wrong and what to do about it."""

    level: Literal["fail", "warn"]
    where: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem} {self.remedy}"


def value_problem(value: str) -> tuple[str, str] | None:
    """What no cleaning can repair in a key, and the remedy; None if the key can be sent."""
    row = _first(MISTAKES["key"], value)
    return (row["problem"], row["remedy"]) if row else None


def _first(mistakes: list[dict[str, str]], value: str) -> dict[str, str] | None:
    """The first of the mistakes whose pattern is found in a value."""
    return next((row for row in mistakes if re.search(row["pattern"], value)), None)


def check_env_file(path: Path) -> list[Finding]:
    """First aid for the file at `path`: every problem found, worst first.

    A missing file is no problem by itself, since the sandbox needs none; a file that only has
    the wrong name is one.
    """
    if path.is_dir():
        return [Finding("fail", path.name, "is a folder.", "It must be a plain text file.")]
    findings = list(_check_name(path))
    if path.is_file():
        bindings = list(parse_stream(io.StringIO(read_saved_text(path))))
        values = {b.key: clean_value(b.value) for b in bindings if b.key and b.value is not None}
        findings += _check_encoding(path)
        for binding in bindings:
            findings += _check_line(f"{path.name}, line {_line_number(binding)}", binding)
        findings += _check_variables(path, [b.key for b in bindings if b.key], values)
        findings += _check_git(path, values.get(KEY, ""))
    return sorted(findings, key=lambda finding: finding.level != "fail")


def _check_name(path: Path) -> Iterator[Finding]:
    problem = f"is not read: the file must be called {path.name}, with nothing behind it."
    rename = f"Rename it to {path.name} (on Windows, let the Explorer show file extensions)."
    for name in MISTAKES["misnamed"].split():
        if path.with_name(name).is_file() and path.is_file():
            yield Finding("warn", name, problem, f"Keep {path.name} and delete this one.")
        elif path.with_name(name).is_file():
            yield Finding("fail", name, problem, rename)


def _check_encoding(path: Path) -> Iterator[Finding]:
    start = path.read_bytes()[:3]
    again = "Save it again with the encoding UTF-8"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        problem = "is saved as UTF-16, which other programs cannot read."
        yield Finding("warn", path.name, problem, f"{again}.")
    elif start == b"\xef\xbb\xbf":
        problem = "begins with an invisible mark (a BOM)."
        yield Finding("warn", path.name, problem, f"{again} (without BOM).")


def _line_number(binding: Binding) -> int:
    """The line a variable is on: the parser counts the empty lines above as part of it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _check_line(where: str, binding: Binding) -> Iterator[Finding]:
    name = (binding.key or "").strip(INVISIBLE)
    if binding.error:
        yield Finding("fail", where, "cannot be read.", ONE_A_LINE)
    elif name and binding.value is None:
        yield Finding("fail", where, "has no equals sign.", ONE_A_LINE)
    elif name in NAMES:
        yield from _check_value(where, name, binding.value)
    elif name and (meant := _meant(name)):
        yield Finding("fail", where, f"{name} is not read by anything.", f"Did you mean {meant}?")


def _meant(name: str) -> str | None:
    """The variable that a misspelt name was probably meant to be."""
    plain = {re.sub(r"[^A-Z]", "", real): real for real in NAMES}
    plain |= {"OPENAIKEY": "OPENAI_API_KEY", "OPENAPIKEY": "OPENAI_API_KEY"}
    close = difflib.get_close_matches(re.sub(r"[^A-Z]", "", name.upper()), plain, 1, 0.85)
    return plain[close[0]] if close else None


def _check_value(where: str, name: str, value: str) -> Iterator[Finding]:
    cleaned = clean_value(value)
    unsendable = MISTAKES["key"] if name == KEY else []
    if row := _first([*unsendable, *MISTAKES["value"].get(name, [])], cleaned):
        yield Finding(row.get("level", "fail"), where, row["problem"], row["remedy"])
    elif name == KEY and cleaned != value:
        problem = "the key has blanks or quotes around it; other programs may stumble over them."
        yield Finding("warn", where, problem, "Delete them.")


def _check_variables(path: Path, names: list[str], values: dict[str, str]) -> Iterator[Finding]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        problem = f"{name} is there more than once; the last one wins."
        yield Finding("warn", path.name, problem, "Keep one.")
    for name, value in values.items():
        outside = os.environ.get(name, "").strip()
        if name.startswith("OPENAI_") and outside and outside != value:
            problem = f"{name} is also set in your system's environment, and that one wins."
            remedy = "Remove it there (or open a new terminal) if the file's is the one you want."
            yield Finding("warn", path.name, problem, remedy)


def _check_git(path: Path, key: str) -> Iterator[Finding]:
    folder, name = path.parent, path.name
    code, top = _git(folder, "rev-parse", "--show-toplevel")
    if code != 0:
        return  # no repository, or no git
    if _git(folder, "ls-files", "--error-unmatch", "--", name)[0] == 0:
        yield Finding("fail", name, "is tracked by git.", f"Run `git rm --cached {name}`. {REVOKE}")
    elif _git(folder, "log", "--all", "--format=%h", "-1", "--", name)[1]:
        yield Finding("fail", name, "was committed to git once.", REVOKE)
    if _git(folder, "check-ignore", "-q", "--", name)[0] == 1:
        yield Finding("warn", name, "is not ignored by git.", f"Add a line {name} to .gitignore.")
    if len(key) >= 20:
        # The key goes in through standard input: a command line is visible to everyone.
        _, hits = _git(Path(top), "grep", "-l", "-I", "-F", "-f", "-", text=key + "\n")
        for hit in hits.splitlines():
            yield Finding("fail", hit, "contains your key, and git tracks it.", REVOKE)


def _git(folder: Path, *arguments: str, text: str = "") -> tuple[int, str]:
    """Run git and return its exit code and output; (-1, "") where git is missing or hangs."""
    command = ["git", "-C", str(folder), *arguments]
    options = {"capture_output": True, "encoding": "utf-8", "errors": "replace", "timeout": 15}
    try:
        done = subprocess.run(command, input=text, check=False, **options)
    except (OSError, subprocess.TimeoutExpired):
        return -1, ""
    return done.returncode, done.stdout.strip()
