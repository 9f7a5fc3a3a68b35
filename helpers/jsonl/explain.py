"""Why a line is not JSON, in the words of the mistakes people make."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from helpers.jsonl.rules import Finding, shorten


class DuplicateKey(ValueError):
    """An object has the same key twice; the argument is the key."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DuplicateKey(key)
        found[key] = value
    return found


def _no_constants(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


_parse: Callable[[str], Any] = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_constant=_no_constants
).decode


def explain(line: bytes, error: ValueError) -> Finding:
    """Say in plain words why a line is not JSON. `error` is what the fast parser said."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as wrong:
        at = f"byte {wrong.start + 1} is 0x{line[wrong.start]:02x}"
        return "encoding", "", f"Not UTF-8: {at}."
    try:
        _parse(text.strip())
    except DuplicateKey as twice:
        return "duplicate_key", shorten(twice.args[0]), "The key stands in the object twice."
    except (ValueError, RecursionError) as wrong:
        return "not_json", "", _reason(text.strip(), wrong)
    return "not_json", "", f"Not valid JSON: {str(error)[:80]}."


def _reason(text: str, error: ValueError | RecursionError) -> str:
    """The likely cause of a parse error, by the mistakes people make."""
    if isinstance(error, RecursionError):
        return "The values are nested too deeply."
    if text.endswith("},"):
        return "The line ends with a comma."
    if "\r" in text:
        return 'Lines seem to end with "\\r" alone.'
    if not isinstance(error, json.JSONDecodeError):
        return f"Not valid JSON: {str(error)[:80]}."
    at, before = error.pos, text[: error.pos].rstrip()
    if before.endswith(",") and text[at : at + 1] in ("}", "]"):
        return f"A comma too many before {text[at]} (character {at + 1})."
    if text[at : at + 1] == "'" or text.startswith("{'"):
        return 'JSON has double quotes ("), not single ones.'
    if error.msg.startswith("Extra data"):
        return f"More than one value on the line (character {at + 1})."
    if error.msg.startswith("Unterminated string") or at >= len(text):
        return "The line breaks off in the middle of the example."
    return f"Not valid JSON: {error.msg} (character {at + 1}, near {shorten(text[at : at + 12])})."
