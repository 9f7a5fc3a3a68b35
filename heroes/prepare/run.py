"""`prepare`: a file in, suggestions offered one by one, checked JSON Lines out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.jsonl.report import Report

from helpers.check_file import check_file
from heroes.prepare.analysis import Analysis
from heroes.prepare.errors import InputError
from heroes.prepare.marks import SEPARATORS, STOPS, known_mark, separator_of, stop_of
from heroes.prepare.output import free_paths, is_same, write_and_check
from heroes.prepare.split import Split, split
from heroes.prepare.suggestion import Plan, Suggestion
from heroes.prepare.table import Table


@dataclass(frozen=True)
class Output:
    """Where the result goes, and how it is split."""

    wanted: Path
    share: float | int | None = None
    seed: int = 7
    force: bool = False
    always: bool = False  # write even what would be a copy of the source


@dataclass
class Result:
    """What was done: what was suggested, what was written, and what the checker says."""

    analysis: Analysis
    plan: Plan
    decisions: list[tuple[Suggestion, bool]] = field(default_factory=list)
    rows: int = 0
    written: dict[Path, Report] = field(default_factory=dict)
    split: Split | None = None
    separator: str = ""
    stop: str = ""
    unchanged: bool = False

    @property
    def ok(self) -> bool:
        """Whether a job would take all that was written."""
        return all(report.ok for report in self.written.values())

    def to_dict(self) -> dict[str, Any]:
        """The whole report, for JSON."""
        facts = self.analysis
        return {
            "file": facts.file,
            "analysis": {
                "format": facts.format,
                "encoding": facts.encoding,
                "rows": facts.rows,
                "columns": list(facts.columns),
                "kind": facts.kind,
                "tokens": facts.tokens,
                "texts": [vars(column) for column in facts.texts],
                "most_frequent": [list(pair) for pair in facts.most_frequent],
                "notes": list(facts.notes),
            },
            "suggestions": [{**s.to_dict(), "accepted": taken} for s, taken in self.decisions],
            "format": self.plan.format,
            "rows": self.rows,
            "split": self.split.to_dict() if self.split else None,
            "separator": self.separator or None,
            "stop": self.stop or None,
            "unchanged": self.unchanged,
            "written": [_written(path, report) for path, report in self.written.items()],
        }


def _written(path: Path, report: Report) -> dict[str, Any]:
    problems = [
        {"line": p.line, "field": p.field, "severity": p.severity, "message": p.message}
        for p in report.problems
    ]
    return {"path": str(path), "examples": report.n_examples, "ok": report.ok, "problems": problems}


def write(result: Result, table: Table, output: Output, source: Path) -> None:
    """Write one file or two, check them, and note it all in the result.

    What would be a copy of the source is not written: the source itself is checked then.
    Raises InputError if the table can't be split, or if the source would be overwritten.
    """
    sides = {"": table}
    if output.share is None and not output.always and is_same(source, table, result.plan):
        result.unchanged = True
        result.written[source] = check_file(source)
        return
    if output.share is not None:
        result.split = split(table, output.share, output.seed, result.plan.group_by)
        sides = {"train": result.split.train, "valid": result.split.valid}
    paths = free_paths(output.wanted, tuple(sides), output.force)
    if any(path.exists() and path.samefile(source) for path in paths):
        remedy = "Choose another name with --output."
        raise InputError(source.name, "It would be overwritten by its own preparation.", remedy)
    for path, (role, side) in zip(paths, sides.items(), strict=True):
        result.written[path] = write_and_check(path, side, result.plan, role != "valid")


def note_marks(result: Result, table: Table) -> None:
    """Note the separator and the stop sequence that later questions need."""
    result.rows = len(table)
    if result.plan.format == "completions":
        result.separator = known_mark(separator_of(table["prompt"]), SEPARATORS)
        result.stop = known_mark(stop_of(table["completion"]), STOPS)
