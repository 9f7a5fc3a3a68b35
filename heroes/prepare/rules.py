"""Rules for rows that go, and warnings of odd texts that stay."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd

from helpers.check_example import check_example
from helpers.dialogue import texts_of
from helpers.jsonl import is_missing
from helpers.settings import Settings, load_settings
from heroes.prepare.suggestion import (
    SHOWN,
    Found,
    InputError,
    Plan,
    keep,
    note,
    number,
    places,
    shown,
)
from heroes.prepare.write import examples

ERROR = r"\s*#(N/A|REF!|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|SPILL!|CALC!)\s*"
TOTAL = r"(?i)\s*(grand )?(total|sum|summe|gesamt|average|mean)s?:?\s*"
GAPS = ("na", "n/a", "none", "null", "nil", "nan")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def cut_off(frame: pd.DataFrame, plan: Plan) -> Found:
    """Answers whose own finish_reason says that they are not whole."""
    if "finish_reason" not in frame:
        return None
    reasons = frame["finish_reason"].map(lambda value: str(value or "").strip().lower())
    return keep(frame, reasons.isin(["stop", ""]))


def half(frame: pd.DataFrame, plan: Plan) -> Found:
    """Half an emoji: a text that was cut through a character."""
    whole = [not _has_half(row) for row in frame.to_numpy().tolist()]
    return keep(frame, pd.Series(whole, frame.index))


def _has_half(row: list[Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    return False


def error_cell(frame: pd.DataFrame, plan: Plan) -> Found:
    """Cells in which a spreadsheet could not compute anything."""
    texts = frame[["prompt", "completion"]]
    return keep(frame, ~texts.apply(lambda column: column.str.fullmatch(ERROR)).any(axis=1))


def total(frame: pd.DataFrame, plan: Plan) -> Found:
    """The last row of a spreadsheet, if it sums up the others."""
    first, second = frame[["prompt", "completion"]].iloc[-1]
    is_total = re.fullmatch(TOTAL, first) and re.fullmatch(r"[\s\d.,%€$]*", second)
    return (frame.iloc[:-1], {}) if is_total else None


def empty_completion(frame: pd.DataFrame, plan: Plan) -> Found:
    """Rows without an answer."""
    return keep(frame, frame["completion"].str.strip() != "")


def empty_prompt(frame: pd.DataFrame, plan: Plan) -> Found:
    """Rows without a question, among others that have one."""
    filled = frame["prompt"].str.strip() != ""
    return keep(frame, filled) if filled.any() else None


def duplicate(frame: pd.DataFrame, plan: Plan) -> Found:
    """Rows that are there more than once; the first stays."""
    keys = frame.map(repr) if "messages" in frame else frame
    return keep(frame, ~keys.duplicated())


def refused(frame: pd.DataFrame, plan: Plan) -> Found:
    """What the configured endpoint would refuse. Raises InputError if that is all."""
    settings = load_settings()
    faults = pd.Series([_fault(e, settings) for e in examples(frame, plan)], frame.index)
    if (faults == "").all():
        return None
    kinds = faults[faults != ""].drop_duplicates()[:SHOWN].items()
    why = " ".join(f"({frame.index.name} {place}) {fault}" for place, fault in kinds)
    if (faults != "").all():
        raise InputError("all_refused", count=len(frame), faults=why)
    return frame[faults == ""], {"faults": why}


def _fault(example: dict[str, Any], settings: Settings) -> str:
    """An example's first fault in words, or ""."""
    for problem in check_example(example, settings):
        if problem.severity == "error":
            place = f"{problem.field}: " if problem.field else ""
            return f"{place}{problem.message} {problem.remedy}"
    return ""


def warnings(frame: pd.DataFrame) -> list[str]:
    """Texts that may be a gap, or content (Namibia is NA), and control characters; all stay."""
    if "messages" in frame:
        columns = {"chat": frame["messages"].map(lambda c: "\n".join(texts_of({"messages": c})))}
    else:
        columns = {name: frame[name] for name in ("prompt", "completion")}
    notes = []
    for name, texts in columns.items():
        short = texts[texts.str.strip().str.len().between(1, 8)] if name != "chat" else texts[:0]
        gaps = short[short.map(is_missing) | short.str.strip().str.lower().isin(GAPS)]
        odd = texts[texts.str.contains(CONTROL)]
        codes = sorted({f"\\x{ord(sign):02x}" for text in odd for sign in CONTROL.findall(text)})
        words = sorted({shown(text) for text in gaps})
        for kind, found, listed in (("missing", gaps, words), ("control", odd, codes)):
            if len(found):
                where, count = places(frame.index.name, found.index), number(len(found), name)
                notes.append(note(kind, texts=count, places=where, words=", ".join(listed)))
    return notes
