"""Checking an upload line by line while it is copied: is every line a JSON object?"""

import shutil
from pathlib import Path
from typing import BinaryIO

from pydantic_core import from_json

from sandbox.api.errors import BadRequest

LONGEST_LINE = 16 * 1024 * 1024
HINT_CHARACTERS = 40
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def copy_plain(source: BinaryIO, target: Path) -> None:
    """Copy an upload of any kind. Raises BadRequest when it is empty."""
    with open(target, "wb") as out:
        shutil.copyfileobj(source, out)
        if out.tell() == 0:
            raise empty_file()


def copy_jsonl(source: BinaryIO, target: Path) -> None:
    """Copy an upload that must be JSONL. Raises BadRequest naming the first bad line."""
    blank: int | None = None
    number = 0
    with open(target, "wb") as out:
        while line := source.readline(LONGEST_LINE + 1):
            number += 1
            if number == 1:
                _check_start(line)
            if line.strip():
                if blank is not None:
                    raise _bad_line(blank, "it is empty")
                _check_line(number, line)
            elif blank is None:
                blank = number  # An error only if another line follows.
            out.write(line)
    if number == 0 or blank == 1:
        raise empty_file()


def empty_file() -> BadRequest:
    """Return the error for a file with nothing in it."""
    return BadRequest(
        "The file is empty. Check that it was saved before it was sent.", param="file"
    )


def _check_start(line: bytes) -> None:
    if line.startswith(UTF8_BOM):
        raise _bad_line(1, "it starts with a byte order mark: save the file as UTF-8 without BOM")
    if line.startswith(UTF16_BOMS):
        raise _bad_line(1, "the file is in UTF-16: save it as UTF-8")


def _check_line(number: int, line: bytes) -> None:
    if len(line) > LONGEST_LINE:
        raise _bad_line(number, f"it is longer than {LONGEST_LINE} bytes")
    if b"\0" in line:
        raise _bad_line(number, "it contains a NUL byte: the file is not plain text")
    try:
        text = line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        reason = f"it is not valid UTF-8 (byte {error.start + 1} of the line)"
        raise _bad_line(number, reason) from error
    try:
        value = from_json(line, allow_inf_nan=False)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        start = text[:HINT_CHARACTERS] + ("..." if len(text) > HINT_CHARACTERS else "")
        raise _bad_line(number, f'HINT: line starts with: "{start}"')


def _bad_line(number: int, reason: str) -> BadRequest:
    return BadRequest(
        "Expected file to have JSONL format, where every line is a JSON dictionary. "
        f"Line {number} is not a dictionary ({reason})."
    )
