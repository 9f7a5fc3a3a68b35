"""Read a `.env` file as its author meant it: any encoding, stray blanks and quotes taken off."""

from __future__ import annotations

import io
import re
from pathlib import Path

from dotenv import dotenv_values

DASHES = "‐‑‒–—―−"
CURLY_QUOTES = "“”„‘’‚«»"
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\u00a0"


def read_text(path: Path) -> str:
    """The file's text, in whichever encoding the editor saved it."""
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def read_env_file(path: Path) -> dict[str, str]:
    """The file's variables; an empty dictionary if there is no file."""
    if not path.is_file():
        return {}
    values = dotenv_values(stream=io.StringIO(read_text(path)), interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def clean_value(value: str) -> str:
    """The value without what copying and pasting adds: blanks, invisible characters, quotes."""
    cleaned = value.strip(" \t\r\n" + INVISIBLE)
    while len(cleaned) > 1 and cleaned[0] == cleaned[-1] and cleaned[0] in "\"'":
        cleaned = cleaned[1:-1].strip()
    return cleaned


def value_problem(value: str) -> tuple[str, str] | None:
    """What no cleaning can repair in a key, and the remedy; None if the key can be sent."""
    if any(dash in value for dash in DASHES):
        return (
            "the key contains a long dash.",
            "Keys only have the short one (-). Copy the key again where it was made.",
        )
    if any(quote in value for quote in CURLY_QUOTES):
        return "the key stands in curly quotes.", "Delete the quotes; a key needs none."
    if any(mark in value for mark in "\"'"):
        return "the key has a stray quote in it.", "Delete the quotes; a key needs none."
    if "\\n" in value or "\\r" in value:
        return "the key ends in a written-out newline (\\n).", "Delete everything behind the key."
    if value.lower().startswith("bearer "):
        return "the key begins with the word Bearer.", "Keep only what comes after it."
    if re.search(r"\s", value):
        return "there is a blank or a line break inside the key.", "Join it to one piece."
    if not value.isascii():
        return (
            "the key contains a character that is not a plain letter, digit or dash.",
            "Copy the key again from where it was made.",
        )
    return None
