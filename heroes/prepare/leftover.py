"""Rules for the columns that no example takes."""

from __future__ import annotations

import re

import pandas as pd

from helpers.dialogue import texts_of
from helpers.shapes import TOP_KEYS
from heroes.prepare.columns import COURSE_GRID, NOT_USED
from heroes.prepare.suggestion import Found, Plan
from heroes.prepare.tables import plain
from heroes.prepare.workbook import as_text

# Columns that describe a row and are not part of its text.
RECORD = re.compile(
    r"(.*_)?(id|ids|uuid|guid|index|idx|nr|no|row|hash|date|time|timestamp|created|updated)"
    r"|created_at|updated_at|finish_reason|unnamed:_\d+|column_\d+"
)
RECORD_VALUE = re.compile(
    r"\s*|[-+]?[\d.,]+([eE][-+]?\d+)?\s?%?|(?i:true|false|yes|no)|[0-9a-fA-F-]{32,36}"
    r"|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([T ][\d:.]+(Z|[+-][\d:]+)?)?"
)


def others(frame: pd.DataFrame) -> list[str]:
    """The columns that no example takes. The first column tells chats from pairs."""
    kept = TOP_KEYS if frame.columns[0] == "messages" else {"prompt", "completion", "system"}
    return [column for column in frame.columns if column not in kept]


def records(frame: pd.DataFrame, plan: Plan) -> Found:
    """Columns that hold no content, are in the texts anyway, or are named by an option."""
    decided = {plain(name) for name in (*plan.drop, plan.group_by or "")}
    chats = frame.columns[0] == "messages"
    pieces = (
        [texts_of({"messages": chat}) for chat in frame["messages"]]
        if chats
        else frame[["prompt", "completion"]].to_numpy().tolist()
    )
    gone = [
        column
        for column in others(frame)
        if plain(column.removesuffix(NOT_USED)) in decided or _is_record(frame, column, pieces)
    ]
    return (frame.drop(columns=gone), {}) if gone else None


def _is_record(frame: pd.DataFrame, column: str, pieces: list[list[str]]) -> bool:
    """Whether a column only numbers, dates or describes the rows, or repeats their texts."""
    if any(isinstance(value, list | dict) and value for value in frame[column]):
        return False
    if column == f"prompt{NOT_USED}" and COURSE_GRID <= set(frame.columns):
        return True  # what the course asked the generator, and not what the model will be asked
    texts = frame[column].map(as_text)
    if RECORD.fullmatch(plain(column)) and not texts.str.contains(r"\s[^\W\d]").any():
        return True
    if texts.str.fullmatch(RECORD_VALUE.pattern).all():
        return True
    rows = list(zip(texts, pieces, strict=True))
    asked = [(text, row) for text, row in rows if row and row[0]]  # the others may be left out
    return all(
        text in "\n".join(row) or all(piece in text for piece in row) for text, row in asked or rows
    )


def column(frame: pd.DataFrame, plan: Plan) -> Found:
    """A column of texts: only the user can decide that the model does not learn from it."""
    if not (rest := others(frame)):
        return None
    return frame.drop(columns=rest[0]), {"name": rest[0].removesuffix(NOT_USED)}
