"""CSV and TSV. Python's own reader tells on which line a row begins, so we can say it too."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Any

from heroes.prepare.errors import InputError
from heroes.prepare.table import Table

SEPARATORS = (",", ";", "\t")
MAX_FIELD = 100_000_000  # characters; Python's own limit of 131,072 is less than a long text
QUOTES = 'Double the quotes inside a quoted text (""), and close every quote.'
NAMED = {",": "a comma", ";": "a semicolon", "\t": "a tab"}

Row = tuple[int, list[str]]


def read_delimited(text: str, name: str, usual: str) -> Table:
    """A table whose first line names the columns. `usual` is the separator to prefer.

    Every value stays the text that it is: "NA" and "007" too. Raises InputError.
    """
    head = text.lstrip("\r\n")
    if not head.strip():
        raise InputError(name, "The file is empty.", "Write a line of column names, then rows.")
    separator = _separator(head, usual)
    rows = _rows(text, name, separator)
    line, first = rows.pop(0)
    names = column_names(first, name, f"line {line}")
    _refuse_long_rows(rows, len(names), name, separator)
    values = [row + [""] * (len(names) - len(row)) for _, row in rows]
    columns: dict[str, list[Any]] = {
        column: [row[index] for row in values] for index, column in enumerate(names)
    }
    return Table(name, columns, [line for line, _ in rows])


def _separator(head: str, usual: str) -> str:
    """The separator that cuts the first line into most names; the usual one if none is better."""
    first = head.splitlines()[0]
    pieces = {mark: len(next(csv.reader([first], delimiter=mark), [])) for mark in SEPARATORS}
    return max(SEPARATORS, key=lambda mark: (pieces[mark], mark == usual))


def _rows(text: str, name: str, separator: str) -> list[Row]:
    """The rows that are not blank, each with the line on which it begins."""
    before = csv.field_size_limit(MAX_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows, line = [], 1
    try:
        for row in reader:
            if row:
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        problem = f"The quotes are not right ({error})."
        raise InputError(name, problem, QUOTES, place=f"line {line}") from None
    finally:
        csv.field_size_limit(before)
    return rows


def column_names(first: list[str], name: str, place: str) -> list[str]:
    """The names of the columns: nameless ones get a number. Raises InputError for a double."""
    names = [title if title.strip() else f"column {i}" for i, title in enumerate(first, start=1)]
    twice = [title for title, count in Counter(names).items() if count > 1]
    if twice:
        problem = f"Two columns have the name {twice[0]!r}."
        raise InputError(name, problem, "Rename one of them.", place=place)
    return names


def _refuse_long_rows(rows: list[Row], width: int, name: str, separator: str) -> None:
    """Values beyond the last column would be lost; only empty ones may go."""
    bad = [(line, len(row)) for line, row in rows if len(row) > width and any(row[width:])]
    if bad:
        line, found = bad[0]
        problem = f"{found} values in the row, but {width} columns."
        if len(bad) > 1:
            problem += f" So are {len(bad) - 1:,} more rows."
        remedy = f'Put a text with {NAMED[separator]} in it between quotes ("…").'
        raise InputError(name, problem, remedy, place=f"line {line}")
    for _, row in rows:
        del row[width:]
