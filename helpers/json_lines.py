"""The reader of JSON Lines: of one line, of a whole text, and what makes a file something else."""

from __future__ import annotations

import json
from typing import Any

from helpers.near_json import JsonFault, byte_fault, half_fault, syntax_fault
from helpers.report import WORDS

BOM = b"\xef\xbb\xbf"


def parse_line(line: bytes | str) -> Any:
    """The value on one line. Raises JsonFault, which names the cause and a remedy."""
    try:
        text = line if isinstance(line, str) else line.decode("utf-8")
        value = _DECODER.decode(text)
        if "\\u" in text:  # JSON lets half of an emoji through, which no file in UTF-8 can hold
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except UnicodeDecodeError as error:
        raise byte_fault(line, error.start) from None
    except UnicodeEncodeError as error:
        raise half_fault(f"\\u{ord(error.object[error.start]):04x}") from None
    except json.JSONDecodeError as error:
        raise syntax_fault(text, error) from None
    except JsonFault:
        raise
    except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
        raise JsonFault("not_json", f"Not valid JSON: {str(error)[:80]}.") from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        message = "The key is in the object twice."
        raise JsonFault("duplicate_key", message, field=repr(twice[:40]))
    return found


def _no_constants(name: str) -> None:
    cause = f"{name} is not a JSON value."
    raise JsonFault("not_json", cause, remedy="Fill the missing value in.")


_DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constants)


def whole_fault(data: bytes) -> JsonFault | None:
    """What makes a file something else than JSON Lines, so that there is no use in its lines."""
    for begin, what in WORDS["binary"].items():
        if data.startswith(bytes.fromhex(begin)):
            return JsonFault("binary", f"The file is {what}, not text.", line=1)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        return JsonFault("encoding", "The file is UTF-16, or no text at all.", line=1)
    start = data.removeprefix(BOM).lstrip()
    number = data[: len(data) - len(start)].count(b"\n") + 1
    first, _, rest = start.partition(b"\n")
    if start.startswith(b"[") and not (rest.strip() and _is_json(first)):
        return JsonFault("array_file", "The file is one JSON array.", line=number)
    if start.startswith(b"{") and not _is_json(first) and _is_spread(start):
        return JsonFault("pretty_printed", "An example is spread over several lines.", line=number)
    return None


def _is_json(line: bytes) -> bool:
    try:
        parse_line(line)
    except JsonFault:
        return False
    return True


def _is_spread(data: bytes) -> bool:
    """Whether the first value of a text goes on over several lines."""
    text = data.decode(errors="replace")
    try:
        return "\n" in text[: json.JSONDecoder().raw_decode(text)[1]]
    except (ValueError, RecursionError):  # no JSON at all, but it may look like it
        return text.partition("\n")[0].strip() == "{"


def parse_jsonl(data: bytes | str, name: str = "the text") -> list[dict[str, Any]]:
    """The objects of JSON Lines. Blank lines are left out, and so is a BOM before a line.

    Lines end at "\\n" only: other separators, such as U+2028, may be inside a text. Raises
    ValueError with `name`, the line, the cause and a remedy.
    """
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    if fault := whole_fault(data):
        raise ValueError(f"{name}: {fault}")
    values = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not (line := line.removeprefix(BOM)).strip():
            continue
        try:
            values.append(parse_object(line))
        except JsonFault as fault:
            raise ValueError(f"{name}, line {number}: {fault}") from fault
    return values


def parse_object(line: bytes) -> dict[str, Any]:
    """The object on one line. Raises JsonFault."""
    value = parse_line(line)
    if not isinstance(value, dict):
        begin = line[:20].decode("utf-8", "replace")
        raise JsonFault("not_object", f"Not an object; the line begins with {begin!r}.")
    return value
