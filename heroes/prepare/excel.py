"""Excel workbooks: the cells of one sheet as text."""

from __future__ import annotations

import datetime
import warnings
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from heroes.prepare.delimited import column_names
from heroes.prepare.errors import InputError
from heroes.prepare.table import Table

NO_WORKBOOK = "Save it as .xlsx, without a password, or export it as CSV."


def read_excel(path: Path, sheet: str | None = None) -> tuple[Table, list[str]]:
    """The table on a sheet (the first one if none is named), and the names of all sheets.

    Raises InputError if the file is no workbook, or has no such sheet.
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with warnings.catch_warnings():
            # Remarks about styles and drawings, which we don't read.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                names = [page.title for page in book.worksheets]
                if sheet is not None and sheet not in names:
                    problem = f"There is no sheet {sheet!r}."
                    raise InputError(path.name, problem, f"There are: {', '.join(names)}.")
                page = book[sheet or names[0]]
                page.reset_dimensions()  # some programs write wrong ones
                cells = list(page.iter_rows(values_only=True))
            finally:
                book.close()
    except InputError:
        raise
    except (BadZipFile, InvalidFileException, KeyError, ValueError, IndexError) as error:
        raise InputError(
            path.name, f"This is no Excel workbook ({type(error).__name__}).", NO_WORKBOOK
        ) from None
    return _table(cells, path.name), names


def _table(cells: list[tuple[Any, ...]], name: str) -> Table:
    rows = [(number, row) for number, row in enumerate(cells, start=1) if _filled(row)]
    if not rows:
        raise InputError(name, "The sheet is empty.", "Choose another one with --sheet.")
    number, first = rows.pop(0)
    width = max(len(first), *(len(row) for _, row in rows)) if rows else len(first)
    padded = [as_text(cell) for cell in first] + [""] * (width - len(first))
    names = column_names(padded, name, f"row {number}")
    values = [[as_text(cell) for cell in row] + [""] * (width - len(row)) for _, row in rows]
    columns: dict[str, list[Any]] = {
        title: [row[index] for row in values] for index, title in enumerate(names)
    }
    # Columns without a name are mostly cells that were touched once and left empty.
    for title in [t for t in columns if t not in padded and not any(columns[t])]:
        del columns[title]
    return Table(name, columns, [number for number, _ in rows], unit="row")


def _filled(row: tuple[Any, ...]) -> bool:
    return any(cell is not None and cell != "" for cell in row)


def as_text(cell: Any) -> str:
    """A cell as a person would write it: 40, not 40.0; 2026-11-20, not a number of days."""
    match cell:
        case None:
            return ""
        case str():
            return cell
        case bool():
            return str(cell).upper()
        case float() if cell.is_integer() and abs(cell) < 1e15:
            return str(int(cell))
        case datetime.datetime():
            midnight = cell.time() == datetime.time()
            return cell.date().isoformat() if midnight else cell.isoformat(" ")
        case datetime.date() | datetime.time():
            return cell.isoformat()
    return str(cell)
