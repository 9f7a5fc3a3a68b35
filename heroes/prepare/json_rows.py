"""JSON and JSON Lines: the rows of any usual shape."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from helpers.json_lines import parse_jsonl
from heroes.prepare.suggestion import InputError

REMEDY = "Write one object per line (JSON Lines), or one list of objects."


def read_json(text: str, name: str) -> tuple[pd.DataFrame, str, list[str]]:
    """The table, "json" or "jsonl", and notes. Raises InputError with the line and a remedy."""
    body, fault = text.strip("\ufeff \t\r\n"), None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        value, fault = None, error
    notes: list[str] = []
    is_line = "\n" not in body and isinstance(value, dict) and name.endswith(".jsonl")
    if body.startswith("[") and isinstance(fault, json.JSONDecodeError):
        raise InputError(f"{name}, {_place_of(fault, body)}")
    if fault or is_line:
        kind, unit = "jsonl", "line"
        try:
            rows = parse_jsonl(text.encode("utf-8", "surrogatepass"), name)
        except ValueError as error:
            raise InputError(str(error)) from None
        numbers = [n for n, line in enumerate(text.split("\n"), 1) if line.strip("\ufeff \r\t")]
    else:
        kind, unit = "json", "example"
        rows, notes = _rows_of(value)
        numbers = list(range(1, len(rows) + 1))
    for place, row in zip(numbers, rows, strict=True):
        if not isinstance(row, dict):
            raise InputError(f"{name}, {unit} {place}: Not an object. {REMEDY}")
    frame = pd.DataFrame(rows, index=pd.Index(numbers, name=unit), dtype=object)
    return frame.astype(object).where(frame.notna(), None), kind, notes


def _place_of(fault: json.JSONDecodeError, text: str) -> str:
    place = f"line {fault.lineno}: "
    if text[: fault.pos].rstrip(", \t\r\n") != text[: fault.pos].rstrip():
        return f"{place}A comma too many in front of this. Delete it."
    return f"{place}Not valid JSON ({fault.msg}, character {fault.colno}). {REMEDY}"


def _rows_of(value: Any) -> tuple[list[Any], list[str]]:
    """The rows of any usual shape: a list, a list inside, columns, pandas' split, one chat."""
    if isinstance(value, dict) and value and not {"messages", "conversations"} & value.keys():
        inner = list(value.values())
        if all(isinstance(value.get(key), list) and value[key] for key in ("columns", "data")):
            return [dict(zip(value["columns"], row, strict=False)) for row in value["data"]], []
        lists = [key for key, part in value.items() if isinstance(part, list | dict)]
        if len(lists) == 1 and isinstance(rows := value[lists[0]], list) and _all(rows, dict):
            return rows, [f"Read the list {lists[0]!r} of the file."] if len(inner) > 1 else []
        if _all(inner, list):
            if len({len(column) for column in inner}) > 1:
                raise InputError(f"The columns have different lengths. {REMEDY}")
            return [dict(zip(value, row, strict=True)) for row in zip(*inner, strict=True)], []
        if _all(inner, dict) and all("0" in column for column in inner):
            return [{key: value[key].get(row) for key in value} for row in inner[0]], []
        if _all(inner, dict) and "0" in value:
            return inner, []
    rows = value if isinstance(value, list) else [value]
    if rows and _all(rows, dict) and all({"role", "from"} & row.keys() for row in rows):
        return [{"messages": rows}], []
    is_chat = [isinstance(row, list) and row and isinstance(row[0], dict) for row in rows]
    return [{"messages": row} if c else row for row, c in zip(rows, is_chat, strict=True)], []


def _all(values: list[Any], kind: type) -> bool:
    return all(isinstance(value, kind) for value in values)
