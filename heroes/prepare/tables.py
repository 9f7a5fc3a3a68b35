"""From the text of a CSV file, or the cells of a sheet, to a table: separator, quotes, header."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from typing import Any

import pandas as pd

from heroes.prepare.names import COMPLETIONS, DIALOGUES, PROMPTS, plain
from heroes.prepare.suggestion import InputError, places

SEPARATORS = (",", ";", "\t", "|")
SAMPLE = 100  # rows that choose the separator, and tell how wide a table usually is
Rows = list[tuple[int, list[Any]]]  # with the row's number, as a spreadsheet shows it
csv.field_size_limit(2**31 - 1)


def read_delimited(text: str, name: str, usual: str) -> tuple[pd.DataFrame, str, list[str]]:
    """The table, "csv" or "tsv", and notes. Raises InputError for rows that do not fit."""
    notes, first, text = [], 1, _separated(text)
    if match := re.match(r'\ufeff?"?sep=(.)"?\r?\n', text):
        mark, text, first = match[1], text[match.end() :], 2
        notes.append(f"The first line names the separator, {mark!r}.")
    else:
        mark = max(SEPARATORS, key=lambda mark: (_fit(text, mark), mark == usual))
    rows, whole = _parse(text, mark)
    if not whole and '\\"' in text:
        changed = re.sub(r'\\(["\\])', lambda m: '""' if m[1] == '"' else "\\", text)
        if _parse(changed, mark)[1]:
            rows, whole = _parse(changed, mark)
            notes.append('Quotes are escaped with a backslash (\\"); read as quotes.')
    if not whole and mark == "\t":
        whole, lines = True, text.removesuffix("\n").split("\n")
        rows = [line.removesuffix("\r").split("\t") for line in lines]
        notes.append("Quotes are part of the texts here, so a text ends with its line.")
    if not whole:
        raise InputError(
            f"{name}, row {len(rows) + 1}: A quote is not closed, or "
            'stands inside a text. Double it (""), and put "…" around the text.'
        )
    frame, more = to_frame(list(enumerate(rows, first)), name)
    return frame, "tsv" if mark == "\t" else "csv", notes + more


def _separated(text: str) -> str:
    """The text with a line break in front of a header that follows a last line without one."""
    head = text.split("\n", 1)[0].strip("\ufeff\r")
    if len(head) < 8 or head.lower().startswith("sep="):
        return text
    return re.sub(rf"(?<=[^\n\ufeff])\ufeff?{re.escape(head)}(?=\r?\n)", f"\n{head}", text)


def _parse(text: str, mark: str, limit: int | None = None) -> tuple[list[list[str]], bool]:
    """The rows as Python's strict reader sees them, and whether it came to the end."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            rows.append(row)
            if len(rows) == limit:
                break
    except csv.Error:
        return rows, False
    return rows, True


def _fit(text: str, mark: str) -> float:
    """How well a separator fits: the share of rows with the most frequent number of cells."""
    widths = Counter(len(row) for row in _parse(text, mark, SAMPLE)[0] if row)
    width, count = widths.most_common(1)[0] if widths else (1, 0)
    return 0 if width < 2 else count / widths.total() + width / 10_000


def to_frame(rows: Rows, name: str) -> tuple[pd.DataFrame, list[str]]:
    """Find the header, drop what repeats it, and refuse rows that are longer than it."""
    filled = [(n, row) for n, row in rows if any(str(cell).strip() for cell in row)]
    if not filled:
        raise InputError(f"{name}: The file is empty. Write a row of column names, then examples.")
    at, notes = _header(filled), []
    if at:
        skipped = ", ".join(repr(cell) for _, row in filled[:at] for cell in row if cell)
        notes.append(f"Left out above the header: {skipped}.")
    place, header = filled[at][0], [str(cell) for cell in filled[at][1]]
    body = _without_headers(filled[at + 1 :], header, name)
    if again := sorted({n for n, _ in filled[at + 1 :]} - {n for n, _ in body}):
        notes.append(f"Left out the header that is repeated in {places('row', again)}.")
    _refuse_longer(body, header, name)
    if short := [n for n, row in body if len(row) < len([title for title in header if title])]:
        notes.append(f"Fewer cells than columns in {places('row', short)}; the rest is empty.")
    width = max(len(row) for row in (header, *(row for _, row in body)))
    header += [""] * (width - len(header))
    names = [title if title.strip() else f"column {i}" for i, title in enumerate(header, 1)]
    if double := [title for title, count in Counter(names).items() if count > 1]:
        raise InputError(
            f"{name}, row {place}: Two columns have the name {double[0]!r}. Rename one of them."
        )
    cells = [[*row, *[""] * (width - len(row))] for _, row in body]
    frame = pd.DataFrame(cells, pd.Index([n for n, _ in body], name="row"), names, dtype=object)
    nameless = [n for n, title in zip(names, header, strict=True) if not title.strip()]
    return frame.drop(columns=[n for n in nameless if not frame[n].astype(bool).any()]), notes


def _header(rows: Rows) -> int:
    """The position of the header: the first row with known names, else the first full one."""
    known = {*PROMPTS, *COMPLETIONS, *DIALOGUES}
    widths = Counter(sum(bool(str(cell)) for cell in row) for _, row in rows[:SAMPLE])
    usual = widths.most_common(1)[0][0]
    for at, (_, row) in enumerate(rows[:20]):
        names = {plain(cell) for cell in row}
        if len(names & known) > 1 or (len(names) == 1 and names & set(DIALOGUES)):
            return at
    fitting = (at for at, (_, row) in enumerate(rows[:20]) if sum(map(bool, row)) >= min(usual, 2))
    return next(fitting, 0)


def _without_headers(rows: Rows, header: list[str], name: str) -> Rows:
    """The rows without those that repeat the header, in whatever spelling."""
    spelled, ordered = [plain(title) for title in header], sorted(header)
    body = []
    for n, row in rows:
        if row[0] in header and len(row) > 1 and row != header and sorted(map(str, row)) == ordered:
            raise InputError(
                f"{name}, row {n}: The header again, with the columns in another "
                "order. Prepare the two files one by one."
            )
        if plain(row[0]) != spelled[0] or [plain(cell) for cell in row] != spelled:
            body.append((n, row))
    return body


def _refuse_longer(body: Rows, header: list[str], name: str) -> None:
    """A text beyond the last named column would be lost, or is half of another text."""
    width = max((i for i, title in enumerate(header, 1) if title.strip()), default=0)
    long = [(n, len(row)) for n, row in body if any(str(cell).strip() for cell in row[width:])]
    if long and len(long) < len(body):
        more = f" So have {len(long) - 1:,} more rows." if len(long) > 1 else ""
        raise InputError(
            f"{name}, row {long[0][0]}: {long[0][1]} values, but {width} columns.{more} "
            'Put a text that holds the separator between quotes ("…").'
        )
