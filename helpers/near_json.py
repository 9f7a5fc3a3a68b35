"""Why a line is no JSON, in the words of the mistakes people make."""

from __future__ import annotations

import json
import re
from typing import Any

from helpers.report import WORDS, Problem

# A quotation mark of a word processor where a text or a key would end.
CURLY_END = re.compile(r'[\u201c-\u201f\u2018\u2019\u00ab\u00bb]\s*([}\]]|[,:]\s*["\[{])')


class JsonFault(ValueError):
    """What is wrong with a line or a whole file, as a problem."""

    def __init__(self, kind: str, message: str, **more: Any) -> None:
        self.problem = Problem(kind, message, **more)
        super().__init__(f"{message} {self.problem.remedy}")


def byte_fault(line: bytes, at: int) -> JsonFault:
    """What the byte is, where a line stops to be UTF-8."""
    # A long character without its end, or half of a UTF-16 pair written as one.
    if line[at] >= 0xE2 and b"\x80" <= line[at + 1 : at + 2] <= b"\xbf":
        return half_fault(f"byte {at + 1}")
    return JsonFault("encoding", f"Not UTF-8: byte {at + 1} is 0x{line[at]:02x}.")


def half_fault(half: str) -> JsonFault:
    """The fault of half a character: the half in words."""
    cause = f"Half of a character, such as an emoji cut in two: {half}."
    remedy = "Write the whole character, or delete what is left of it."
    return JsonFault("not_json", cause, remedy=remedy)


def syntax_fault(text: str, error: json.JSONDecodeError) -> JsonFault:
    """The likely cause of a parse error, by the tables in data/problems.toml."""
    before = text[: error.pos].rstrip()
    # Python 3.13 stops at a comma too many, earlier ones stop behind it.
    comma = re.compile(r",\s*[}\]]").match(text, len(before) - 1) if before else None
    for rule in WORDS["stopped_at"]:
        if found := re.compile(rule["found"]).match(text, comma.start() if comma else error.pos):
            return _known(rule, found[found.lastindex or 0], found.start(found.lastindex or 0))
    in_text = error.msg.startswith(("Unterminated", "Expecting ':'", "Expecting ','"))
    if in_text and (found := CURLY_END.search(text)):
        return _known(WORDS["stopped_at"][0], found[0], found.start())
    message = "Unterminated" if error.pos >= len(text.rstrip()) else error.msg
    for rule in WORDS["parser_says"]:
        if message.startswith(rule["begin"]):
            return _known(rule, "", error.pos)
    if error.pos == 0:
        return JsonFault("not_json", f"The line is no JSON; it begins with {text[:20]!r}.")
    near = f"character {error.pos + 1}, near {text[error.pos :][:12]!r}"
    return JsonFault("not_json", f"Not valid JSON: {error.msg} ({near}).")


def _known(rule: dict[str, str], found: str, at: int) -> JsonFault:
    cause = rule["cause"].format(found=found, at=f"character {at + 1}")
    return JsonFault(rule.get("kind", "not_json"), cause, remedy=rule["remedy"])
