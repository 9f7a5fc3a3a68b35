"""Reading a file of examples, whatever its format: `read_source`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from heroes.prepare.decode import Decoded, Guess, decode
from heroes.prepare.delimited import read_delimited
from heroes.prepare.errors import InputError
from heroes.prepare.excel import read_excel
from heroes.prepare.json_files import read_json
from heroes.prepare.table import Table

KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "txt",
}


@dataclass(frozen=True)
class Source:
    """A file that was read: its table, what it is, and remarks on how it was read."""

    table: Table
    kind: str
    encoding: str
    notes: tuple[str, ...] = ()
    guess: Guess | None = None


def read_source(path: Path, *, encoding: str | None = None, sheet: str | None = None) -> Source:
    """Read a CSV, TSV, XLSX, JSON, JSONL or TXT file.

    Raises InputError, with place and remedy, for whatever keeps it from being read, and
    LookupError for an encoding that does not exist.
    """
    kind = KINDS.get(path.suffix.lower())
    if not path.is_file():
        raise _missing(path)
    if kind is None:
        known = ", ".join(dict.fromkeys(KINDS))
        problem = f"The name ends with {path.suffix or 'nothing'!r}."
        raise InputError(path.name, problem, f"Known are {known}.")
    if kind == "xlsx":
        table, sheets = read_excel(path, sheet)
        used = sheet or sheets[0]
        others = f"Read the sheet {used!r} of {len(sheets)}; --sheet chooses another."
        return Source(_not_empty(table), kind, "", (others,) if len(sheets) > 1 else ())
    decoded = decode(path.read_bytes(), path.name, encoding)
    return _read_text(decoded, path.name, kind)


def _read_text(decoded: Decoded, name: str, kind: str) -> Source:
    notes, found = [], kind
    if decoded.bom:
        notes.append("The file begins with a byte order mark; the new one will have none.")
    if kind in ("csv", "tsv"):
        table = read_delimited(decoded.text, name, "\t" if kind == "tsv" else ",")
    elif kind == "txt":
        table = _lines(decoded.text, name)
        notes.append("Each line of a text file is a completion, without a prompt.")
    else:
        table, found = read_json(decoded.text, name, kind == "jsonl")
        if found != kind:
            what = "one JSON value" if found == "json" else "JSON Lines"
            notes.append(f"The name ends with .{kind}, but the file is {what}. Read as such.")
    return Source(_not_empty(table), found, decoded.encoding, tuple(notes), decoded.guess)


def _lines(text: str, name: str) -> Table:
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    places = list(range(1, len(lines) + 1))
    return Table(name, {"prompt": [""] * len(lines), "completion": list(lines)}, places)


def _not_empty(table: Table) -> Table:
    if not len(table):
        raise InputError(table.name, "The file has no rows.", "Write at least ten examples.")
    return table


def _missing(path: Path) -> InputError:
    if path.is_dir():
        return InputError(str(path), "This is a folder.", "Name a file in it.")
    try:
        there = [other.name for other in path.parent.iterdir() if other.suffix.lower() in KINDS]
    except OSError:
        there = []
    near = difflib.get_close_matches(path.name, there, 1)
    remedy = f"Did you mean {near[0]}?" if near else "Check the name and the folder."
    return InputError(str(path), "There is no such file.", remedy)
