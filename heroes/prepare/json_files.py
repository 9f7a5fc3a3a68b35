"""JSON and JSON Lines, told apart by what stands in the file, not by its name or its length."""

from __future__ import annotations

import re
from typing import Any

import jiter

from helpers.jsonl.explain import explain
from heroes.prepare.errors import InputError
from heroes.prepare.table import Table, from_rows

REMEDY = "Write one object per line: JSON Lines, or one list of objects."
MEND = "Mend the line, or write the file with a program."


def read_json(text: str, name: str, lines_expected: bool) -> tuple[Table, str]:
    """The rows of a file, and "json" or "jsonl": what it really is. Raises InputError.

    A single object on the single line of a .jsonl file is one row, whatever the extension.
    """
    if not text.strip():
        raise InputError(name, "The file is empty.", REMEDY)
    if not lines_expected:
        whole = _parse(text)
        if not isinstance(whole, ValueError):
            return _from_whole(whole, name), "json"
        rows = _rows_of_lines(text)
        if rows is not None:
            return from_rows(name, *rows, "line"), "jsonl"
        raise _broken(name, text, whole)
    rows = _rows_of_lines(text)
    if rows is not None:
        return from_rows(name, *rows, "line"), "jsonl"
    whole = _parse(text)
    if isinstance(whole, (list, dict)):
        return _from_whole(whole, name), "json"
    raise _bad_line(name, text)


def _parse(text: str) -> Any:
    """The value, or the error as a value."""
    try:
        return jiter.from_json(
            text.encode("utf-8", "surrogatepass"), catch_duplicate_keys=True, allow_inf_nan=False
        )
    except ValueError as error:
        return error


def _lines(text: str) -> list[tuple[int, str]]:
    return [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _rows_of_lines(text: str) -> tuple[list[dict[str, Any]], list[int]] | None:
    """The objects and their lines, or None if some line is no object."""
    rows, places = [], []
    for number, line in _lines(text):
        row = _parse(line)
        if not isinstance(row, dict):
            return None
        rows.append(row)
        places.append(number)
    return rows, places


def _bad_line(name: str, text: str) -> InputError:
    """The first line that is no object, and why."""
    bad = [
        (number, line, row)
        for number, line in _lines(text)
        if not isinstance(row := _parse(line), dict)
    ]
    number, line, row = bad[0]
    others = f" So are {len(bad) - 1:,} more lines." if len(bad) > 1 else ""
    if not isinstance(row, ValueError):
        return InputError(name, f"Not an object.{others}", REMEDY, place=f"line {number}")
    _, field, problem = explain(line.encode("utf-8", "surrogatepass"), row)
    return InputError(name, problem + others, MEND, place=f"line {number}", field=field)


def _broken(name: str, text: str, error: ValueError) -> InputError:
    """Why a .json file is neither JSON nor JSON Lines."""
    if text.lstrip()[:1] == "{" and len(_lines(text)) > 1:
        first = _lines(text)[0][1]
        if isinstance(_parse(first), dict):
            return _bad_line(name, text)
    at = re.search(r"(.*?) at line (\d+)", str(error))
    problem = f"Not valid JSON ({at[1] if at else error})."
    return InputError(name, problem, MEND, place=f"line {at[2]}" if at else "")


def _from_whole(value: Any, name: str) -> Table:
    """A list of objects, an object of columns, or a single object."""
    if isinstance(value, dict) and len(value) == 1:
        only = next(iter(value.values()))
        # {"data": [{…}, {…}]}; but {"messages": [{…}]} is an example, not a list of them.
        inside = isinstance(only, list) and only and all(isinstance(row, dict) for row in only)
        if inside and "messages" not in value:
            value = only
    if isinstance(value, dict) and value:
        columns = [_column(values) for values in value.values()]
        if all(column is not None for column in columns) and "messages" not in value:
            return _from_columns(dict(zip(value, columns, strict=True)), name)
        value = [value]
    if not isinstance(value, list) or not value:
        raise InputError(name, "The file holds no list of objects.", REMEDY)
    for number, row in enumerate(value, start=1):
        if not isinstance(row, dict):
            raise InputError(name, "Not an object.", REMEDY, place=f"example {number}")
    return from_rows(name, value, list(range(1, len(value) + 1)), "example")


def _column(values: Any) -> list[Any] | None:
    """The values of {"prompt": ["…"]}, or of {"prompt": {"0": "…"}} as pandas writes it."""
    if isinstance(values, list):
        return values
    return list(values.values()) if isinstance(values, dict) and "0" in values else None


def _from_columns(columns: dict[str, Any], name: str) -> Table:
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        problem = f"The columns have different lengths: {lengths}."
        raise InputError(name, problem, "Give every row a value in every column.")
    places = list(range(1, next(iter(lengths.values())) + 1))
    return Table(name, columns, places, "example")
