"""What the modules hand to each other: the plan, an error, a suggestion, and how to say them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

TEXTS = tomllib.loads(Path(__file__).with_name("texts.toml").read_text(encoding="utf-8"))
SHOWN = 10  # places and names that are listed; the rest is counted
WIDTH = 70  # characters of an example
LEFT_OUT = "(left out)"


class InputError(Exception):
    """The file cannot be used as it is. `kind` finds the words; `where` is a row or a line."""

    def __init__(self, kind: str, where: str = "", /, **words: Any) -> None:
        text = TEXTS["errors"][kind].format(**words)
        super().__init__(f"{where}: {text}" if where else text)
        self.where = where


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
class Suggestion:
    """A change to the table: `frame` is the table with it, `rows` are the places it changes.

    texts.toml has the words of each kind, and what the levels mean.
    """

    kind: str
    level: str
    title: str
    why: str
    remedy: str
    rows: list[int] = field(repr=False)
    before: str
    after: str
    frame: pd.DataFrame = field(repr=False)


# A rule looks at a table and returns a better one, with words for its title; None: all is well.
Found = tuple[pd.DataFrame, dict[str, str]] | None
Rule = Callable[[pd.DataFrame, Plan], Found]


def suggest(
    kind: str, old: pd.DataFrame, new: pd.DataFrame, before: str = "", after: str = "", **words: str
) -> Suggestion | None:
    """The suggestion to change one table into another; None if they are the same."""
    rows: list[int] = []
    changed = [c for c in new if c in old and new[c] is not old[c]] if len(new) == len(old) else []
    if len(new) < len(old):
        gone = old[~old.index.isin(new.index)]
        first = " | ".join(shown(value) for value in gone.iloc[0].tolist()[:3])
        rows, before, after = gone.index.tolist(), before or first, LEFT_OUT
    elif set(new) < set(old):
        lost = [column for column in old if column not in new]
        words["columns"] = f"{number(len(lost), 'column')}: {listed(lost)}"
        before, after = before or _first_row(old[lost]), after or LEFT_OUT
    elif list(new) != list(old):
        before, after = _first_row(old), _first_row(new)
    elif differs := next(((c, d) for c in changed if (d := old[c] != new[c]).any()), None):
        column, where = differs
        rows = old.index[where].tolist()
        words["texts"] = number(len(rows), column)
        if not before:
            before, after = (shown(f[column][where].iloc[0], ends=True) for f in (old, new))
    elif not before:
        return None
    text, words["rows"] = TEXTS["rules"][kind], number(len(rows), "row")
    title, why, remedy = (text.get(key, "").format(**words) for key in ("title", "why", "remedy"))
    return Suggestion(kind, text["level"], title, why.strip(), remedy, rows, before, after, new)


def _first_row(frame: pd.DataFrame) -> str:
    return shown(" | ".join(map(str, frame.iloc[0].tolist()[:4])))


def note(kind: str, /, **words: Any) -> str:
    """A remark that asks for no decision."""
    return TEXTS["notes"][kind].format(**words)


def keep(frame: pd.DataFrame, good: pd.Series) -> Found:
    """The rows where `good` is true, as what a rule found; None if these are all."""
    return None if good.all() else (frame[good], {})


def number(count: int, thing: str) -> str:
    """ "1 row", "2,000 rows"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def places(unit: object, rows: Iterable[int]) -> str:
    """ "row 3", "rows 3, 17, 20 and 5 more"."""
    rows = list(rows)
    first = ", ".join(f"{row:,}" for row in rows[:SHOWN])
    more = f" and {len(rows) - SHOWN:,} more" if len(rows) > SHOWN else ""
    return f"{unit}{'' if len(rows) == 1 else 's'} {first}{more}"


def listed(names: Iterable[object]) -> str:
    """Some names of columns, in quotes."""
    quoted = [repr(name) for name in names]
    return ", ".join(quoted[:SHOWN]) + (" …" if len(quoted) > SHOWN else "")


def shown(value: Any, *, ends: bool = False) -> str:
    """A value on one line, in quotes if it is a text; `ends` keeps the end of a long one too."""
    text = str(value).encode("utf-8", "replace").decode()  # half an emoji cannot be printed
    text = re.sub(r"[\n\r\t]", lambda m: repr(m.group())[1:-1], text)
    if len(text) > WIDTH:
        text = f"{text[: WIDTH // 2]}…{text[-WIDTH // 2 :]}" if ends else f"{text[:WIDTH]}…"
    return f'"{text}"' if isinstance(value, str) else text
