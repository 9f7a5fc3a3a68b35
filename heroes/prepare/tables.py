"""From the text of a CSV file, or the cells of a sheet, to a table: separator, quotes, header."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from itertools import zip_longest
from typing import Any

import pandas as pd

from heroes.prepare.suggestion import TEXTS, InputError, note, places

SEPARATORS = (",", ";", "\t", "|")
SAMPLE = 100  # rows that choose the separator, and tell how wide a table usually is
TOP = 20  # rows among which the header is
KNOWN = {name for names in ("prompt", "completion", "dialogue") for name in TEXTS["names"][names]}
csv.field_size_limit(2**31 - 1)


def plain(name: object) -> str:
    """A column's name in plain spelling: " User Prompt" and "user-prompt" are "user_prompt"."""
    return re.sub(r"[\s-]+", "_", str(name).strip()).lower()


def looks_like_table(text: str) -> bool:
    """Whether a file of unknown type is a table: a header with known names, or tabs everywhere."""
    sample = text[:100_000].lstrip("\ufeff").split("\n")
    head, *body = [line for line in sample if line.strip()] or [""]
    tabs = {line.count("\t") for line in (head, *body[:SAMPLE])}
    if head.lower().startswith("sep=") or (len(tabs) == 1 and tabs != {0} and body):
        return True
    cells = max((head.split(mark) for mark in SEPARATORS), key=len)
    return len(cells) > 1 and any(plain(cell.strip('"\r ')) in KNOWN for cell in cells)


def read_delimited(text: str, usual: str) -> tuple[pd.DataFrame, str, list[str]]:
    """The table, "csv" or "tsv", and notes. Raises InputError for rows that do not fit."""
    notes, first, text = [], 1, _separated(text)
    if match := re.match(r'\ufeff?"?sep=(.)"?\r?\n', text):
        mark, text, first = match[1], text[match.end() :], 2
        notes.append(note("sep_line", mark=mark))
    else:
        mark = max(SEPARATORS, key=lambda mark: (_fit(text, mark), mark == usual))
    rows, whole = _parse(text, mark)
    if not whole and '\\"' in text:
        changed = re.sub(r'\\(["\\])', lambda m: '""' if m[1] == '"' else "\\", text)
        if _parse(changed, mark)[1]:
            rows, whole = _parse(changed, mark)
            notes.append(note("escapes"))
    if not whole and mark == "\t":
        whole, lines = True, text.removesuffix("\n").split("\n")
        rows = [line.removesuffix("\r").split("\t") for line in lines]
        notes.append(note("raw_quotes"))
    if not whole:
        raise InputError("open_quote", f"row {len(rows) + 1}")
    frame, more = to_frame(rows, first)
    return frame, "tsv" if mark == "\t" else "csv", notes + more


def _separated(text: str) -> str:
    """The text with a line break in front of a header that follows a last line without one."""
    head = text.split("\n", 1)[0].strip("\ufeff\r")
    if len(head) < 8 or head.lower().startswith("sep="):
        return text
    return re.sub(rf"(?<=[^\n\ufeff])\ufeff?{re.escape(head)}(?=\r?\n)", f"\n{head}", text)


def _parse(text: str, mark: str, limit: int | None = None) -> tuple[list[list[str]], bool]:
    """The rows as Python's strict reader sees them, and whether it came to the end."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True):
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


def to_frame(rows: list[list[Any]], first: int = 1) -> tuple[pd.DataFrame, list[str]]:
    """Find the header among rows of texts, drop what repeats it, refuse what does not fit it.

    `first` is the number of the first row, as a spreadsheet shows it.
    """
    columns = dict(enumerate(zip_longest(*rows)))  # None where a row has ended
    cells = pd.DataFrame(columns, pd.RangeIndex(first, first + len(rows)), dtype=object)
    sizes, cells = cells.notna().sum(axis=1), cells.fillna("").rename_axis("row")
    filled = cells.apply(lambda column: column.str.strip() != "")
    cells, filled = cells[filled.any(axis=1)], filled[filled.any(axis=1)]
    if cells.empty:
        raise InputError("empty")
    at, notes = _header(cells, filled), []
    if at:
        above = [repr(cell) for cell in cells.iloc[:at].to_numpy().ravel() if cell]
        notes.append(note("above", cells=", ".join(above)))
    header, body = cells.iloc[at], _without_headers(cells.iloc[at + 1 :], cells.iloc[at])
    if again := sorted(set(cells.index[at + 1 :]) - set(body.index)):
        notes.append(note("header_again", places=places("row", again)))
    titled = filled.iloc[at]
    width = int(titled[titled].index.max()) + 1
    _refuse_longer(filled.loc[body.index], sizes, width)
    if short := body.index[sizes[body.index] < titled.sum()].tolist():
        notes.append(note("short_rows", places=places("row", short)))
    body.columns = [t if t.strip() else f"column {i}" for i, t in enumerate(header, 1)]
    for double in body.columns[body.columns.duplicated()]:
        raise InputError("two_names", f"row {header.name}", name=double)
    nameless = body.loc[:, ~titled.to_numpy()]
    return body.drop(columns=[n for n in nameless if not body[n].astype(bool).any()]), notes


def _header(cells: pd.DataFrame, filled: pd.DataFrame) -> int:
    """The position of the header: the first row with known names, else the first full one."""
    for at, row in enumerate(cells.head(TOP).to_numpy().tolist()):
        names = {plain(cell) for cell in row}
        if len(names & KNOWN) > 1 or (len(names) == 1 and names & {*TEXTS["names"]["dialogue"]}):
            return at
    counts = filled.sum(axis=1).head(SAMPLE).tolist()
    usual = Counter(counts).most_common(1)[0][0]
    return next((at for at, count in enumerate(counts[:TOP]) if count >= min(usual, 2)), 0)


def _without_headers(body: pd.DataFrame, header: pd.Series) -> pd.DataFrame:
    """The rows without those that repeat the header, in whatever spelling."""
    titles = header.tolist()
    for place, row in body[body[0].isin(titles)].iterrows() if len(titles) > 1 else ():
        if row.tolist() != titles and sorted(row) == sorted(titles):
            raise InputError("other_order", f"row {place}")
    near = body[body[0].map(plain) == plain(titles[0])]
    again = (near.map(plain) == header.map(plain)).all(axis=1)
    return body.drop(index=near.index[again])


def _refuse_longer(filled: pd.DataFrame, sizes: pd.Series, width: int) -> None:
    """A text beyond the last named column would be lost, or is half of another text."""
    long = filled.index[filled.loc[:, width:].any(axis=1)]
    if len(long) and len(long) < len(filled):
        more = f" So have {len(long) - 1:,} more rows." if len(long) > 1 else ""
        words = {"found": sizes[long[0]], "width": width, "more": more}
        raise InputError("too_wide", f"row {long[0]}", **words)
