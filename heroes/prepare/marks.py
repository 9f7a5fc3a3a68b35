"""The habits of completion files: separators, stop sequences, beginnings, capitals."""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from itertools import chain, count

import pandas as pd

from helpers.jsonl import SEPARATOR
from helpers.pairs import SEPARATORS, STOPS, common_end
from heroes.prepare.rows import is_classification, is_open_ended
from heroes.prepare.suggestion import Plan, Suggestion, change_texts, shown

PUNCTUATION = " .,;:!?…'\"’”»)"
LONG_START = {"prompt": 13, "completion": 5}  # characters that are worth leaving out
FEW_LETTERS = 20  # a text with fewer may be a code or an abbreviation
NOTE = re.compile(r"\d+, [^,\n]+, [^,\n]+")  # the course's notes: "40, woman, Healing"


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


def separator(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Prompts without a sign that they are over. A chat needs one only for the course's notes."""
    prompts = frame["prompt"]
    mark = separator_of(prompts)
    if prompts.nunique() < 2 or (mark and (plan.format == "chat" or not _is_inside(prompts, mark))):
        return None
    if plan.format == "chat":
        if not all(map(NOTE.fullmatch, prompts)):
            return None
        mark, why = SEPARATOR, "The course's notes end with it; ask the tuned model in this form."
    else:
        several_lines = any("\n" in text for text in prompts)
        used = bool(prompts.str.endswith(SEPARATOR).mean() >= 0.5)
        mark = _choose(prompts, SEPARATORS[several_lines and not used :])
        why = "The model sees one text: it must see where the prompt ends and the answer begins."
    new = prompts.str.removesuffix(mark) + mark
    title = f"End {{}} with the separator {shown(mark)}"
    return change_texts(frame, "prompt", new, "separator", title, why)


def stop(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Completions without a sign that they are over."""
    texts = frame["completion"]
    if is_open_ended(frame) or is_classification(frame) or texts.nunique() < 2:
        return None
    mark = stop_of(texts)
    if mark and not _is_inside(texts, mark):
        return None
    mark = _choose(texts, STOPS)
    new, title = (
        texts.str.removesuffix(mark) + mark,
        f"End {{}} with the stop sequence {shown(mark)}",
    )
    why = "Without a stop sequence at the end, the model does not know when to stop."
    return change_texts(frame, "completion", new, "stop", title, why)


def chat_stop(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Stop sequences in a chat, whose format marks the end itself."""
    texts = frame["completion"]
    end = common_end(texts.tolist()).rstrip()
    mark = next((known for known in STOPS if known.strip() and end.endswith(known)), "")
    new = texts.str.rstrip().str.removesuffix(mark)
    if not mark or texts.nunique() < 2 or not new.str.strip().all():
        return None
    title = f'Leave out the stop sequence "{mark.strip()}" at the end of {{}}'
    why = "A chat marks its end itself; the model would write this sign to people."
    return change_texts(frame, "completion", new, "chat_stop", title, why)


def _mark_of(frame: pd.DataFrame, column: str) -> str:
    return (separator_of if column == "prompt" else stop_of)(frame[column])


def lower_case(frame: pd.DataFrame, plan: Plan, column: str) -> Suggestion | None:
    """Texts in capitals; not where capitals are codes or labels."""
    if column == "completion" and is_classification(frame):
        return None
    mark = _mark_of(frame, column)
    bodies = frame[column].str.removesuffix(mark)
    upper, lower = bodies.str.count(r"[A-ZÀ-Þ]"), bodies.str.count(r"[a-zß-ÿ]")
    if upper.sum() <= lower.sum() * 2 or (upper + lower).mean() < FEW_LETTERS:
        return None
    new = frame[column].where(upper <= lower / 2, bodies.str.lower() + mark)
    why = "Models know ordinary text better: a word in capitals is cut into more tokens."
    return change_texts(frame, column, new, f"{column}_case", "Write {} in lower case", why)


def prefix(frame: pd.DataFrame, plan: Plan, column: str) -> Suggestion | None:
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
