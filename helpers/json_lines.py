"""The reader of JSON Lines; and why a text is no JSON, in the words of the mistakes people make."""

from __future__ import annotations

import json
import re
from typing import Any

from helpers.report import WORDS, Problem

BOM = b"\xef\xbb\xbf"
# A quotation mark of a word processor where a text or a key would end.
CURLY_END = re.compile(r'[\u201c-\u201f\u2018\u2019\u00ab\u00bb]\s*([}\]]|[,:]\s*["\[{])')


class JsonFault(ValueError):
    """What is wrong with a line or a whole file, as a problem."""

    def __init__(self, kind: str, message: str, **more: Any) -> None:
        self.problem = Problem(kind, message, **more)
        super().__init__(f"{message} {self.problem.remedy}")


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


def parse_line(line: bytes | str) -> Any:
    """The value on one line. Raises JsonFault, which names the cause and a remedy."""
    try:
        text = line if isinstance(line, str) else line.decode("utf-8")
        value = _DECODER.decode(text)
        if "\\u" in text:  # JSON lets half of an emoji through, which no file in UTF-8 can hold
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except UnicodeDecodeError as error:
        at, byte = error.start + 1, line[error.start]
        # A long character without its end, or half of a UTF-16 pair written as one.
        if byte >= 0xE2 and b"\x80" <= line[at : at + 1] <= b"\xbf":
            raise _half(f"byte {at}") from None
        raise JsonFault("encoding", f"Not UTF-8: byte {at} is 0x{byte:02x}.") from None
    except UnicodeEncodeError as error:
        raise _half(f"\\u{ord(error.object[error.start]):04x}") from None
    except json.JSONDecodeError as error:
        raise _syntax_fault(text, error) from None
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
    text = data.removeprefix(BOM).decode(errors="replace")
    start = text.lstrip()
    line = text[: len(text) - len(start)].count("\n") + 1
    first, _, rest = start.partition("\n")
    try:
        spread = "\n" in start[: json.JSONDecoder().raw_decode(start)[1]]
    except (ValueError, RecursionError):  # no JSON at all, but it may look like it
        spread = first.startswith("[") or first.strip() == "{"
    if start.startswith("[") and (spread or not rest.strip()):
        return JsonFault("array_file", "The file is one JSON array.", line=line)
    if start.startswith("{") and spread:
        return JsonFault("pretty_printed", "An example is spread over several lines.", line=line)
    return None


def _half(half: str) -> JsonFault:
    cause = f"Half of a character, such as an emoji cut in two: {half}."
    remedy = "Write the whole character, or delete what is left of it."
    return JsonFault("not_json", cause, remedy=remedy)


def _syntax_fault(text: str, error: json.JSONDecodeError) -> JsonFault:
    """The likely cause of a parse error, by the tables in data/problems.toml."""
    before = text[: error.pos].rstrip()
    # Python 3.13 stops at a comma too many, earlier ones stop behind it.
    comma = re.compile(r",\s*[}\]]").match(text, len(before) - 1) if before else None
    for rule in WORDS["stopped_at"]:
        if found := re.compile(rule["found"]).match(text, comma.start() if comma else error.pos):
            return _known(rule, found.start(found.lastindex or 0), found[found.lastindex or 0])
    in_text = error.msg.startswith(("Unterminated", "Expecting ':'", "Expecting ','"))
    if in_text and (found := CURLY_END.search(text)):
        return _known(WORDS["stopped_at"][0], found.start())
    message = "Unterminated" if error.pos >= len(text.rstrip()) else error.msg
    for rule in WORDS["parser_says"]:
        if message.startswith(rule["begin"]):
            return _known(rule, error.pos)
    if error.pos == 0:
        return JsonFault("not_json", f"The line is no JSON; it begins with {text[:20]!r}.")
    near = f"character {error.pos + 1}, near {text[error.pos :][:12]!r}"
    return JsonFault("not_json", f"Not valid JSON: {error.msg} ({near}).")


def _known(rule: dict[str, str], at: int, found: str = "") -> JsonFault:
    cause = rule["cause"].format(found=found, at=f"character {at + 1}")
    return JsonFault(rule.get("kind", "not_json"), cause, remedy=rule["remedy"])
