"""The reader of JSON Lines: of one line, of a whole text, and what makes a file something else."""

from __future__ import annotations

import json
from typing import Any

from helpers.near_json import BOM, JsonFault, explain

# How files that are no text begin.
BINARY = {
    b"\x1f\x8b": "compressed with gzip",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"PAR1": "a Parquet table",
    b"BZh": "compressed with bzip2",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\xfd7zXZ": "compressed with xz",
}


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        fault = JsonFault("duplicate_key", "The key is in the object twice.")
        fault.field = repr(twice[:40])
        raise fault
    return found


def _no_constants(name: str) -> None:
    raise JsonFault("not_json", f"{name} is not a JSON value.", "Fill the missing value in.")


_DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constants)


def parse_line(line: bytes | str) -> Any:
    """The value on one line. Raises JsonFault, which names the cause and a remedy."""
    try:
        text = line if isinstance(line, str) else line.decode("utf-8")
        value = _DECODER.decode(text)
        # JSON lets half of an emoji through ("\ud83d"), which no file in UTF-8 can hold.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except JsonFault:
        raise
    except UnicodeDecodeError as error:
        # A long character without its end, or half of a UTF-16 pair written as one.
        follows = line[error.start + 1 : error.start + 2]
        if line[error.start] >= 0xE2 and b"\x80" <= follows <= b"\xbf":
            cause = f"Half of a character, such as an emoji cut in two (byte {error.start + 1})."
            raise JsonFault("not_json", cause, "Write the whole character, or delete it.") from None
        at = f"byte {error.start + 1} is 0x{line[error.start]:02x}"
        raise JsonFault("encoding", f"Not UTF-8: {at}.") from None
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        cause = f"Half of a character, such as an emoji cut in two: {half}."
        raise JsonFault("not_json", cause, f"Write the whole character or delete {half}.") from None
    except RecursionError:
        raise JsonFault("not_json", "The values are nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise explain(text, error) from None
    except ValueError as error:
        raise JsonFault("not_json", f"Not valid JSON: {str(error)[:80]}.") from None
    return value


def whole_fault(data: bytes) -> JsonFault | None:
    """What makes a file something else than JSON Lines, so that there is no use in its lines."""
    for begin, what in BINARY.items():
        if data.startswith(begin):
            return JsonFault("binary", f"The file is {what}, not text.", line=1)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:1000]:
        return JsonFault("encoding", "The file is UTF-16, or no text at all.", line=1)
    start = data.removeprefix(BOM.encode()).lstrip()
    first = start.partition(b"\n")[0]
    number = data[: len(data) - len(start)].count(b"\n") + 1
    try:
        if isinstance(parse_line(first), dict):
            return None
    except JsonFault:
        pass
    text = start.decode("utf-8", "replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
        spread, rest = "\n" in text[:end], text[end:].strip()
    except (ValueError, RecursionError):
        # Not JSON at all, but it may look like a list or an object over several lines.
        spread, rest = first.strip() in (b"[", b"{"), text[len(first) :].strip()
    if first.startswith(b"[") and (spread or not rest):
        return JsonFault("array_file", "The file is one JSON array.", line=number)
    if first.startswith(b"{") and spread:
        return JsonFault("pretty_printed", "An example is spread over several lines.", line=number)
    return None


def parse_jsonl(data: bytes | str, name: str = "the text") -> list[dict[str, Any]]:
    """The objects of JSON Lines. Blank lines are left out, and so is a BOM before a line.

    Lines end at "\\n" only: other separators, such as U+2028, may stand inside a text. Raises
    ValueError with `name`, the line, the cause and a remedy.
    """
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    if fault := whole_fault(data):
        raise ValueError(f"{name}: {fault}")
    values = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            value = parse_line(line)
        except JsonFault as fault:
            raise ValueError(f"{name}, line {number}: {fault}") from fault
        if not isinstance(value, dict):
            raise ValueError(f"{name}, line {number}: not a JSON object.")
        values.append(value)
    return values
