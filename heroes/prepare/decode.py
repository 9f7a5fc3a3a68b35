"""From bytes to text: UTF-8 first, byte order marks, and what to do about the rest."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from heroes.prepare.errors import InputError

# In this order: the mark of UTF-32 begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
GUESS = "cp1252"  # what Windows programs write in Western Europe and the Americas
NAMED = "Save it as UTF-8, or name its encoding with --encoding."


@dataclass(frozen=True)
class Guess:
    """The file is not UTF-8 and was read as something else: judge by an example."""

    encoding: str
    lines: tuple[int, ...]
    n_lines: int
    before: str
    after: str


@dataclass(frozen=True)
class Decoded:
    """The text of a file, and how it was read."""

    text: str
    encoding: str
    bom: bool = False
    guess: Guess | None = None


def decode(data: bytes, name: str, encoding: str | None = None) -> Decoded:
    """Read bytes as text. Raises InputError if that can't be right; LookupError for `encoding`."""
    if encoding is not None:
        text = _decode(data, name, codecs.lookup(encoding).name)
        return Decoded(text.removeprefix("\ufeff"), encoding, text.startswith("\ufeff"))
    for mark, marked in MARKS:
        if data.startswith(mark):
            text = _decode(data, name, marked)
            return Decoded(text.removeprefix("\ufeff"), marked, bom=True)
    if b"\0" in data[:1000]:
        problem = "The file holds zero bytes, so it is no text or UTF-16 without a mark."
        raise InputError(name, problem, NAMED, place="line 1")
    try:
        return Decoded(data.decode(), "utf-8")
    except UnicodeDecodeError as error:
        return _guess(data, name, error)


def _decode(data: bytes, name: str, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _not(name, data, error, encoding) from None


def _not(name: str, data: bytes, error: UnicodeDecodeError, encoding: str) -> InputError:
    line = data.count(b"\n", 0, error.start) + 1
    problem = f"The byte 0x{data[error.start]:02x} is not {encoding}."
    return InputError(name, problem, NAMED, place=f"line {line}")


def _guess(data: bytes, name: str, error: UnicodeDecodeError) -> Decoded:
    try:
        text = data.decode(GUESS)
    except UnicodeDecodeError:
        raise _not(name, data, error, "UTF-8") from None
    strange = [n for n, line in enumerate(data.split(b"\n"), start=1) if not _is_utf8(line)]
    start, end = max(0, error.start - 15), error.start + 15
    before = data[start:end].decode("utf-8", "replace")
    after = data[start:end].decode(GUESS)
    return Decoded(
        text, GUESS, guess=Guess(GUESS, tuple(strange[:10]), len(strange), before, after)
    )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
