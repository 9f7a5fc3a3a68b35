"""The tables of notebook 12: three to start from, each with a judge for its answers, or your own.

A table has a row for each example: `system`, `prompt`, `completion`, and in `must` what a right
answer contains, as a regular expression. Your own needs `prompt` and `completion` only.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from course.wording import sentences, words
from helpers.data import DATA
from helpers.settings import ROOT, read_saved_text

FOLDER = DATA / "starters"
COLUMNS = ["system", "prompt", "completion", "must"]
SYSTEM = "You are a helpful assistant."
LEAST_ROWS = 20
LEGAL = re.compile(
    r"\b(shall|here(by|in|under|after|inafter)|there(of|after|in)|pursuant|notwithstanding"
    r"|whatsoever|whilst|forthwith|aforesaid|deemed)\b",
    re.IGNORECASE,
)
KEYS = {"flat", "problem", "when", "urgent"}


class TableError(ValueError):
    """A table cannot be used; the message says why and what to do."""


def load_table(name: str) -> pd.DataFrame:
    """A starter by its name, or a CSV of your own by its path, seen from the project's folder.

    The missing ones of the columns `system` and `must` are added. Raises TableError.
    """
    path = FOLDER / f"{name}.csv" if name in JUDGES else ROOT / Path(name).expanduser()
    if not path.is_file():
        known = ", ".join(JUDGES)
        raise TableError(f"There is no file {path}. Give the path of a CSV, or one of: {known}.")
    table = _read(path)
    if missing := {"prompt", "completion"} - set(table.columns):
        raise TableError(f"{path.name} has no column {' and '.join(sorted(missing))}. Add it.")
    for column in ("prompt", "completion"):
        for index in table.index[table[column].str.strip() == ""]:
            # Line 1 of the file is the header.
            raise TableError(f"Row {index + 2} of {path.name} has no {column}. Fill it in.")
    for column, usual in (("system", SYSTEM), ("must", "")):
        if column not in table:
            table[column] = usual
    for index, pattern in table["must"].items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise TableError(
                f"Row {index + 2} of {path.name}: {pattern} is no regular expression ({error})."
            ) from None
    if len(table) < LEAST_ROWS:
        raise TableError(
            f"{path.name} has {len(table)} rows. Write {LEAST_ROWS} at least; 60 are better."
        )
    return table[COLUMNS]


def _read(path: Path) -> pd.DataFrame:
    """The rows as a text editor or a spreadsheet saves them; empty ones at the end are left out."""
    text = read_saved_text(path).rstrip(",;\t\r\n ")
    comma = max(",;\t", key=text.partition("\n")[0].count)
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=comma, restval=""))
    for number, row in enumerate(rows, start=2):
        if None in row:
            raise TableError(
                f"Row {number} of {path.name} has more cells than the first row. "
                "Put each text that contains a comma in double quotes."
            )
    table = pd.DataFrame(rows, dtype=str)
    return table.rename(columns=lambda name: name.strip().lower())


def contains(answer: str, row: Any) -> bool:
    """Whether what must be in the answer is in it, as whole words; capitals do not matter."""
    return not row.must or bool(re.search(rf"(?<!\w)({row.must})(?!\w)", answer, re.IGNORECASE))


def sarcastic(answer: str, row: Any) -> bool:
    """The right fact, in one or two sentences, and the bot speaks to you or about itself."""
    personal = {"i", "me", "my", "mine", "you", "your", "yours"} & set(words(answer.lower()))
    return contains(answer, row) and len(sentences(answer)) <= 2 and bool(personal)


def plain(answer: str, row: Any) -> bool:
    """What matters is kept, in a text that is shorter than the clause and has no legal jargon."""
    return contains(answer, row) and len(answer) < len(row.prompt) and not LEGAL.search(answer)


def repairs(answer: str, row: Any) -> bool:
    """JSON with four keys: the right flat and urgency, and a time only if the note has one."""
    try:
        ticket = json.loads(answer)
    except ValueError:
        return False
    if not isinstance(ticket, dict) or set(ticket) != KEYS:
        return False
    right = json.loads(row.completion)
    typed = isinstance(ticket["problem"], str) and isinstance(ticket["when"], str | None)
    timed = (ticket["when"] is None) == (right["when"] is None)
    return (
        typed and timed and ticket["flat"] == right["flat"] and ticket["urgent"] is right["urgent"]
    )


JUDGES: dict[str, Callable[[str, Any], bool]] = {
    "sarcastic": sarcastic,
    "plain": plain,
    "repairs": repairs,
}
