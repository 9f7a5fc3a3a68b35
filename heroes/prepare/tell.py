"""What `heroes prepare` says: about the file, each suggestion, and what was made."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.report import Report
from heroes.output import console, printable
from heroes.prepare import marks, rows
from heroes.prepare.suggestion import Plan, Source, Suggestion, number, places, shown
from heroes.tables import show_table


def headline(file: Path, source: Source) -> str:
    words = [source.kind, source.encoding, number(len(source.frame), "row")]
    columns = list(source.frame.columns)
    words.append(f"{number(len(columns), 'column')} ({', '.join(map(str, columns[:12]))})")
    return f"{file.name}: {', '.join(word for word in words if word)}"


def lines(count: int, suggestion: Suggestion) -> list[str]:
    level = {"yours": "Yours to decide"}.get(suggestion.level, suggestion.level.capitalize())
    unit, size = suggestion.frame.index.name, len(suggestion.frame)
    lines = [f"{count}. {level}: {suggestion.title}"]
    if suggestion.rows:
        everywhere = suggestion.after != "(left out)" and len(suggestion.rows) == size
        where = f"all {unit}s" if everywhere else places(unit, suggestion.rows)
        lines.append(f"   where:  {where}")
    lines += [f"   why:    {suggestion.why}", f"   before: {suggestion.before}"]
    return [*lines, f"   after:  {suggestion.after}"]


def unasked(suggestion: Suggestion) -> str:
    what = suggestion.title.removeprefix("Leave out ")
    return (
        f"Nothing was written, because --yes does not leave out {what}. "
        f"{suggestion.why} {suggestion.remedy}"
    )


def summary(report: Report) -> list[str]:
    """The checker's word: one line for each kind of problem, not for each row."""
    lines, seen = [f"Checked: {report.summary}"], set()
    for problem in report.problems:
        if problem.kind not in seen:
            seen.add(problem.kind)
            count = report.counts[problem.kind]
            lines.append(f"  {problem}" + (f" ({count:,} such)" if count > 1 else ""))
    return lines


def next_command(paths: list[Path]) -> str:
    """The command that trains on what was written."""
    quoted = [
        f'"{path}"' if sys.platform == "win32" and " " in str(path) else shlex.quote(str(path))
        for path in paths
    ]
    validation = f" -v {quoted[1]}" if len(quoted) > 1 else ""
    return f"heroes jobs create -t {quoted[0]}{validation} --suffix my-model"


def reminders(frame: pd.DataFrame, plan: Plan) -> list[str]:
    """What later questions to the tuned model have to be like."""
    if "messages" in frame:
        return []
    lines = []
    separator = marks.known_mark(marks.separator_of(frame["prompt"].tolist()), marks.SEPARATORS)
    if separator in marks.SEPARATORS:
        lines.append(f"Later, end every question with {separator!r}.")
    if plan.format == "completions":
        stop = marks.known_mark(marks.stop_of(frame["completion"].tolist()), marks.STOPS)
        lines += [f"Later, ask with stop=[{stop!r}]."] if stop else []
    return lines


def describe(frame: pd.DataFrame) -> None:
    """Show how many different texts there are, how long, and what a model learns from them."""
    table = []
    for column in ("prompt", "completion"):
        lengths = frame[column].str.len()
        numbers = (frame[column].nunique(), lengths.min(), lengths.median(), lengths.max())
        table.append((column, *(f"{value:,.0f}" for value in numbers)))
    show_table(["text", "different", "shortest", "median", "longest (characters)"], table)
    prompts = frame["prompt"].nunique()
    if rows.is_open_ended(frame):
        said = "Texts without prompts: the model learns to write such texts."
    elif rows.is_classification(frame):
        often = frame["completion"].value_counts()[:5].items()
        said = "Few different completions, so it learns to choose one: "
        said += ", ".join(f"{shown(text)} {count:,} ×" for text, count in often)
    elif prompts == len(frame):
        said = "Each prompt has its own completion."
    else:
        said = f"{prompts:,} different prompts in {number(len(frame), 'row')}, "
        said += "so some have several completions."
    console.print(printable(said))


def for_scripts(
    source: Source, decisions: list[tuple[Suggestion, bool]], written: dict[Path, Report]
) -> dict[str, Any]:
    """The same as data, for --json."""
    ready = bool(written) and all(report.ok for report in written.values())
    return {
        "kind": source.kind,
        "encoding": source.encoding,
        "suggestions": [
            {**{k: v for k, v in vars(made).items() if k != "frame"}, "accepted": accepted}
            for made, accepted in decisions
        ],
        "written": [
            {
                "path": str(path),
                "examples": report.n_examples,
                "ok": report.ok,
                "problems": [str(problem) for problem in report.problems],
            }
            for path, report in written.items()
        ],
        "next": next_command(list(written)) if ready else None,
    }
