"""Excel: a sheet of a workbook as a person sees it."""

from __future__ import annotations

import datetime
import io
import re
from typing import Any

import numpy as np
import openpyxl
import pandas as pd

from heroes.prepare.suggestion import InputError, note, number
from heroes.prepare.tables import to_frame


def read_workbook(data: bytes, sheet: str | None) -> tuple[pd.DataFrame, list[str]]:
    """The table of a sheet, and notes. Raises InputError for a formula without its result."""
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    except Exception as error:  # noqa: BLE001 - of a damaged file, openpyxl raises anything
        raise InputError("workbook", error=type(error).__name__) from None
    names = [page.title for page in book.worksheets]
    if sheet is not None and sheet not in names:
        raise InputError("no_sheet", sheet=sheet, sheets=", ".join(names))
    visible = [p for p in book.worksheets if p.sheet_state == "visible" and p.max_row > 1]
    page = book[sheet] if sheet else (visible or book.worksheets)[0]
    notes = [note("sheet", sheet=page.title, count=len(names))] if len(names) > 1 else []
    _refuse_formulas(data, page)
    rows = [[as_text(cell) for cell in row] for row in page.iter_rows()]
    merged = [area for area in page.merged_cells.sorted() if area.max_row > area.min_row]
    for area in merged:
        for row in range(area.min_row, area.max_row):
            rows[row][area.min_col - 1] = rows[area.min_row - 1][area.min_col - 1]
    if merged:
        areas = ", ".join(map(str, merged[:10])) + (" …" if len(merged) > 10 else "")
        notes.append(note("merged", areas=areas))
    frame, more = to_frame(rows)
    return frame, notes + more


def _refuse_formulas(data: bytes, page: Any) -> None:
    """Formulas whose results the file does not hold: nobody has computed them yet."""
    cells = openpyxl.load_workbook(io.BytesIO(data))[page.title].iter_rows()
    formulas = [cell.coordinate for row in cells for cell in row if cell.data_type == "f"]
    if empty := [place for place in formulas if page[place].value is None]:
        raise InputError("formula", f"cell {empty[0]}", formulas=number(len(empty), "formula"))


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
