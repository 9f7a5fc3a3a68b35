"""First aid for a `.env` file: the mistakes people make in one, each with its remedy.

A key is a secret: nothing here puts a value of the file into a message.
"""

from __future__ import annotations

import difflib
import io
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dotenv.parser import Binding, parse_stream

from helpers.env_file import INVISIBLE, clean_value, read_text, value_problem

OUR_NAMES = (
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "HEROES_ENV_FILE",
    "HEROES_MY",
    "HEROES_SANDBOX_STATE",
    "HEROES_GENERATOR_MODEL",
    "HEROES_BASE_MODEL",
    "HEROES_MAX_USD",
)
OTHER_REAL_NAMES = (
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "OPENAI_ADMIN_KEY",
    "OPENAI_WEBHOOK_SECRET",
    "OPENAI_CUSTOM_HEADERS",
)
MISNAMED = (".env.txt", "env.txt", "env", ".env.env", ".env.rtf", ".env.example.txt")


@dataclass(frozen=True)
class Finding:
    """One problem: how bad it is, where it is, what is wrong and what to do about it."""

    level: Literal["fail", "warn"]
    where: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem} {self.remedy}"


def check_env_file(path: Path) -> list[Finding]:
    """First aid for the file at `path`: every problem found, worst first.

    A missing file is no problem by itself, since the sandbox needs none; a file that only has
    the wrong name is one.
    """
    if path.is_dir():
        return [Finding("fail", path.name, "is a folder.", "It must be a plain text file.")]
    findings = list(_check_name(path))
    if path.is_file():
        findings += _check_encoding(path)
        bindings = list(parse_stream(io.StringIO(read_text(path))))
        findings += _check_lines(path, bindings)
        findings += _check_doubles(path, bindings)
        # Not by read_env_file: python-dotenv would warn of each line that is reported above.
        values = {b.key: b.value for b in bindings if b.key is not None and b.value is not None}
        findings += _check_environment(path, values)
        findings += _check_git(path, clean_value(values.get("OPENAI_API_KEY", "")))
    return sorted(findings, key=lambda finding: finding.level != "fail")


def _check_name(path: Path) -> Iterator[Finding]:
    for name in MISNAMED:
        sibling = path.with_name(name)
        if sibling.is_file():
            yield Finding(
                "warn" if path.is_file() else "fail",
                name,
                f"is not read: the file must be called {path.name}, with nothing behind it.",
                f"Rename it to {path.name} (on Windows, let the Explorer show file extensions)."
                if not path.is_file()
                else f"Keep {path.name} and delete this one.",
            )


def _check_encoding(path: Path) -> Iterator[Finding]:
    start = path.read_bytes()[:3]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield Finding(
            "warn",
            path.name,
            "is saved as UTF-16, which other programs cannot read.",
            "Save it again with the encoding UTF-8.",
        )
    elif start == b"\xef\xbb\xbf":
        yield Finding(
            "warn",
            path.name,
            "begins with an invisible mark (a BOM).",
            "Save it again with the encoding UTF-8 (without BOM).",
        )


def _check_lines(path: Path, bindings: list[Binding]) -> Iterator[Finding]:
    for binding in bindings:
        where = f"{path.name}, line {_line_number(binding)}"
        if binding.error:
            yield Finding(
                "fail", where, "cannot be read.", "Write NAME=value, one variable on a line."
            )
        elif binding.key is not None and binding.value is None:
            yield Finding(
                "fail", where, "has no equals sign.", "Write NAME=value, one variable on a line."
            )
        elif binding.key is not None:
            yield from _check_variable(where, binding.key.strip(INVISIBLE), binding.value or "")


def _line_number(binding: Binding) -> int:
    """The line a variable stands on: the parser counts the empty lines above as part of it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _check_variable(where: str, name: str, value: str) -> Iterator[Finding]:
    if name == "OPENAI_API_KEY":
        yield from _check_key(where, value)
    elif name == "OPENAI_BASE_URL":
        yield from _check_base_url(where, value)
    elif name not in OUR_NAMES + OTHER_REAL_NAMES and (meant := _meant(name)):
        yield Finding("fail", where, f"{name} is not read by anything.", f"Did you mean {meant}?")


def _meant(name: str) -> str | None:
    """The variable that a misspelt name was probably meant to be."""
    plain = {re.sub(r"[^A-Z]", "", real): real for real in OUR_NAMES + OTHER_REAL_NAMES}
    plain |= {"OPENAIKEY": "OPENAI_API_KEY", "OPENAPIKEY": "OPENAI_API_KEY"}
    close = difflib.get_close_matches(re.sub(r"[^A-Z]", "", name.upper()), plain, 1, 0.85)
    return plain[close[0]] if close else None


def _check_key(where: str, value: str) -> Iterator[Finding]:
    cleaned = clean_value(value)
    if not cleaned:
        yield Finding(
            "warn", where, "the key is blank, so the sandbox will be used.", "Fill or delete it."
        )
    elif problem := value_problem(cleaned):
        yield Finding("fail", where, *problem)
    elif re.search(r"your|paste|here|\.\.\.|xxxx|<|>", cleaned, re.IGNORECASE):
        yield Finding(
            "fail", where, "the key is still the example text.", "Put your own key there."
        )
    elif cleaned != value:
        yield Finding(
            "warn",
            where,
            "the key has blanks or quotes around it; other programs may stumble over them.",
            "Delete them.",
        )


def _check_base_url(where: str, value: str) -> Iterator[Finding]:
    cleaned = clean_value(value)
    if not cleaned:
        yield Finding(
            "warn",
            where,
            "OPENAI_BASE_URL is there but blank; the openai package would try to call nowhere.",
            "Delete the line.",
        )
    elif not cleaned.startswith(("http://", "https://")):
        yield Finding(
            "fail", where, "the address does not begin with https://.", "Write the whole address."
        )
    elif re.search(r"/(chat/completions|completions|models|files)/?$", cleaned):
        yield Finding(
            "fail",
            where,
            "the address goes too far.",
            "It must end where the provider's base URL ends, usually in /v1.",
        )


def _check_doubles(path: Path, bindings: list[Binding]) -> Iterator[Finding]:
    names = [binding.key for binding in bindings if binding.key is not None]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Finding(
            "warn", path.name, f"{name} is there more than once; the last one wins.", "Keep one."
        )


def _check_environment(path: Path, values: dict[str, str]) -> Iterator[Finding]:
    for name, value in values.items():
        outside = os.environ.get(name, "").strip()
        if name.startswith("OPENAI_") and outside and outside != clean_value(value):
            yield Finding(
                "warn",
                path.name,
                f"{name} is also set in your system's environment, and that one wins.",
                "Remove it there (or open a new terminal) if the file's is the one you want.",
            )


def _git(folder: Path, *arguments: str, text: str | None = None) -> tuple[int, str]:
    """Run git and return its exit code and output; (-1, "") where git is missing or hangs."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=15,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return -1, ""
    return done.returncode, done.stdout


def _check_git(path: Path, key: str) -> Iterator[Finding]:
    folder = path.parent
    if _git(folder, "rev-parse", "--is-inside-work-tree")[0] != 0:
        return
    revoke = "Revoke the key where it was made and make a new one: whoever has the history has it."
    if _git(folder, "ls-files", "--error-unmatch", "--", path.name)[0] == 0:
        yield Finding(
            "fail", path.name, "is tracked by git.", f"Run `git rm --cached {path.name}`. {revoke}"
        )
    elif _git(folder, "log", "--all", "--format=%h", "-1", "--", path.name)[1].strip():
        yield Finding("fail", path.name, "was committed to git once.", revoke)
    if _git(folder, "check-ignore", "-q", "--", path.name)[0] == 1:
        yield Finding(
            "warn", path.name, "is not ignored by git.", f"Add a line {path.name} to .gitignore."
        )
    if len(key) >= 20:
        # The key goes in through standard input: a command line is visible to everyone.
        top = _git(folder, "rev-parse", "--show-toplevel")[1].strip()
        _, hits = _git(Path(top or folder), "grep", "-l", "-I", "-F", "-f", "-", text=key + "\n")
        for name in hits.splitlines():
            yield Finding("fail", name, "contains your key, and git tracks it.", revoke)
