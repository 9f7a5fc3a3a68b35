"""Rules for the habits of texts: capitals, beginnings, separators and stop sequences."""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from itertools import chain, count

import pandas as pd

from helpers.jsonl import SEPARATOR
from helpers.pairs import SEPARATORS, STOPS, common_end
from heroes.prepare.suggestion import Found, Plan, shown

PUNCTUATION = " .,;:!?…'\"’”»)"
LONG_START = {"prompt": 13, "completion": 5}  # characters that are worth leaving out
FEW_LETTERS = 20  # a text with fewer may be a code or an abbreviation
NOTE = r"\d+, [^,\n]+, [^,\n]+"  # the course's notes: "40, woman, Healing"


def is_open_ended(frame: pd.DataFrame) -> bool:
    """Whether there are only completions: all prompts are empty."""
    return not frame["prompt"].astype(bool).any()


def is_classification(frame: pd.DataFrame) -> bool:
    """Whether the same few completions come again and again."""
    return frame["completion"].nunique() < len(frame) / 3


def separator_of(prompts: pd.Series) -> str:
    """The sign with which all prompts end, or "". "…ing" at all ends is chance, and no sign."""
    sign = re.search(r"\W*\Z", common_end(prompts.tolist()))
    return sign.group() if prompts.nunique() > 1 and sign and sign.group().strip() else ""


def stop_of(completions: pd.Series) -> str:
    """The sign or END with which all completions end, or ""; a full stop is only punctuation."""
    sign = re.search(r"(?:\s*\[?\bEND\b\]?|\W+)\Z", common_end(completions.tolist()))
    several = completions.nunique() > 1
    return sign.group() if several and sign and sign.group().strip(PUNCTUATION) else ""


def _is_inside(texts: pd.Series, mark: str) -> bool:
    """Whether a text holds the mark before its end."""
    return any(0 <= text.find(mark) < len(text) - len(mark) for text in texts)


def _choose(texts: pd.Series, candidates: Sequence[str]) -> str:
    """A mark that, at the end of every text, occurs nowhere else: most texts' own, if it fits."""
    used = [mark for mark in candidates if texts.str.endswith(mark).mean() >= 0.5]
    longer = (f" {'=' * length}>" for length in count(2))
    marks = chain(used, candidates, longer)
    return next(m for m in marks if not _is_inside(texts.str.removesuffix(m) + m, m))


def _ended(frame: pd.DataFrame, column: str, mark: str) -> Found:
    new = frame[column].str.removesuffix(mark) + mark
    return frame.assign(**{column: new}), {"mark": shown(mark)}


def note_separator(frame: pd.DataFrame, plan: Plan) -> Found:
    """The course's notes without their separator. Other questions of a chat need none."""
    prompts = frame["prompt"]
    if prompts.nunique() < 2 or separator_of(prompts) or not prompts.str.fullmatch(NOTE).all():
        return None
    return _ended(frame, "prompt", SEPARATOR)


def separator(frame: pd.DataFrame, plan: Plan) -> Found:
    """Prompts without a sign that they are over."""
    prompts = frame["prompt"]
    mark = separator_of(prompts)
    if prompts.nunique() < 2 or (mark and not _is_inside(prompts, mark)):
        return None
    several_lines = bool(prompts.str.contains("\n", regex=False).any())
    used = bool(prompts.str.endswith(SEPARATOR).mean() >= 0.5)
    return _ended(frame, "prompt", _choose(prompts, SEPARATORS[several_lines and not used :]))


def stop(frame: pd.DataFrame, plan: Plan) -> Found:
    """Completions without a sign that they are over."""
    texts = frame["completion"]
    if is_open_ended(frame) or is_classification(frame) or texts.nunique() < 2:
        return None
    mark = stop_of(texts)
    if mark and not _is_inside(texts, mark):
        return None
    return _ended(frame, "completion", _choose(texts, STOPS))


def chat_stop(frame: pd.DataFrame, plan: Plan) -> Found:
    """Stop sequences in a chat, whose format marks the end itself."""
    texts = frame["completion"]
    end = common_end(texts.tolist()).rstrip()
    mark = next((known for known in STOPS if known.strip() and end.endswith(known)), "")
    new = texts.str.rstrip().str.removesuffix(mark)
    if not mark or texts.nunique() < 2 or not new.str.strip().all():
        return None
    return frame.assign(completion=new), {"mark": shown(mark.strip())}


def _mark_of(frame: pd.DataFrame, column: str) -> str:
    return (separator_of if column == "prompt" else stop_of)(frame[column])


def lower_case(frame: pd.DataFrame, plan: Plan, column: str) -> Found:
    """Texts in capitals; not where capitals are codes or labels."""
    if column == "completion" and is_classification(frame):
        return None
    mark = _mark_of(frame, column)
    bodies = frame[column].str.removesuffix(mark)
    upper, lower = bodies.str.count(r"[A-ZÀ-Þ]"), bodies.str.count(r"[a-zß-ÿ]")
    if upper.sum() <= lower.sum() * 2 or (upper + lower).mean() < FEW_LETTERS:
        return None
    return frame.assign(
        **{column: frame[column].where(upper <= lower / 2, bodies.str.lower() + mark)}
    ), {}


def prefix(frame: pd.DataFrame, plan: Plan, column: str) -> Found:
    """The words with which all texts begin."""
    texts = frame[column]
    bodies = texts.str.removesuffix(_mark_of(frame, column)).str.lstrip()
    start = os.path.commonprefix(bodies.tolist())
    start = start[: start.rfind(" ") + 1]  # half a word would remain otherwise
    if len(start) < LONG_START[column] or texts.nunique() < 2:
        return None
    if not bodies.str.slice(len(start)).str.strip().all():
        return None
    new = texts.str.replace(start, "", n=1, regex=False)
    return frame.assign(**{column: new}), {"start": shown(start)}


def leading_space(frame: pd.DataFrame, plan: Plan) -> Found:
    """Completions that begin without a blank."""
    texts = frame["completion"]
    new = texts.where(texts.str[:1].isin([" ", "\n"]), " " + texts)
    return frame.assign(completion=new), {}
