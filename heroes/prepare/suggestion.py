"""A suggestion: what is wrong, how many rows, which ones, an example, and the table after it."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from heroes.prepare.table import Table, places_in_words

Level = Literal["necessary", "recommended"]
Format = Literal["chat", "completions"]
SHOWN = 10  # places that are kept of each suggestion
WIDTH = 60  # characters of an example


@dataclass(frozen=True)
class Plan:
    """What is wanted: the output's format and what goes with it."""

    format: Format = "chat"
    system: str | None = None
    prompt_column: str | None = None
    completion_column: str | None = None
    group_by: str | None = None


@dataclass(frozen=True)
class Suggestion:
    """One change to the table. `result` is the table with it; `after` is None for rows that go."""

    kind: str
    level: Level
    title: str
    why: str
    count: int
    places: tuple[int, ...]
    unit: str
    before: str
    after: str | None
    result: Table = field(repr=False)

    @property
    def where(self) -> str:
        """The rows in words: "lines 3, 17 and 5 more"."""
        return places_in_words(self.unit, self.places, self.count)

    def to_dict(self) -> dict[str, Any]:
        """What a script wants to know about it."""
        return {
            "kind": self.kind,
            "level": self.level,
            "title": self.title,
            "why": self.why,
            "rows": self.count,
            "unit": self.unit,
            "places": list(self.places),
            "before": self.before,
            "after": self.after,
        }


Rule = Callable[[Table, Plan], Suggestion | None]


def number(count: int, thing: str) -> str:
    """ "1 row", "2,000 rows"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def drop_rows(
    table: Table, bad: Sequence[bool], kind: str, level: Level, what: str, why: str
) -> Suggestion | None:
    """Suggest to leave out the rows for which `bad` is true; None if there are none."""
    indexes = [index for index, is_bad in enumerate(bad) if is_bad]
    if not indexes:
        return None
    return Suggestion(
        kind,
        level,
        f"Leave out {number(len(indexes), 'row')} {what}",
        why,
        len(indexes),
        tuple(table.places[index] for index in indexes[:SHOWN]),
        table.unit,
        show_row(table, indexes[0]),
        None,
        table.keep([not is_bad for is_bad in bad]),
    )


def change_texts(
    table: Table, column: str, texts: list[Any], kind: str, title: tuple[str, str], why: str
) -> Suggestion | None:
    """Recommend other texts for a column; None if they are the same.

    `title` is what stands before and after the number of texts.
    """
    old = table[column]
    indexes = [i for i, (a, b) in enumerate(zip(old, texts, strict=True)) if a is not b and a != b]
    if not indexes:
        return None
    before, after = excerpts(old[indexes[0]], texts[indexes[0]])
    return Suggestion(
        kind,
        "recommended",
        number(len(indexes), column).join(title),
        why,
        len(indexes),
        tuple(table.places[index] for index in indexes[:SHOWN]),
        table.unit,
        before,
        after,
        table.put(column, texts),
    )


def show_value(value: Any) -> str:
    """A value on one line; a text without quotes, but with its line breaks visible."""
    if not isinstance(value, str):
        return repr(value)
    return (
        value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    )


def show_row(table: Table, index: int) -> str:
    """A row in short: what stands in its first columns."""
    cells = [show_value(values[index]) for values in table.columns.values()]
    return " | ".join(shorten(cell, WIDTH // min(len(cells), 3)) for cell in cells[:3])


def shorten(text: str, length: int = WIDTH) -> str:
    """At most so many characters, and a sign if there were more."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def excerpts(old: Any, new: str) -> tuple[str, str]:
    """The part of two texts in which they differ, cut to a readable length."""
    before, after = show_value(old), show_value(new)
    if not isinstance(old, str):
        return shorten(before), f'"{shorten(after)}"'
    same = len(os.path.commonprefix([before, after]))
    start = max(0, same - WIDTH // 2)
    return _window(before, start), _window(after, start)


def _window(text: str, start: int) -> str:
    part = text[start : start + WIDTH]
    lead, tail = "…" * (start > 0), "…" * (start + WIDTH < len(text))
    # Quotes show blanks at the ends.
    return f'{lead}"{part}"{tail}'
