"""The conversation of `heroes prepare`: what was read, each suggestion, and what was made."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from helpers.report import Report

from heroes.output import CommandError, console, printable, show_json, show_table
from heroes.prepare import marks, rows, write
from heroes.prepare.command import USAGE
from heroes.prepare.read import read_source
from heroes.prepare.steps import Steps
from heroes.prepare.suggestion import InputError, Plan, Source, Suggestion, number, places

QUESTION = "   Do it? [Y]es, [n]o, yes to [a]ll, [q]uit: "
NO_ONE = (
    "There is no one to ask: {}. Add --yes to accept all suggestions, or --dry-run to see them."
)


@dataclass(frozen=True)
class Wanted:
    """Where the result goes, and how it is split."""

    output: Path | None = None
    share: float | int | None = None
    seed: int = 7
    force: bool = False


@dataclass
class Dialogue:
    """One run of the command."""

    file: Path
    plan: Plan
    wanted: Wanted
    yes: bool = False
    dry_run: bool = False
    json: bool = False
    written: dict[Path, Report] = field(default_factory=dict)

    def run(self, encoding: str | None, sheet: str | None) -> None:
        """Read, suggest, write, check. Raises CommandError with exit code 1 if not ready."""
        self.source = read_source(self.file, encoding, sheet)
        self._say(_headline(self.file, self.source), *self.source.notes)
        self.asked = 0
        steps = Steps(self.plan, self.decide)
        try:
            frame = steps.run(self.source)
        except InputError as error:
            raise InputError(f"{self.file.name}: {error}") from None
        self._say(*steps.notes)
        if self.asked and self._no_one():
            reason = "--json" if self.json else "the input is no terminal"
            raise CommandError(NO_ONE.format(reason), USAGE)
        self._say("" if self.asked else "No suggestions: the examples are fine as they are.")
        self._describe(frame)
        told = "" if self.dry_run else self._write(frame, steps)
        if self.json:
            self._show_json(frame, steps, told)
        elif self.dry_run:
            self._say(f"{number(len(frame), 'example')} would be written. Nothing was (--dry-run).")
        self._conclude(frame)

    def decide(self, suggestion: Suggestion) -> bool:
        """Show a suggestion, and find out whether it is accepted."""
        self.asked += 1
        self._say("", *_lines(self.asked, suggestion))
        if self.dry_run:
            return True
        if suggestion.level == "yours" and (self.yes or self._no_one()):
            raise CommandError(printable(f"{self.file.name}: {_unasked(suggestion)}"))
        if self._no_one() or (self.yes and suggestion.level != "yours"):
            return True
        while True:
            try:
                answer = input(QUESTION).strip().lower() or "y"
            except EOFError:
                raise CommandError(NO_ONE.format("the input has ended"), USAGE) from None
            if answer in ("a", "all"):
                self.yes = True
            if answer in ("y", "yes", "a", "all"):
                return True
            if answer in ("n", "no"):
                return False
            if answer in ("q", "quit"):
                raise CommandError("Stopped. Nothing was written.")

    def _no_one(self) -> bool:
        return not (self.yes or self.dry_run) and (self.json or not sys.stdin.isatty())

    def _say(self, *lines: str) -> None:
        if not self.json:
            for line in lines:
                console.print(printable(line))

    def _describe(self, frame: pd.DataFrame) -> None:
        """How many different texts, and how long; what the model will learn from them."""
        if self.json or "messages" in frame:
            return
        table = []
        for column in ("prompt", "completion"):
            lengths = frame[column].str.len()
            numbers = (frame[column].nunique(), lengths.min(), lengths.median(), lengths.max())
            table.append((column, *(f"{value:,.0f}" for value in numbers)))
        show_table(["text", "different", "shortest", "median", "longest (characters)"], table)
        prompts = frame["prompt"].nunique()
        if rows.is_open_ended(frame):
            self._say("Texts without prompts: the model learns to write such texts.")
        elif rows.is_classification(frame):
            often = ", ".join(
                f"{t!r} {n:,} ×" for t, n in frame["completion"].value_counts()[:5].items()
            )
            self._say(f"Few different completions, so it learns to choose one: {often}")
        elif prompts == len(frame):
            self._say("Each prompt has its own completion.")
        else:
            self._say(
                f"{prompts:,} different prompts in {number(len(frame), 'row')}: some have several completions."
            )

    def _write(self, frame: pd.DataFrame, steps: Steps) -> str:
        """Write and check; what was done about the split, in words."""
        wanted, told, sides = self.wanted, "", {"": frame}
        if (
            wanted.share is None
            and not wanted.output
            and write.is_same(self.file, frame, self.plan)
        ):
            self._say("Nothing to write: the file is as it should be.")
            self.written[self.file] = write.check(self.file)
            return ""
        if wanted.share is not None:
            mask, told = write.split(frame, steps.groups, wanted.share, wanted.seed)
            sides = {"_train": frame[~mask], "_valid": frame[mask]}
            self._say(told)
        target = wanted.output or write.target(self.file)
        paths = write.free_paths(target, tuple(sides), wanted.force)
        reports = write.write(paths, list(sides.values()), self.plan, self.file)
        self.written = dict(zip(paths, reports, strict=True))
        self._say(*(f"Wrote {path}" for path in paths))
        return told

    def _conclude(self, frame: pd.DataFrame) -> None:
        """Ready, with the next command; or exit code 1 and the reason."""
        for report in self.written.values():
            self._say(*_summary(report))
        for report in self.written.values():
            for problem in report.problems:
                if problem.severity == "error":
                    raise CommandError(f"{report.name} is not ready: {problem}")
        if self.written and not self.json:
            self._say(f"Ready. Next: {_next_command(list(self.written))}")
            self._say(*_reminders(frame, self.plan))

    def _show_json(self, frame: pd.DataFrame, steps: Steps, told: str) -> None:
        ready = bool(self.written) and all(report.ok for report in self.written.values())
        show_json(
            {
                "file": str(self.file),
                "kind": self.source.kind,
                "encoding": self.source.encoding,
                "notes": [*self.source.notes, *steps.notes, *([told] if told else [])],
                "suggestions": [
                    {
                        "kind": s.kind,
                        "level": s.level,
                        "title": s.title,
                        "why": s.why,
                        "rows": s.rows,
                        "before": s.before,
                        "after": s.after,
                        "accepted": accepted,
                    }
                    for s, accepted in steps.decisions
                ],
                "rows": len(frame),
                "written": [
                    {
                        "path": str(path),
                        "examples": report.n_examples,
                        "ok": report.ok,
                        "problems": [str(problem) for problem in report.problems],
                    }
                    for path, report in self.written.items()
                ],
                "dry_run": self.dry_run,
                "next": _next_command(list(self.written)) if ready else None,
            }
        )


def _headline(file: Path, source: Source) -> str:
    words = [source.kind, source.encoding, number(len(source.frame), "row")]
    columns = [column for column in source.frame.columns]
    words.append(f"{number(len(columns), 'column')} ({', '.join(map(str, columns[:12]))})")
    return f"{file.name}: {', '.join(word for word in words if word)}"


def _lines(count: int, suggestion: Suggestion) -> list[str]:
    level = {"yours": "Yours to decide"}.get(suggestion.level, suggestion.level.capitalize())
    unit, size = suggestion.frame.index.name, len(suggestion.frame)
    lines = [f"{count}. {level}: {suggestion.title}"]
    if suggestion.rows:
        everywhere = suggestion.after != "(left out)" and len(suggestion.rows) == size
        where = f"all {unit}s" if everywhere else places(unit, suggestion.rows)
        lines.append(f"   where:  {where}")
    lines += [f"   why:    {suggestion.why}", f"   before: {suggestion.before}"]
    return [*lines, f"   after:  {suggestion.after}"]


def _unasked(suggestion: Suggestion) -> str:
    what = suggestion.title.removeprefix("Leave out ")
    return (
        f"Nothing was written, because --yes does not leave out {what}. "
        f"{suggestion.why} {suggestion.remedy}"
    )


def _summary(report: Report) -> list[str]:
    """The checker's word: one line for each kind of problem, not for each row."""
    lines, seen = [f"Checked: {report.summary}"], set()
    for problem in report.problems:
        if problem.kind not in seen:
            seen.add(problem.kind)
            count = report.counts[problem.kind]
            lines.append(f"  {problem}" + (f" ({count:,} such)" if count > 1 else ""))
    return lines


def _next_command(paths: list[Path]) -> str:
    """The command that trains on what was written."""
    quoted = [
        f'"{path}"' if sys.platform == "win32" and " " in str(path) else shlex.quote(str(path))
        for path in paths
    ]
    validation = f" -v {quoted[1]}" if len(quoted) > 1 else ""
    return f"heroes jobs create -t {quoted[0]}{validation} --suffix my-model"


def _reminders(frame: pd.DataFrame, plan: Plan) -> list[str]:
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
