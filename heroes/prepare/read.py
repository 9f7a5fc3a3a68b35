"""Reading a file of examples. What is inside decides how, and the name only breaks a tie."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import charset_normalizer
import pandas as pd

from heroes.prepare.json_rows import read_json
from heroes.prepare.suggestion import TEXTS, InputError, note, places
from heroes.prepare.tables import looks_like_table, read_delimited
from heroes.prepare.workbook import read_workbook

BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"))
BOMS += ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
USUAL = {"tsv": ("csv", "tsv"), "tab": ("csv", "tsv"), "ndjson": ("jsonl",), "xlsm": ("xlsx",)}
WESTERN = {"cp1250", "cp1252", "cp1254", "cp1257", "cp1258", "latin_1", "iso8859_15", "mac_roman"}
ANOTHER_SCRIPT = 0.25  # of all bytes
SIGNS_IN_WORDS = re.compile(r"[^\W\d_][¿³¹¼¾£¥Ÿ][^\W\d_]|\b[¿³¹][a-z]|[a-z][³¹]\W")
JSON_START = re.compile(r"\{\s*[\"'“}]|\[\s*[\[{\]]")
HTML_START = re.compile(r"(?i)<(!doctype|html|table|\?xml|head|body)")


@dataclass(frozen=True)
class Source:
    """A file that was read. The frame's index is the row's number in the file, and its name is
    what is counted: "row" (as a spreadsheet shows it), "line" or "example".
    """

    frame: pd.DataFrame
    kind: str
    notes: tuple[str, ...]
    encoding: str = ""
    guess: tuple[str, str] | None = None  # text before and after an encoding was guessed


def read_source(path: Path, encoding: str | None = None, sheet: str | None = None) -> Source:
    """Read a table or a list of examples. Raises InputError with the place and a remedy."""
    if not path.is_file():
        raise InputError("no_file", path=path)
    data, name, notes = path.read_bytes(), path.name, []
    if data[:2] == b"\x1f\x8b" or (data[:4] == b"PK\3\4" and b"xl/" not in data):
        try:
            data, name = _unpacked(data, name)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise InputError("damaged", error=error) from None
        notes.append(note("compressed", name=path.name, inner=name))
    for start, what in TEXTS["foreign"].items():
        if data.startswith(bytes.fromhex(start)):
            raise InputError("foreign", what=what)
    if data.startswith(b"PK\3\4"):
        frame, more = read_workbook(data, sheet)
        source = Source(frame, "xlsx", tuple(more))
    else:
        text, encoding, guess = _decoded(data, encoding)
        source = replace(_read_text(text, name), encoding=encoding, guess=guess)
    _, dot, ending = name.lower().rpartition(".")
    if dot and source.kind not in USUAL.get(ending, (ending,)):
        notes.append(note("ending", ending=ending, kind=source.kind))
    if source.frame.empty:
        raise InputError("no_rows")
    return replace(source, notes=(*notes, *source.notes))


def _unpacked(data: bytes, name: str) -> tuple[bytes, str]:
    """The one file in a .gz or .zip, and its name."""
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data), name.removesuffix(".gz")
    archive = zipfile.ZipFile(io.BytesIO(data))
    names = [n for n in archive.namelist() if not n.endswith("/") and "__MACOSX" not in n]
    if "mimetype" in names or "word/document.xml" in names:
        raise InputError("office")
    if len(names) != 1:
        raise InputError("many_files", count=len(names))
    return archive.read(names[0]), names[0].rpartition("/")[2]


def _decoded(data: bytes, encoding: str | None) -> tuple[str, str, tuple[str, str] | None]:
    """The text, its encoding, and an excerpt before and after if the encoding is a guess."""
    marked = next((known for mark, known in BOMS if data.startswith(mark)), None)
    if marked is None and data[:1000].count(0) > len(data[:1000]) / 3:  # UTF-16 without a mark
        marked = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    known = encoding or marked or "utf-8"
    try:
        return data.decode(known).removeprefix("\ufeff"), known, None
    except UnicodeDecodeError as error:
        line, start = data.count(b"\n", 0, error.start) + 1, max(0, error.start - 20)
        guess = None if encoding or marked else _guess(data)
    if guess is None:
        raise InputError("encoding", f"line {line}", encoding=known.replace("utf-8", "UTF-8"))
    excerpt = data[start : start + 60]
    text = "".join(_either(line, guess) for line in data.splitlines(keepends=True))
    return text, guess, (excerpt.decode("utf-8", "replace"), excerpt.decode(guess, "replace"))


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
    if HTML_START.match(head):
        raise InputError("html")
    notes = []
    if marked := [n for n, line in enumerate(text.split("\n"), 1) if line.startswith("\ufeff")]:
        text = text.replace("\n\ufeff", "\n")
        notes.append(note("bom", places=places("line", marked)))
    is_table = ending in (".csv", ".tsv", ".tab") or looks_like_table(text)
    if JSON_START.match(head) or (ending in (".json", ".jsonl", ".ndjson") and not is_table):
        frame, kind, more = read_json(text, is_jsonl=name.endswith(".jsonl"))
    elif is_table:
        frame, kind, more = read_delimited(text, "\t" if ending in (".tsv", ".tab") else ",")
    else:
        lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
        frame = pd.DataFrame({"completion": lines}, pd.RangeIndex(1, len(lines) + 1), dtype=object)
        frame, kind = frame[frame["completion"].str.strip() != ""].rename_axis("line"), "txt"
        more = [note("lines")]
    return Source(frame, kind, (*notes, *more))
