"""The columns that no example takes: what may go, and what only the user can decide."""

from __future__ import annotations

import re

import pandas as pd

from heroes.prepare.columns import NOT_USED
from heroes.prepare.names import COURSE_GRID, listed, plain
from heroes.prepare.suggestion import Plan, Suggestion, number, shown
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


def unused(
    frame: pd.DataFrame, plan: Plan, wanted: tuple[str, ...], pieces: list[tuple[str, ...]]
) -> list[Suggestion]:
    """Leave out all columns but the wanted ones: first those of no content, then each of texts.

    `pieces` are the texts of each example: a column is of no content if it is in them anyway.
    """
    others = [column for column in frame.columns if column not in wanted]
    decided = {plain(name) for name in (*plan.drop, plan.group_by or "")}
    record = [
        column
        for column in others
        if plain(column.removesuffix(NOT_USED)) in decided or _is_record(frame, column, pieces)
    ]
    found = []
    for columns in ([record] if record else []) + [[c] for c in others if c not in record]:
        example = shown(" | ".join(map(str, frame[columns].iloc[0])))
        frame = frame.drop(columns=columns)
        level, remedy, why = "necessary", "", "A job refuses examples with other keys."
        if columns != record:
            name = columns[0].removesuffix(NOT_USED)
            level, why = "yours", "It holds content, and the model would not learn from it."
            remedy = (
                f'Decide: --drop "{name}" leaves it out, and a template takes it in, such as '
                f'--prompt "{{question}}\\n\\n{{{name}}}".'
            )
        title = f"Leave out {number(len(columns), 'column')}: {listed(columns)}"
        found.append(
            Suggestion("columns", level, title, why, [], example, "(left out)", frame, remedy)
        )
    return found


def _is_record(frame: pd.DataFrame, column: str, pieces: list[tuple[str, ...]]) -> bool:
    """Whether a column only numbers, dates or describes the rows, or repeats their texts."""
    if any(isinstance(value, list | dict) and value for value in frame[column]):
        return False
    if column == f"prompt{NOT_USED}" and COURSE_GRID <= set(frame.columns):
        return True  # what the course asked the generator, and not what the model will be asked
    texts = frame[column].map(as_text)
    is_named_so = RECORD.fullmatch(plain(column))
    if is_named_so and not texts.str.contains(r"\s[^\W\d]").any():
        return True
    if texts.str.fullmatch(RECORD_VALUE.pattern).all():
        return True
    rows = list(zip(texts, pieces, strict=True))
    asked = [(text, row) for text, row in rows if row and row[0]]  # the others may be left out
    return all(
        text in "\n".join(row) or all(piece in text for piece in row) for text, row in asked or rows
    )
