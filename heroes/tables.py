"""Tables, and one thing with all its fields."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from heroes.output import PLAIN, console, note, printable, show_json

# Columns whose texts people copy: never folded into two lines.
WHOLE = {"id", "model", "tuned model"}
COLOURS = {"ok": "green", "done": "green", "warn": "yellow", "begun": "yellow", "fail": "red"}


def show_list(
    found: Sequence[Any],
    json: bool,
    columns: Sequence[str],
    row: Callable[[Any], Sequence[object]],
    empty: str = "Nothing to show.",
) -> None:
    """Print things as JSON, or else as a table with a row for each."""
    if json:
        show_json(found)
    else:
        show_table(columns, map(row, found), empty)


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str = "Nothing to show."
) -> None:
    """Print a table: drawn on a terminal, in plain columns in a pipe; nothing is cut off."""
    cells = [
        ["" if v is None else " ".join(printable(str(v)).split()) for v in row] for row in rows
    ]
    if not cells:
        note(empty)
        return
    drawn = console.is_terminal
    table = Table(box=box.SIMPLE_HEAD if drawn else None, pad_edge=False, padding=(0, 1))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=not drawn or column in WHOLE)
    for row in cells:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    # As wide as it needs to be in a pipe, which has no width, or with ids, which are copied.
    natural = console.measure(table, options=console.options.update(width=100_000)).maximum
    wide = not drawn or WHOLE & set(columns)
    Console(width=natural if wide else None, **PLAIN).print(table)


def show_fields(thing: Any, json: bool) -> None:
    """Print one thing of the server, a line for each of its fields that has a value, or as JSON."""
    if json:
        show_json(thing)
        return
    fields = {name: _in_words(name, value) for name, value in thing.to_dict().items()}
    width = max(map(len, fields))
    for name, words in fields.items():
        if words:
            console.print(f"{name.replace('_', ' '):<{width}}  {printable(words)}")


def _in_words(name: str, value: Any) -> str:
    if name.endswith(("_at", "_finish")):
        return when(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={inner}" for key, inner in value.items() if inner is not None)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def when(seconds: float | None) -> str:
    """A moment as people write it; empty if there is none."""
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M") if seconds else ""
