"""Excel: a sheet of a workbook as a person sees it."""

from __future__ import annotations

import datetime
import io
import re
from typing import Any

import numpy as np
import openpyxl

from heroes.prepare.suggestion import InputError, Source, number
from heroes.prepare.tables import to_frame


def read_workbook(data: bytes, name: str, sheet: str | None) -> Source:
    """A sheet of an Excel workbook, as a person sees it."""
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    except Exception as error:  # noqa: BLE001 - of a damaged file, openpyxl raises anything
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
    _refuse_formulas(data, page, name)
    rows = [(n, [as_text(cell) for cell in row]) for n, row in enumerate(page.iter_rows(), 1)]
    for area in page.merged_cells.ranges:
        for row in range(area.min_row, area.max_row):
            rows[row][1][area.min_col - 1] = rows[area.min_row - 1][1][area.min_col - 1]
    if merged := [str(a) for a in page.merged_cells.sorted() if a.max_row > a.min_row]:
        some = ", ".join(merged[:10]) + (" …" if len(merged) > 10 else "")
        notes.append(f"Merged cells hold one value; each of their rows has it now: {some}.")
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
