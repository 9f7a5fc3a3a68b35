"""Reading a file of examples. What is inside decides how, and the name only breaks a tie."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import charset_normalizer
import pandas as pd

from heroes.prepare.json_rows import REMEDY, read_json
from heroes.prepare.kind import looks_like_table
from heroes.prepare.suggestion import InputError, Source, places
from heroes.prepare.tables import read_delimited
from heroes.prepare.workbook import read_workbook

MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"))
MARKS += ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
OTHERS = {
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls) or one with a password. Save it as .xlsx",
    b"%PDF": "a PDF. Copy its table into a spreadsheet and save that as CSV",
    b"PAR1": "a Parquet file. Write it as JSON Lines: df.to_json(…, orient='records', lines=True)",
    b"SQLite format 3": "an SQLite database. Export the table as CSV",
    b"BZh": "compressed (bzip2). Unpack it first",
    b"\xfd7zXZ": "compressed (xz). Unpack it first",
}
USUAL = {"tsv": ("csv", "tsv"), "tab": ("csv", "tsv"), "ndjson": ("jsonl",), "xlsm": ("xlsx",)}
WESTERN = {"cp1250", "cp1252", "cp1254", "cp1257", "cp1258", "latin_1", "iso8859_15", "mac_roman"}
ANOTHER_SCRIPT = 0.25  # of all bytes
SIGNS_IN_WORDS = re.compile(r"[^\W\d_][¿³¹¼¾£¥Ÿ][^\W\d_]|\b[¿³¹][a-z]|[a-z][³¹]\W")
JSON_START = re.compile(r"\{\s*[\"'“}]|\[\s*[\[{\]]")


def read_source(path: Path, encoding: str | None = None, sheet: str | None = None) -> Source:
    """Read a table or a list of examples. Raises InputError with the place and a remedy."""
    if not path.is_file():
        raise InputError(f"{path}: There is no such file. Check the name and the folder.")
    data, name, notes = path.read_bytes(), path.name, []
    if data[:2] == b"\x1f\x8b" or (data[:4] == b"PK\3\4" and b"xl/" not in data):
        try:
            data, name = _unpacked(data, path.name)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            message = f"{path}: It cannot be read ({error}). Download or unpack it again."
            raise InputError(message) from None
        notes.append(f"{path.name} is compressed; read what is inside, {name}.")
    for start, what in OTHERS.items():
        if data.startswith(start):
            raise InputError(f"{name} is {what}.")
    if data.startswith(b"PK\3\4"):
        source = read_workbook(data, name, sheet)
    else:
        text, encoding, guess = _decoded(data, name, encoding)
        source = replace(_read_text(text, name), encoding=encoding, guess=guess)
    _, dot, ending = name.lower().rpartition(".")
    if dot and source.kind not in USUAL.get(ending, (ending,)):
        notes.append(f"The name ends with .{ending}, but the file is {source.kind}: read as such.")
    if source.frame.empty:
        raise InputError(f"{name}: The file has no rows. Write at least ten examples.")
    return replace(source, notes=(*notes, *source.notes))


def _unpacked(data: bytes, name: str) -> tuple[bytes, str]:
    """The one file in a .gz or .zip, and its name. Raises InputError for several."""
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data), name.removesuffix(".gz")
    archive = zipfile.ZipFile(io.BytesIO(data))
    names = [n for n in archive.namelist() if not n.endswith("/") and "__MACOSX" not in n]
    if "mimetype" in names or "word/document.xml" in names:
        raise InputError(f"{name} is an office document, but no Excel workbook. Save it as .xlsx.")
    if len(names) != 1:
        raise InputError(f"{name} holds {len(names)} files. Unpack it and name one of them.")
    return archive.read(names[0]), names[0].rpartition("/")[2]


def _decoded(
    data: bytes, name: str, encoding: str | None
) -> tuple[str, str, tuple[str, str] | None]:
    """The text, its encoding, and an excerpt before and after if the encoding is a guess."""
    marked = next((known for mark, known in MARKS if data.startswith(mark)), None)
    if marked is None and b"\0" in data[:1000]:  # UTF-16 without a mark: every other byte is 0
        marked = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    known = encoding or marked or "utf-8"
    try:
        return data.decode(known).removeprefix("\ufeff"), known, None
    except UnicodeDecodeError as error:
        line, start = data.count(b"\n", 0, error.start) + 1, max(0, error.start - 20)
        if encoding or marked or (guess := _guess(data)) is None:
            raise InputError(
                f"{name}, line {line}: Not {encoding or marked or 'UTF-8'}. "
                "Save it as UTF-8, or name its encoding with --encoding."
            ) from None
    part = data[start : start + 60]
    text = "".join(_either(line, guess) for line in data.splitlines(keepends=True))
    return text, guess, (part.decode("utf-8", "replace"), part.decode(guess, "replace"))


def _either(line: bytes, guess: str) -> str:
    """A line in UTF-8 if it can be, since joined files have both."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode(guess, "replace")


def _guess(data: bytes) -> str | None:
    """The likely encoding of what is not UTF-8.

    Few bytes above 127 are accents, of which Windows' Western encoding is the usual one; many are
    another script. Signs inside words ("¿yje" for "żyje") show the encoding of Eastern Europe.
    """
    high = sum(byte > 127 for byte in data) / len(data)
    best = charset_normalizer.from_bytes(data).best() if high > ANOTHER_SCRIPT else None
    if best is not None and best.encoding not in WESTERN:
        return best.encoding
    western = data.decode("cp1252", "replace")
    if SIGNS_IN_WORDS.search(western):
        return "cp1250"
    return None if "\ufffd" in western else "cp1252"


def _read_text(text: str, name: str) -> Source:
    """JSON, JSON Lines, a table, or lines of text."""
    head, ending = text.lstrip("\ufeff \t\r\n"), Path(name.lower()).suffix
    if re.match(r"(?i)<(!doctype|html|table|\?xml|head|body)", head):
        remedy = "Open it in a browser or spreadsheet, and save the table as CSV or .xlsx."
        raise InputError(f"{name} is a web page (HTML or XML), not a table. {remedy}")
    notes = []
    if "\n\ufeff" in text or text.startswith("\ufeff"):
        marked = [n for n, line in enumerate(text.split("\n"), 1) if line.startswith("\ufeff")]
        text = text.replace("\n\ufeff", "\n")
        where = places("line", marked)
        notes.append(f"Left out a byte order mark, as joined files have it, in {where}.")
    is_table = ending in (".csv", ".tsv", ".tab") or looks_like_table(text)
    if JSON_START.match(head) or (ending in (".json", ".jsonl", ".ndjson") and not is_table):
        if not head:
            raise InputError(f"{name}: The file is empty. {REMEDY}")
        frame, kind, more = read_json(text, name)
    elif is_table:
        frame, kind, more = read_delimited(text, name, "\t" if ending in (".tsv", ".tab") else ",")
    else:
        lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
        frame = pd.DataFrame({"completion": lines}, pd.RangeIndex(1, len(lines) + 1), dtype=object)
        frame, kind = frame[frame["completion"].str.strip() != ""].rename_axis("line"), "txt"
        more = ["Each line of a text is a completion without a prompt; blank lines are left out."]
    return Source(frame, kind, notes=(*notes, *more))
