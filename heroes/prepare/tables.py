"""CSV, TSV and Excel: from rows of cells to a table whose texts are those of the file."""

from __future__ import annotations

import csv
import datetime
import io
import re
import zipfile
from collections import Counter
from typing import Any

import numpy as np
import openpyxl
import pandas as pd

from heroes.prepare.names import COMPLETIONS, DIALOGUES, PROMPTS, plain
from heroes.prepare.suggestion import InputError, Source, number, places

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
    spelled = [plain(title) for title in header]
    body = [(n, row) for n, row in filled[at + 1 :] if [plain(c) for c in row] != spelled]
    if again := sorted({n for n, _ in filled[at + 1 :]} - {n for n, _ in body}):
        notes.append(f"Left out the header that is repeated in {places('row', again)}.")
    for n, row in body:
        if len(row) > 1 and sorted(map(str, row)) == sorted(header):
            raise InputError(
                f"{name}, row {n}: The header again, with the columns in another "
                "order. Prepare the two files one by one."
            )
    width = max(len(header), *(len(row) for _, row in body)) if body else len(header)
    header = [*header, *[""] * (width - len(header))]
    _refuse_longer(body, header, name)
    if short := [n for n, row in body if len(row) < len([h for h in header if h])]:
        notes.append(f"Fewer cells than columns in {places('row', short)}; the rest is empty.")
    body_cells = [[*row, *[""] * (width - len(row))] for _, row in body]
    names = [title if title.strip() else f"column {i}" for i, title in enumerate(header, 1)]
    if double := [title for title, count in Counter(names).items() if count > 1]:
        raise InputError(
            f"{name}, row {place}: Two columns have the name {double[0]!r}. Rename one of them."
        )
    index = pd.Index([n for n, _ in body], name="row")
    frame = pd.DataFrame(body_cells, index, names, dtype=object)
    nameless = [n for n, h in zip(names, header, strict=True) if not h.strip()]
    return frame.drop(columns=[n for n in nameless if not frame[n].astype(bool).any()]), notes


def _header(rows: Rows) -> int:
    """The position of the header: the first row with known names, else the first full one."""
    known = {*PROMPTS, *COMPLETIONS, *DIALOGUES}
    widths = Counter(sum(bool(str(cell)) for cell in row) for _, row in rows[:SAMPLE])
    usual = widths.most_common(1)[0][0]
    for at, (_, row) in enumerate(rows[:20]):
        names = {plain(str(cell)) for cell in row}
        if len(names & known) > 1 or (len(names) == 1 and names & set(DIALOGUES)):
            return at
    fitting = (at for at, (_, row) in enumerate(rows[:20]) if sum(map(bool, row)) >= min(usual, 2))
    return next(fitting, 0)


def _refuse_longer(body: Rows, header: list[str], name: str) -> None:
    """A text beyond the last named column would be lost, or is half of another text."""
    width = max((i for i, title in enumerate(header, 1) if title.strip()), default=0)
    long = [(n, len(row)) for n, row in body if any(str(c).strip() for c in row[width:])]
    if long and len(long) < len(body):
        more = f" So have {len(long) - 1:,} more rows." if len(long) > 1 else ""
        raise InputError(
            f"{name}, row {long[0][0]}: {long[0][1]} values, but {width} columns.{more} "
            'Put a text that holds the separator between quotes ("…").'
        )


def read_workbook(data: bytes, name: str, sheet: str | None) -> Source:
    """A sheet of an Excel workbook, as a person sees it."""
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    except Exception as error:  # openpyxl raises whatever its parsers raise on a damaged file
        raise InputError(
            f"{name}: This workbook cannot be read ({type(error).__name__}). "
            "Open it in a spreadsheet and save it as .xlsx or CSV."
        ) from None
    names = [page.title for page in book.worksheets]
    if sheet is not None and sheet not in names:
        raise InputError(f"{name}: There is no sheet {sheet!r}. There are: {', '.join(names)}.")
    visible = [p for p in book.worksheets if p.sheet_state == "visible" and p.max_row > 1]
    page = book[sheet] if sheet else (visible or book.worksheets)[0]
    notes = [f"Read the sheet {page.title!r} of {len(names)}; --sheet chooses another."] * (
        len(names) > 1
    )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheets = [part for part in archive.namelist() if part.startswith("xl/worksheets/")]
        if any(re.search(rb"<f[ >/]", archive.read(part)) for part in sheets):
            _refuse_formulas(data, page, name)
    rows = [(n, [as_text(cell) for cell in row]) for n, row in enumerate(page.iter_rows(), 1)]
    for area in page.merged_cells.ranges:
        for row in range(area.min_row, area.max_row):
            rows[row][1][area.min_col - 1] = rows[area.min_row - 1][1][area.min_col - 1]
    if merged := [str(a) for a in page.merged_cells.sorted() if a.max_row > a.min_row]:
        some = ", ".join(merged[:10]) + (" …" if len(merged) > 10 else "")
        notes.append(f"Merged cells hold one value; each of their rows has it now: {some}.")
    for what, shapes in (("row", page.row_dimensions), ("column", page.column_dimensions)):
        if hidden := [key for key, shape in shapes.items() if shape.hidden]:
            notes.append(f"Hidden {what}s are read, too: {', '.join(map(str, hidden[:10]))}.")
    frame, more = to_frame(rows, name)
    return Source(frame, "xlsx", "", (*notes, *more))


def _refuse_formulas(data: bytes, page: Any, name: str) -> None:
    """Formulas whose results the file does not hold: nobody has computed them yet."""
    formulas = openpyxl.load_workbook(io.BytesIO(data))[page.title]
    empty = [
        cell.coordinate
        for row in formulas.iter_rows()
        for cell in row
        if cell.data_type == "f" and page[cell.coordinate].value is None
    ]
    if empty:
        raise InputError(
            f"{name}, cell {empty[0]}: {number(len(empty), 'formula')} without a stored result. "
            "Open the workbook in a spreadsheet, save it, and try again."
        )


def as_text(cell: Any) -> str:
    """A cell (or a value of JSON) as a spreadsheet shows it: 40, not 40.0; 0.3; 2026-11-20."""
    value, shape = getattr(cell, "value", cell), getattr(cell, "number_format", "")
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return str(value).upper()
        case int() | float() if re.fullmatch("0{2,}", shape) and value == int(value):
            return str(int(value)).zfill(len(shape))
        case int() | float():
            hundred = 100 if shape.endswith("%") else 1
            # 15 digits are what a spreadsheet keeps; the 17th turns 0.3 into 0.30000000000000004.
            digits = np.format_float_positional(float(f"{value * hundred:.15g}"), trim="-")
            return (str(value) if isinstance(value, int) else digits) + "%" * (hundred > 1)
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case datetime.datetime():
            return value.isoformat(" ")
    return str(value)
