"""From rows of cells to a table: where its header is, and what does not belong to it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from heroes.prepare.names import COMPLETIONS, DIALOGUES, PROMPTS, plain
from heroes.prepare.suggestion import InputError, places

SAMPLE = 100  # rows that tell how wide a table usually is
Rows = list[tuple[int, list[Any]]]  # with the row's number, as a spreadsheet shows it


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
