"""What was read, a suggestion, the next command and what to remember, in words."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.report import Report
from heroes.prepare import marks
from heroes.prepare.read import Source
from heroes.prepare.suggestion import LEFT_OUT, Plan, Suggestion, number, places, shown

LEVELS = {"yours": "Yours to decide", "necessary": "Necessary", "recommended": "Recommended"}


def summary(source: Source) -> str:
    """What was read: "csv, utf-8, 12 rows, 2 columns (prompt, completion)"."""
    columns = source.frame.columns
    words = [source.kind, source.encoding, number(len(source.frame), "row")]
    words.append(f"{number(len(columns), 'column')} ({', '.join(map(str, columns[:12]))})")
    return ", ".join(filter(None, words))


def in_words(count: int, suggestion: Suggestion) -> list[str]:
    """A suggestion as the lines that are shown before the question."""
    where, unit = suggestion.rows, suggestion.frame.index.name
    everywhere = suggestion.after != LEFT_OUT and len(where) == len(suggestion.frame)
    told = f"all {unit}s" if everywhere else places(unit, where)
    return [
        f"{count}. {LEVELS[suggestion.level]}: {suggestion.title}",
        *([f"   where:  {told}"] if where else []),
        f"   why:    {suggestion.why}",
        f"   before: {suggestion.before}",
        f"   after:  {suggestion.after}",
    ]


def describe(frame: pd.DataFrame) -> list[str]:
    """What a model learns from the pairs, in a sentence."""
    if "messages" in frame:
        return []
    if marks.is_open_ended(frame):
        return ["Texts without prompts: the model learns to write such texts."]
    if marks.is_classification(frame):
        often = frame["completion"].value_counts()[:5].items()
        classes = ", ".join(f"{shown(text)} {count:,} ×" for text, count in often)
        return [f"Few different completions, so it learns to choose one: {classes}"]
    different, size = frame["prompt"].nunique(), len(frame)
    if different == size:
        return ["Each prompt has its own completion."]
    return [f"{different:,} different prompts in {size:,} rows, so some have several completions."]


def next_command(paths: list[Path]) -> str:
    """The command that trains on what was written."""
    quote = subprocess.list2cmdline if sys.platform == "win32" else shlex.join
    names = [quote([str(path)]) for path in paths]
    validation = f" -v {names[1]}" if len(names) > 1 else ""
    return f"heroes jobs create -t {names[0]}{validation} --suffix my-model"


def reminders(frame: pd.DataFrame, plan: Plan) -> list[str]:
    """What later questions to the tuned model have to be like."""
    if "messages" in frame:
        return []
    sign, end = marks.separator_of(frame["prompt"]), marks.stop_of(frame["completion"])
    separator = next((mark for mark in marks.SEPARATORS if sign.endswith(mark)), "")
    stop = next((mark for mark in marks.STOPS if end.endswith(mark)), end)
    lines = [f"Later, end every question with {separator!r}."] if separator else []
    if stop and plan.format == "completions":
        lines.append(f"Later, ask with stop=[{stop!r}].")
    return lines


def for_scripts(
    decisions: list[tuple[Suggestion, bool]], written: dict[Path, Report]
) -> dict[str, Any]:
    """What was suggested and written, as data."""
    keys = ("kind", "level", "title", "why", "rows")
    suggestions = [
        {key: getattr(made, key) for key in keys} | {"accepted": accepted}
        for made, accepted in decisions
    ]
    files = [
        {"path": str(path), "ok": report.ok, "problems": list(map(str, report.problems))}
        for path, report in written.items()
    ]
    ready = bool(files) and all(file["ok"] for file in files)
    command = next_command(list(written)) if ready else None
    return {"suggestions": suggestions, "written": files, "next": command}
