"""JSON and JSON Lines: the rows of any usual shape."""

from __future__ import annotations

import json
from typing import Any

from helpers.jsonl import parse_jsonl
from heroes.prepare.suggestion import InputError

REMEDY = "Write one object per line (JSON Lines), or one list of objects."


def read_json(text: str, name: str) -> tuple[list[dict[str, Any]], list[int], str]:
    """Rows, their places, and what it is: "json" or "jsonl"."""
    try:
        value = json.loads(text.strip("\ufeff \t\r\n"))
    except (ValueError, RecursionError):
        value = None
    one_line = "\n" not in text.strip()
    if value is None or (one_line and isinstance(value, dict) and name.endswith(".jsonl")):
        try:
            rows = parse_jsonl(text.encode("utf-8", "surrogatepass"), name)
        except ValueError as error:
            raise InputError(str(error)) from None
        blank = [
            number for number, line in enumerate(text.split("\n"), 1) if line.strip("\ufeff \r\t")
        ]
        return rows, blank, "jsonl"
    rows = _rows_of(value)
    for place, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InputError(f"{name}, example {place}: Not an object. {REMEDY}")
    return rows, list(range(1, len(rows) + 1)), "json"


def _rows_of(value: Any) -> list[Any]:
    """The rows of any usual shape: a list, one list inside, columns, pandas' split, one chat."""
    split = isinstance(value, dict) and [value.get("columns"), value.get("data")]
    if split and all(isinstance(part, list) and part for part in split):
        return [dict(zip(value["columns"], row, strict=False)) for row in value["data"]]
    if isinstance(value, dict) and value and not {"messages", "conversations"} & value.keys():
        inner = list(value.values())
        only = inner[0] if len(inner) == 1 and isinstance(inner[0], list) else []
        if only and all(isinstance(row, dict) for row in only):
            return only
        if all(isinstance(column, list) for column in inner):
            if len({len(column) for column in inner}) > 1:
                raise InputError(f"The columns have different lengths. {REMEDY}")
            return [dict(zip(value, row, strict=True)) for row in zip(*inner, strict=True)]
        if all(isinstance(column, dict) and "0" in column for column in inner):
            return [{key: value[key].get(row) for key in value} for row in inner[0]]
        if all(isinstance(row, dict) for row in inner) and "0" in value:
            return inner
    rows = value if isinstance(value, list) else [value]
    if rows and all(isinstance(row, dict) and {"role", "from"} & row.keys() for row in rows):
        return [{"messages": rows}]
    is_chat = [isinstance(row, list) and row and isinstance(row[0], dict) for row in rows]
    return [{"messages": row} if chat else row for row, chat in zip(rows, is_chat, strict=True)]
