"""JSON and JSON Lines: the rows of any usual shape."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from helpers.json_lines import JsonFault, parse_line, parse_object, whole_fault
from heroes.prepare.suggestion import InputError, note


def read_json(text: str, *, is_jsonl: bool) -> tuple[pd.DataFrame, str, list[str]]:
    """The table, "json" or "jsonl", and notes. Raises InputError with the line and a remedy."""
    body = text.strip("\ufeff \t\r\n")
    if not body:
        raise InputError("json_empty")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        if body.startswith("[") and isinstance(error, json.JSONDecodeError):
            try:
                parse_line(body)
            except JsonFault as fault:
                raise InputError("json_fault", f"line {error.lineno}", fault=fault) from None
        value = None  # the reader of lines says what it is
    if value is None or (is_jsonl and isinstance(value, dict) and "\n" not in body):
        return _table(_lines(text), "line"), "jsonl", []
    try:
        rows, notes = _rows_of(value)
    except ValueError:  # of pandas, for columns of different lengths
        raise InputError("uneven_columns") from None
    return _table(dict(enumerate(rows, 1)), "example"), "json", notes


def _lines(text: str) -> dict[int, Any]:
    data = text.encode("utf-8", "surrogatepass")
    if fault := whole_fault(data):
        raise InputError("json_fault", fault=fault)
    rows = {}
    for place, line in enumerate(data.split(b"\n"), 1):
        try:
            if line.strip():
                rows[place] = parse_object(line)
        except JsonFault as fault:
            raise InputError("json_fault", f"line {place}", fault=fault) from None
    return rows


def _table(rows: dict[int, Any], unit: str) -> pd.DataFrame:
    for place, row in rows.items():
        if not isinstance(row, dict):
            raise InputError("not_object", f"{unit} {place}")
    frame = pd.DataFrame(list(rows.values()), pd.Index(rows, name=unit), dtype=object)
    return frame.astype(object).where(frame.notna(), None)


def _rows_of(value: Any) -> tuple[list[Any], list[str]]:
    """The rows of any usual shape: a list, a list inside, columns, pandas' split, one chat."""
    if isinstance(value, dict) and value and not {"messages", "conversations"} & value.keys():
        parts = {key: part for key, part in value.items() if isinstance(part, list | dict)}
        if all(isinstance(value.get(key), list) and value[key] for key in ("columns", "data")):
            return _records(pd.DataFrame(value["data"], columns=value["columns"], dtype=object)), []
        key = next(iter(parts), "")
        if len(parts) == 1 and isinstance(parts[key], list) and _all(parts[key], dict):
            return parts[key], [note("inner_list", key=key)] if len(value) > 1 else []
        columns = [*value.values()]
        if _all(columns, list) or (_all(columns, dict) and all("0" in c for c in columns)):
            return _records(pd.DataFrame(value, dtype=object)), []
        if _all(columns, dict) and "0" in value:
            return columns, []
    rows = value if isinstance(value, list) else [value]
    if rows and _all(rows, dict) and all({"role", "from"} & row.keys() for row in rows):
        return [{"messages": rows}], []
    return [{"messages": row} if _is_chat(row) else row for row in rows], []


def _records(frame: pd.DataFrame) -> list[Any]:
    return frame.to_dict("records")


def _all(values: list[Any], kind: type) -> bool:
    return all(isinstance(value, kind) for value in values)


def _is_chat(row: Any) -> bool:
    return isinstance(row, list) and bool(row) and isinstance(row[0], dict)
