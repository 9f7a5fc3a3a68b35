"""Separators and stop sequences: which ones texts have, and which one they could have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain, count

import pandas as pd

from helpers.jsonl import SEPARATOR
from helpers.pairs import SEPARATORS, STOPS, common_end
from heroes.prepare.rows import is_classification, is_open_ended
from heroes.prepare.suggestion import Plan, Suggestion, change_texts, shown

PUNCTUATION = " .,;:!?…'\"’”»)"
NOTE = re.compile(r"\d+, [^,\n]+, [^,\n]+")  # the course's notes: "40, woman, Healing"


def separator_of(prompts: Sequence[str]) -> str:
    """The sign with which all prompts end, or "". "…ing" at all ends is chance, and no sign."""
    sign = re.search(r"\W*\Z", common_end(prompts))
    return sign.group() if len(set(prompts)) > 1 and sign and sign.group().strip() else ""


def stop_of(completions: Sequence[str]) -> str:
    """The sign or END with which all completions end, or ""; a full stop is only punctuation."""
    sign = re.search(r"(?:\s*\[?\bEND\b\]?|\W+)\Z", common_end(completions))
    several = len(set(completions)) > 1
    return sign.group() if several and sign and sign.group().strip(PUNCTUATION) else ""


def known_mark(mark: str, known: Iterable[str]) -> str:
    """The usual mark at the end of a sign: " ->" if all prompts end with "? ->"."""
    return next((usual for usual in known if mark.endswith(usual)), mark)


def is_inside(texts: Iterable[str], mark: str) -> bool:
    """Whether a text holds the mark before its end."""
    return any(0 <= text.find(mark) < len(text) - len(mark) for text in texts)


def choose_mark(texts: Sequence[str], candidates: Sequence[str]) -> str:
    """A mark that, at the end of every text, occurs nowhere else: most texts' own, if it fits."""
    half = len(texts) / 2
    used = [mark for mark in candidates if sum(text.endswith(mark) for text in texts) >= half]
    longer = (f" {'=' * length}>" for length in count(2))
    for mark in chain(used, candidates, longer):
        if not is_inside([text.removesuffix(mark) + mark for text in texts], mark):
            return mark
    raise AssertionError("there are endless marks, and finite texts")


def separator(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Prompts without a sign that they are over. A chat needs one only for the course's notes."""
    prompts = frame["prompt"].tolist()
    if is_open_ended(frame) or len(set(prompts)) < 2:
        return None
    mark = separator_of(prompts)
    if plan.format == "chat":
        if mark or not all(map(NOTE.fullmatch, prompts)):
            return None
        mark, why = SEPARATOR, "The course's notes end with it; ask the tuned model in this form."
    else:
        if mark and not is_inside(prompts, mark):
            return None
        several_lines = any("\n" in text for text in prompts)
        used = sum(text.endswith(SEPARATOR) for text in prompts) * 2 >= len(prompts)
        mark = choose_mark(prompts, SEPARATORS[several_lines and not used :])
        why = "The model sees one text: it must see where the prompt ends and the answer begins."
    return _marked(frame, "prompt", mark, "separator", why)


def stop(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Completions without a sign that they are over."""
    completions = frame["completion"].tolist()
    if is_open_ended(frame) or is_classification(frame) or len(set(completions)) < 2:
        return None
    mark = stop_of(completions)
    if mark and not is_inside(completions, mark):
        return None
    why = "Without a stop sequence at the end, the model does not know when to stop."
    return _marked(frame, "completion", choose_mark(completions, STOPS), "stop", why)


def _marked(frame: pd.DataFrame, column: str, mark: str, kind: str, why: str) -> Suggestion | None:
    new = frame[column].str.removesuffix(mark) + mark
    what = "separator" if kind == "separator" else "stop sequence"
    return change_texts(frame, column, new, kind, f"End {{}} with the {what} {shown(mark)}", why)


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
