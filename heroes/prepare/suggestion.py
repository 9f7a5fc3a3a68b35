"""What the steps hand to each other: the plan, the source, an error, and a suggestion."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

SHOWN = 10  # places and names that are listed; the rest is counted
WIDTH = 70  # characters of an example


class InputError(Exception):
    """The file cannot be used as it is; the message says what is wrong, where, what to do."""


@dataclass(frozen=True)
class Plan:
    """What is wanted. `prompt` is a column, or a template with columns in braces."""

    format: str = "chat"  # or "completions"
    system: str | None = None
    prompt: str | None = None
    completion: str | None = None
    group_by: str | None = None
    drop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A file that was read. The frame's index is the row's number in the file, and its name is
    what is counted: "row" (as a spreadsheet shows it), "line" or "example".
    """

    frame: pd.DataFrame
    kind: str
    encoding: str = ""
    notes: tuple[str, ...] = ()
    guess: tuple[str, str] | None = None  # text before and after an encoding was guessed


@dataclass(frozen=True)
class Suggestion:
    """A change to the table: `frame` is the table with it, `rows` are the places it changes.

    level: "necessary" (no file without it), "recommended", or "yours": content would be lost,
    so --yes does not decide it, and `remedy` says which option does.
    """

    kind: str
    level: str
    title: str
    why: str
    rows: list[int] = field(repr=False)
    before: str
    after: str
    frame: pd.DataFrame = field(repr=False)
    remedy: str = ""


Rule = Callable[[pd.DataFrame, Plan], Suggestion | None]


def drop_rows(
    frame: pd.DataFrame, bad: pd.Series, kind: str, level: str, what: str, why: str
) -> Suggestion | None:
    """Suggest leaving out the rows where `bad` is true; None if there are none."""
    if not bad.any():
        return None
    rows = frame.index[bad].tolist()
    title = f"Leave out {number(len(rows), 'row')} {what}"
    first = " | ".join(shown(value) for value in frame[bad].iloc[0].tolist()[:3])
    return Suggestion(kind, level, title, why, rows, first, "(left out)", frame[~bad])


def change_texts(
    frame: pd.DataFrame, column: str, new: pd.Series, kind: str, title: str, why: str
) -> Suggestion | None:
    """Recommend other texts for a column; None if they are the same. `{}` is their number."""
    changed = frame[column] != new
    if not changed.any():
        return None
    rows = frame.index[changed].tolist()
    before, after = (shown(texts[changed].iloc[0], ends=True) for texts in (frame[column], new))
    title = title.replace("{}", number(len(rows), column), 1)
    frame = frame.assign(**{column: new})
    return Suggestion(kind, "recommended", title, why, rows, before, after, frame)


def number(count: int, thing: str) -> str:
    """ "1 row", "2,000 rows"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def places(unit: object, rows: list[int]) -> str:
    """ "row 3", "rows 3, 17, 20 and 5 more"."""
    listed = ", ".join(f"{row:,}" for row in rows[:SHOWN])
    more = f" and {len(rows) - SHOWN:,} more" if len(rows) > SHOWN else ""
    return f"{unit}{'' if len(rows) == 1 else 's'} {listed}{more}"


def shown(value: Any, *, ends: bool = False) -> str:
    """A value on one line, in quotes if it is a text; `ends` keeps the end of a long one too."""
    text = str(value).encode("utf-8", "replace").decode()  # half an emoji cannot be printed
    text = re.sub(r"[\n\r\t]", lambda m: repr(m.group())[1:-1], text)
    if len(text) > WIDTH:
        text = f"{text[: WIDTH // 2]}…{text[-WIDTH // 2 :]}" if ends else f"{text[:WIDTH]}…"
    return f'"{text}"' if isinstance(value, str) else text
