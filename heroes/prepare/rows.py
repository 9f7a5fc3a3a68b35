"""Rules for a table of prompts and completions: rows that go, and texts that change."""

from __future__ import annotations

import os.path
import re
from typing import Any

import pandas as pd

from heroes.prepare.suggestion import Plan, Suggestion, change_texts, drop_rows, shown

ERRORS = re.compile(r"\s*#(N/A|REF!|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|SPILL!|CALC!)\s*")
LONG_START = {"prompt": 13, "completion": 5}  # characters that are worth leaving out
FEW_LETTERS = 20  # a text with fewer may be a code or an abbreviation
HALF = re.compile("[\ud800-\udfff]")


def is_open_ended(frame: pd.DataFrame) -> bool:
    """Whether there are only completions: all prompts are empty."""
    return not frame["prompt"].astype(bool).any()


def is_classification(frame: pd.DataFrame) -> bool:
    """Whether the same few completions come again and again."""
    return frame["completion"].nunique() < len(frame) / 3


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


def half_characters(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Half an emoji: a text that was cut through a character."""
    bad = pd.Series([_has_half(row) for row in frame.to_numpy().tolist()], index=frame.index)
    why = r"A text was cut through an emoji (\ud83d without its other half): no file can hold it."
    what = "with half a character"
    return drop_rows(frame, bad, "half", "necessary", what, why)


def _has_half(value: Any) -> bool:
    if isinstance(value, str):
        return HALF.search(value) is not None
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_has_half, parts))


def duplicates(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Rows that are there more than once; the first stays."""
    keys = frame.map(repr) if "messages" in frame else frame
    why = "The same example comes earlier; twice teaches nothing new."
    return drop_rows(frame, keys.duplicated(), "duplicate", "recommended", "seen before", why)


def lower_case(frame: pd.DataFrame, column: str, mark: str) -> Suggestion | None:
    """Texts in capitals; not where capitals are codes or labels."""
    if column == "completion" and is_classification(frame):
        return None
    bodies = frame[column].str.removesuffix(mark)
    upper, lower = bodies.str.count(r"[A-ZÀ-Þ]"), bodies.str.count(r"[a-zß-ÿ]")
    if upper.sum() <= lower.sum() * 2 or (upper + lower).mean() < FEW_LETTERS:
        return None
    new = frame[column].where(upper <= lower / 2, bodies.str.lower() + mark)
    why = "Models know ordinary text better: a word in capitals is cut into more tokens."
    return change_texts(frame, column, new, f"{column}_case", "Write {} in lower case", why)


def prefix(frame: pd.DataFrame, column: str, mark: str) -> Suggestion | None:
    """The words with which all texts begin."""
    texts = frame[column]
    bodies = texts.str.removesuffix(mark).str.lstrip()
    start = os.path.commonprefix(bodies.tolist())
    start = start[: start.rfind(" ") + 1]  # half a word would remain otherwise
    if len(start) < LONG_START[column] or texts.nunique() < 2:
        return None
    if not bodies.str.slice(len(start)).str.strip().all():
        return None
    new = texts.str.replace(start, "", n=1, regex=False)
    why = "Tuning teaches the task itself; these words only cost tokens."
    if column == "completion":
        why = "The model need not learn what is always the same; your program can add it."
    title = f"Leave out {shown(start)} at the beginning of {{}}"
    return change_texts(frame, column, new, f"{column}_prefix", title, why)


def leading_space(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Completions that begin without a blank."""
    texts = frame["completion"]
    new = texts.where(texts.str[:1].isin([" ", "\n"]), " " + texts)
    why = "Models know most words together with the blank in front of them."
    return change_texts(frame, "completion", new, "leading_space", "Begin {} with a blank", why)
