"""Rules for a table of prompts and completions: rows that go, and texts that change."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd

from helpers.jsonl import is_missing
from heroes.prepare.suggestion import (
    Plan,
    Suggestion,
    drop_rows,
    number,
    places,
    shown,
)

ERRORS = re.compile(r"\s*#(N/A|REF!|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|SPILL!|CALC!)\s*")
GAPS = ("na", "n/a", "none", "null", "nil", "nan")
TOTAL = r"(?i)\s*(grand )?(total|sum|summe|gesamt|average|mean)s?:?\s*"


def is_open_ended(frame: pd.DataFrame) -> bool:
    """Whether there are only completions: all prompts are empty."""
    return not frame["prompt"].astype(bool).any()


def is_classification(frame: pd.DataFrame) -> bool:
    """Whether the same few completions come again and again."""
    return frame["completion"].nunique() < len(frame) / 3


def describe(frame: pd.DataFrame) -> list[str]:
    """What a model learns from the pairs, in a sentence."""
    if "messages" in frame:
        return []
    if is_open_ended(frame):
        return ["Texts without prompts: the model learns to write such texts."]
    if is_classification(frame):
        often = frame["completion"].value_counts()[:5].items()
        classes = ", ".join(f"{shown(text)} {count:,} ×" for text, count in often)
        return [f"Few different completions, so it learns to choose one: {classes}"]
    different, size = frame["prompt"].nunique(), len(frame)
    if different == size:
        return ["Each prompt has its own completion."]
    return [f"{different:,} different prompts in {size:,} rows, so some have several completions."]


def missing_values(frame: pd.DataFrame) -> list[str]:
    """Warnings for texts such as "nan", which may be a gap, or content (Namibia is NA)."""
    notes = []
    for column in ("prompt", "completion"):
        texts = frame[column][frame[column].str.strip().str.len().between(1, 8)]
        found = texts[texts.map(is_missing) | texts.str.strip().str.lower().isin(GAPS)]
        if len(found):
            words = ", ".join(sorted({shown(text) for text in found}))
            notes.append(
                f"Warning: {number(len(found), column)} may be missing values written as text "
                f"({words}), in {places(frame.index.name, found.index.tolist())}. They are kept: "
                "delete these rows if they are gaps."
            )
    return notes


def cut_off(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Answers whose own finish_reason says that they are not whole."""
    if "finish_reason" not in frame:
        return None
    reasons = frame["finish_reason"].map(lambda value: str(value or "").strip().lower())
    why = "Their finish_reason is not stop: the answer was cut off, and a model learns that too."
    what = "with an unfinished answer"
    return drop_rows(frame, ~reasons.isin(["stop", ""]), "cut_off", "recommended", what, why)


def empty_completions(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Rows without an answer."""
    bad = frame["completion"].str.strip() == ""
    why = "A job refuses examples without an answer."
    return drop_rows(frame, bad, "empty_completion", "necessary", "without a completion", why)


def empty_prompts(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Rows without a question, among others that have one."""
    bad = frame["prompt"].str.strip() == ""
    if bad.all():
        return None
    why = "The others have one: such rows teach to answer nothing in particular."
    return drop_rows(frame, bad, "empty_prompt", "recommended", "without a prompt", why)


def errors(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Cells in which a spreadsheet could not compute anything."""
    texts = frame[["prompt", "completion"]]
    bad = texts.apply(lambda column: column.str.fullmatch(ERRORS.pattern)).any(axis=1)
    why = "A formula failed there (#N/A, #REF!, …), so the text itself is not in the file."
    return drop_rows(frame, bad, "error_cell", "recommended", "with a spreadsheet's error", why)


def total(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """The last row of a spreadsheet, if it sums up the others."""
    first, second = frame[["prompt", "completion"]].iloc[-1]
    is_total = re.fullmatch(TOTAL, first) and re.fullmatch(r"[\s\d.,%€$]*", second)
    bad = pd.Series(frame.index == frame.index[-1], index=frame.index) & bool(is_total)
    why = "It sums up the others, and is no example itself."
    return drop_rows(frame, bad, "total", "recommended", "with a total", why)


def half_characters(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Half an emoji: a text that was cut through a character."""
    bad = pd.Series(map(_has_half, frame.to_numpy().tolist()), index=frame.index)
    why = r"A text was cut through an emoji (\ud83d without its other half): no file can hold it."
    return drop_rows(frame, bad, "half", "necessary", "with half a character", why)


def _has_half(row: list[Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    return False


def duplicates(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Rows that are there more than once; the first stays."""
    keys = frame.map(repr) if "messages" in frame else frame
    why = "The same example comes earlier; twice teaches nothing new."
    return drop_rows(frame, keys.duplicated(), "duplicate", "recommended", "seen before", why)
