"""The entries, and finding the right ones for an error or a message."""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

ENTRIES = Path(__file__).with_name("errors.toml")
NOTEBOOK = "10_when_things_go_wrong"
WIDTH = 84
UNKNOWN = (
    "This error is not in the list. Read its last line slowly: the type, then the words. Then "
    "search for these words, without your own names and numbers, in quotation marks."
)


@dataclass(frozen=True)
class Entry:
    """One error: how to recognise it (`pattern`, `cause`), what it means, where it is met."""

    id: str
    number: str
    title: str
    cell: str
    where: str
    message: str
    pattern: str
    meaning: str
    remedy: str
    cause: str = ""

    def __str__(self) -> str:
        place = f"notebook {NOTEBOOK[:2]}, section {self.number}"
        rows = (("means:", self.meaning), ("do:", self.remedy), ("see:", place))
        return "\n".join([self.title, *(_indented(name, text) for name, text in rows)])

    def fits(self, message: str) -> bool:
        """Whether a message could be this error."""
        return re.search(self.pattern, message, re.IGNORECASE | re.DOTALL) is not None

    def explains(self, cause: str) -> bool:
        """Whether what lies behind an error makes it this one; an entry without a cause: no."""
        return bool(self.cause) and re.search(self.cause, cause, re.IGNORECASE) is not None


def _indented(name: str, text: str) -> str:
    """A name and, beside it, a text that is wrapped to a width that fits anywhere."""
    return textwrap.fill(
        f"{name:<6} {text}",
        WIDTH,
        initial_indent="  ",
        subsequent_indent=" " * 9,
        break_long_words=False,
        break_on_hyphens=False,
    )


@dataclass(frozen=True)
class Explanation:
    """What is known of an error: the entries that fit, the likeliest first."""

    entries: tuple[Entry, ...]

    def __bool__(self) -> bool:
        return bool(self.entries)

    def __str__(self) -> str:
        if not self.entries:
            return UNKNOWN
        if len(self.entries) == 1:
            return str(self.entries[0])
        head = f"This message can be one of {len(self.entries)} errors:"
        return "\n".join([head, *map(str, self.entries)])

    # A notebook shows the last value of a cell by its repr.
    __repr__ = __str__


@cache
def _content() -> dict[str, Any]:
    return tomllib.loads(ENTRIES.read_text(encoding="utf-8"))


@cache
def entries() -> tuple[Entry, ...]:
    """Every error of notebook 10, in its order."""
    names = {field.name for field in fields(Entry)}
    made = []
    for row in _content()["error"]:
        if strange := set(row) - names:
            raise ValueError(f"{ENTRIES.name}: {row.get('id')}: unknown {', '.join(strange)}")
        made.append(Entry(**row))
    return tuple(made)


def section_titles() -> dict[str, str]:
    """The sections that the errors are sorted into: the number before the dot, and the title."""
    return dict(_content()["sections"])


def explain(error: BaseException | str) -> Explanation:
    """What an error means and what to do about it: for an exception, or a message as text.

    An exception is the better question, since it also knows what lies behind it: "Connection
    error." alone can be four things.
    """
    if isinstance(error, BaseException):
        # A traceback shows the message; the code of an API's error stands beside it.
        message = f"{type(error).__name__}: {error} {getattr(error, 'code', None) or ''}"
        behind = " ".join(_chain(error))
    else:
        message = behind = error
    fitting = [entry for entry in entries() if entry.fits(message)]
    certain = [entry for entry in fitting if entry.explains(behind)]
    return Explanation(tuple(certain or fitting))


def _chain(error: BaseException) -> Iterator[str]:
    """The errors behind an error, each as "Type: words"."""
    seen = {id(error)}
    while (behind := error.__cause__ or error.__context__) is not None and id(behind) not in seen:
        seen.add(id(behind))
        yield f"{type(behind).__name__}: {behind}"
        error = behind


def lookup_table() -> str:
    """All errors as a table in Markdown: section of notebook 10, the words, what they mean."""
    rows = ["| section | you see | it means |", "|---|---|---|"]
    for entry in entries():
        # Two backticks: some messages have one inside.
        rows.append(f"| {entry.number} | ``{entry.message}`` | {entry.meaning} |")
    return "\n".join(rows)
