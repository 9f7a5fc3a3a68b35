"""The columns that no example takes: what may go, and what only the user can decide."""

from __future__ import annotations

import pandas as pd

from heroes.prepare import names
from heroes.prepare.columns import NOT_USED, listed
from heroes.prepare.suggestion import Plan, Suggestion, number, shown
from heroes.prepare.workbook import as_text


def unused(
    frame: pd.DataFrame, plan: Plan, wanted: tuple[str, ...], pieces: list[tuple[str, ...]]
) -> list[Suggestion]:
    """Leave out all columns but the wanted ones: first those of no content, then each of texts.

    `pieces` are the texts of each example: a column is of no content if it is in them anyway.
    """
    others = [column for column in frame.columns if column not in wanted]
    decided = {names.plain(name) for name in (*plan.drop, plan.group_by or "")}
    record = [
        column
        for column in others
        if names.plain(column.removesuffix(NOT_USED)) in decided
        or _is_record(frame, column, pieces)
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
    if column == f"prompt{NOT_USED}" and names.COURSE_GRID <= set(frame.columns):
        return True  # what the course asked the generator, and not what the model will be asked
    texts = frame[column].map(as_text)
    named_so = names.RECORD.fullmatch(names.plain(column))
    if named_so and not texts.str.contains(r"\s[^\W\d]").any():
        return True
    if texts.str.fullmatch(names.RECORD_VALUE.pattern).all():
        return True
    return all(
        text in "\n".join(row) or all(piece in text for piece in row)
        for text, row in zip(texts, pieces, strict=True)
    )
