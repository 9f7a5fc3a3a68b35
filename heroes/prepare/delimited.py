"""CSV and TSV: which separator, which quotes, and the rows of cells."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from typing import Any

import pandas as pd

from heroes.prepare.names import COMPLETIONS, DIALOGUES, PROMPTS, plain
from heroes.prepare.suggestion import InputError
from heroes.prepare.tables import to_frame

SEPARATORS = (",", ";", "\t", "|")
SAMPLE = 100  # rows that choose the separator
Rows = list[tuple[int, list[Any]]]  # with the row's number, as a spreadsheet shows it
csv.field_size_limit(2**31 - 1)


def looks_like_table(text: str) -> bool:
    """Whether a file of unknown type is a table: a header with known names, or tabs everywhere."""
    head, *body = [
        line for line in text[:100_000].lstrip("\ufeff").split("\n") if line.strip()
    ] or [""]
    tabs = {line.count("\t") for line in (head, *body[:SAMPLE])}
    if head.lower().startswith("sep=") or (len(tabs) == 1 and tabs != {0} and body):
        return True
    cells = max((head.split(mark) for mark in SEPARATORS), key=len)
    known = {*PROMPTS, *COMPLETIONS, *DIALOGUES, "text", "instruction"}
    return len(cells) > 1 and any(plain(cell.strip('"\r ')) in known for cell in cells)


def read_delimited(text: str, name: str, usual: str) -> tuple[pd.DataFrame, str, list[str]]:
    """The table, its separator, and notes. Raises InputError for rows that do not fit."""
    notes, first, text = [], 1, _separated(text)
    if match := re.match(r'\ufeff?"?sep=(.)"?\r?\n', text):
        usual, text, first = match[1], text[match.end() :], 2
        notes.append(f"The first line names the separator, {usual!r}.")
        rows = _parse(text, usual)
    else:
        by_mark = {mark: _parse(text, mark, SAMPLE) for mark in SEPARATORS}
        usual = max(SEPARATORS, key=lambda mark: (_fit(by_mark[mark]), mark == usual))
        rows = _parse(text, usual)
    if rows is None:
        changed = re.sub(r'\\(["\\])', lambda m: '""' if m[1] == '"' else "\\", text)
        if '\\"' in text and (rows := _parse(changed, usual)) is not None:
            notes.append('Quotes are escaped with a backslash (\\"); read as quotes.')
    if rows is None and usual == "\t":
        rows = [line.removesuffix("\r").split("\t") for line in text.removesuffix("\n").split("\n")]
        notes.append("Quotes are part of the texts here, so a text ends with its line.")
    if rows is None:
        raise InputError(
            f"{name}, row {_last_good_row(text, usual)}: A quote is not closed, or "
            'stands inside a text. Double it (""), and put "…" around the text.'
        )
    frame, more = to_frame([(n, row) for n, row in enumerate(rows, first)], name)
    return frame, usual, notes + more


def _separated(text: str) -> str:
    """The text with a line break in front of a header that follows a last line without one."""
    head = text.split("\n", 1)[0].strip("\ufeff\r")
    if len(head) < 8 or head.lower().startswith("sep="):
        return text
    return re.sub(rf"(?<=[^\n\ufeff])\ufeff?{re.escape(head)}(?=\r?\n)", f"\n{head}", text)


def _parse(text: str, separator: str, limit: int | None = None) -> list[list[str]] | None:
    """The rows as Python's strict reader sees them, or None if the quotes are not right."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            rows.append(row)
            if limit and len(rows) == limit:
                break
    except csv.Error:
        return rows if limit else None
    return rows


def _last_good_row(text: str, separator: str) -> int:
    return len(_parse(text, separator, limit=10**9) or []) + 1


def _fit(rows: list[list[str]] | None) -> float:
    """How well a separator fits: the share of rows with the most frequent number of cells."""
    widths = Counter(len(row) for row in rows or [] if row)
    width, count = widths.most_common(1)[0] if widths else (1, 0)
    return 0 if width < 2 else count / widths.total() + width / 10_000
