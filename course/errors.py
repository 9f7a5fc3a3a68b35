"""What an error means and what to do about it: `explain(error)`, from `errors.toml`.

The same entries are behind notebook 11, `heroes explain`, the commands' error lines and
docs/errors.md.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

NOTEBOOK = "11_when_things_go_wrong"
UNKNOWN = (
    "This error is not in the list. Read its last line: the type, then the message. Search the web "
    "for the message in quotation marks, without your own names and numbers."
)
# Light, in the dark theme too: the colours of a card are its own.
CARD = (
    "max-width: 46em; margin: 0.4em 0; padding: 0.5em 1em; color: #26262c; background: #fdf3ef; "
    "border-left: 6px solid #b4533c"
)
CHIP = "padding: 0.1em 0.5em; color: #ffffff; background: #b4533c"
CODE = "color: #7c3323; background: #f6ddd4"
LINE = "margin: 0.3em 0"
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
TRACEBACK = re.compile(r"^.*Traceback \(most recent call last\).*$", re.MULTILINE)
# What a traceback shows besides the errors: files, lines of code, arrows.
FRAME = re.compile(r"\s|File |Cell In|-+>|---|\.\.\.|Input In")


@dataclass(frozen=True)
class ErrorEntry:
    """One error: how to recognise it, what it means, what to do (its fields: see errors.toml)."""

    id: str
    section: str
    title: str
    message: str
    pattern: str
    meaning: str
    remedy: str
    met: str = ""
    cause: str = ""
    fallback: str = ""
    shell: str = ""

    def __str__(self) -> str:
        rows = {"means:": self.meaning, "do:": self.remedy}
        if self.met:
            rows["see:"] = f"notebook {NOTEBOOK[:2]}, section {self.met}"
        return "\n".join([self.title, *(_indented(name, text) for name, text in rows.items())])


@dataclass(frozen=True)
class Explanation:
    """The entries that fit an error; none if it is unknown. Printing it shows them all.

    In a notebook it is a card: the error, its message, and what to do, to be opened with a click.
    """

    entries: tuple[ErrorEntry, ...]
    error: BaseException | str = ""

    def __bool__(self) -> bool:
        return bool(self.entries)

    def __str__(self) -> str:
        several = len(self.entries) > 1
        head = [f"This message can be one of {len(self.entries)} errors:"] if several else []
        return "\n".join([*head, *map(str, self.entries)]) or UNKNOWN

    __repr__ = __str__  # a notebook shows the last value of a cell by its repr

    def _repr_html_(self) -> str:
        parts = [_card_head(self.error), *map(_card_entry, self.entries)]
        return f'<div style="{CARD}">{"".join(parts)}{"" if self else UNKNOWN}</div>'


def _card_head(error: BaseException | str) -> str:
    """Type, status, code and what is behind an error, and its message below."""
    if isinstance(error, str):
        return f'<p style="{LINE}"><strong>{escape(error)}</strong></p>'
    marks = [type(error).__name__, getattr(error, "status_code", ""), getattr(error, "code", "")]
    behind = error.__cause__ or error.__context__
    if behind is not None and not getattr(error, "status_code", None):
        marks.append(f"behind it: {type(behind).__name__}")
    chips = " ".join(f'<code style="{CHIP}">{escape(str(m))}</code>' for m in marks if m)
    return f'<p style="{LINE}">{chips}</p><p style="{LINE}">{escape(str(error))}</p>'


def _card_entry(entry: ErrorEntry) -> str:
    """What an entry says, behind a line to click."""
    meaning, remedy = (
        re.sub(r"`([^`]*)`", rf'<code style="{CODE}">\1</code>', escape(text, quote=False))
        for text in (entry.meaning, entry.remedy)
    )
    return (
        f'<details><summary style="color: #7c3323">What it means, and what to do</summary>'
        f'<p style="{LINE}"><strong>{escape(entry.title)}.</strong> {meaning}</p>'
        f'<p style="{LINE}"><strong>Do:</strong> {remedy}</p></details>'
    )


def _indented(name: str, text: str) -> str:
    whole = {"break_long_words": False, "break_on_hyphens": False}
    head, rest = f"  {name:<6} ", " " * 9
    return textwrap.fill(text, 84, initial_indent=head, subsequent_indent=rest, **whole)


@cache
def _content() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("errors.toml").read_text(encoding="utf-8"))


@cache
def entries() -> tuple[ErrorEntry, ...]:
    """Every error that is explained, section by section."""
    return tuple(ErrorEntry(**row) for row in _content()["error"])


def sections() -> dict[str, str]:
    """The sections that the errors are sorted into: number and title."""
    return _content()["sections"]


def explain(error: BaseException | str) -> Explanation:
    """What an error means: for an exception, or for a message or a whole traceback as text.

    An exception says more than its message: only its cause tells which "Connection error." it is.
    """
    if isinstance(error, BaseException):
        # A traceback shows the message; the code of an API's error is a field beside it.
        message = f"{type(error).__name__}: {error} {getattr(error, 'code', None) or ''}"
        behind, seen = "\n".join(_chain(error)), error
    else:
        message, behind = _last_error(ANSI.sub("", error))
        seen = message.strip().rpartition("\n")[2]
    return Explanation(_fitting(message, behind) or _fitting(behind, behind), seen)


def _fitting(message: str, behind: str) -> tuple[ErrorEntry, ...]:
    """The entries whose cause is certain; else those whose words fit; else the general ones."""
    fitting = tuple(entry for entry in entries() if _in(entry.pattern, message))
    possible = entries() if "connection error" in message.lower() else fitting
    certain = tuple(entry for entry in possible if _in(entry.cause, behind))
    return certain or fitting or tuple(e for e in entries() if _in(e.fallback, message))


def _in(pattern: str, text: str) -> bool:
    return bool(pattern) and re.search(pattern, text, re.IGNORECASE | re.DOTALL) is not None


def _chain(error: BaseException) -> Iterator[str]:
    """The errors behind an error, each as "Type: words"."""
    seen = {id(error)}
    while (behind := error.__cause__ or error.__context__) is not None and id(behind) not in seen:
        seen.add(id(behind))
        yield f"{type(behind).__name__}: {behind}"
        error = behind


def _last_error(text: str) -> tuple[str, str]:
    """The message of a pasted text, and all errors in it: of a traceback, only the errors' lines.

    The code that a traceback quotes names errors too, such as `raise APITimeoutError(…)`.
    """
    if not TRACEBACK.search(text):
        return text, text
    blocks = [
        "\n".join(line for line in block.splitlines() if not FRAME.match(line)).strip()
        for block in TRACEBACK.split(text)
    ]
    return blocks[-1], "\n".join(blocks)
