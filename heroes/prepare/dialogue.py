"""The conversation of `heroes prepare`: the analysis, each suggestion, and what was made."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from heroes.output import CommandError, console, printable, show_json

if TYPE_CHECKING:
    from heroes.prepare import Output, Plan, Result, Source, Suggestion

USAGE = 2  # the exit code for wrong use, as typer has it
NOBODY = "There is nobody to ask: the input is no terminal."
QUIET = "With --json nobody is asked."
ADD = "Add --yes to accept all suggestions, or --dry-run to only see them."


class Dialogue:
    """Shows the analysis and the suggestions, and asks about each."""

    def __init__(self, *, yes: bool, dry_run: bool, quiet: bool) -> None:
        self.yes = yes
        self.dry_run = dry_run
        self.quiet = quiet
        self.nobody = not (yes or dry_run) and (quiet or not sys.stdin.isatty())
        self.number = 0

    def prepare(self, source: Source, plan: Plan, file: Path, output: Output) -> Result:
        """All steps. Raises CommandError, with nothing written, if nobody can be asked."""
        from heroes.prepare import Result, Steps, analyse, note_marks, shape_of, write

        result = Result(analyse(source, shape_of(source.table, plan), plan), plan)
        self._say(*result.analysis.lines())
        steps = Steps(plan, self.decide)
        result.decisions = steps.decisions
        table = steps.run(source)
        if not self.number:
            self._say("", "No suggestions: the examples are fine as they are.")
        elif self.nobody:
            raise CommandError(f"{QUIET if self.quiet else NOBODY} {ADD}", USAGE)
        note_marks(result, table)
        if not self.dry_run:
            write(result, table, output, file)
        return result

    def decide(self, suggestion: Suggestion) -> bool:
        """Show a suggestion, and find out whether it is accepted."""
        self.number += 1
        self._say("", *_lines(self.number, suggestion))
        if self.yes or self.dry_run or self.nobody:
            return True
        while True:
            answer = (
                typer.prompt("   Do it? [Y]es, [n]o, yes to [a]ll, [q]uit", "y").strip().lower()
            )
            if answer in ("a", "all"):
                self.yes = True
            if answer in ("y", "yes", "a", "all"):
                return True
            if answer in ("n", "no"):
                return False
            if answer in ("q", "quit"):
                raise CommandError("Stopped. Nothing was written.")

    def _say(self, *lines: str) -> None:
        if not self.quiet:
            for line in lines:
                console.print(printable(line))


def _lines(number: int, suggestion: Suggestion) -> list[str]:
    lines = [f"{number}. {suggestion.level.capitalize()}: {suggestion.title}"]
    if suggestion.places:
        everywhere = suggestion.after is not None and suggestion.count == len(suggestion.result)
        lines.append(f"   where:  {'all rows' if everywhere else suggestion.where}")
    lines += [f"   why:    {suggestion.why}", f"   before: {suggestion.before}"]
    lines.append(
        "   after:  (left out)" if suggestion.after is None else f"   after:  {suggestion.after}"
    )
    return lines


def show_result(result: Result, dry_run: bool, json: bool) -> None:
    """Say what was written and what to do next; exit code 1 if a job would refuse the files."""
    command = _next_command(result)
    if json:
        show_json({**result.to_dict(), "dry_run": dry_run, "next": command})
    elif dry_run:
        console.print(
            f"\n{result.rows:,} rows would be written. Nothing was, because of --dry-run."
        )
    else:
        _show_files(result)
    bad = [report for report in result.written.values() if not report.ok]
    if bad:
        problem = next(p for p in bad[0].problems if p.severity == "error")
        raise CommandError(
            f"{bad[0].name}: a job would refuse it. {problem.message} {problem.remedy}"
        )
    if command and not json:
        console.print(f"\nNext: {command}")
        _show_marks(result)


def _show_files(result: Result) -> None:
    console.print()
    if result.split is not None:
        split = result.split
        held_out = f": {', '.join(split.held_out)}" if split.held_out else ""
        console.print(printable(f"Split by {split.by} ({split.n_groups:,} groups){held_out}"))
        if split.shared_prompts:
            console.print(f"Mind: {split.shared_prompts:,} prompts are in both files.")
    if result.unchanged:
        console.print("Nothing to write: the file is as it should be.")
    for path, report in result.written.items():
        if not result.unchanged:
            console.print(printable(f"Wrote {path}"))
        console.print(printable(f"Checked: {report}"))


def _next_command(result: Result) -> str | None:
    """The command that trains on what was written."""
    if not result.written or not result.ok:
        return None
    paths = [_quoted(path) for path in result.written]
    exam = f" -v {paths[1]}" if len(paths) > 1 else ""
    return f"heroes jobs create -t {paths[0]}{exam} --suffix my-model"


def _quoted(path: Path) -> str:
    # Windows' shells know double quotes only.
    return f'"{path}"' if sys.platform == "win32" and " " in str(path) else shlex.quote(str(path))


def _show_marks(result: Result) -> None:
    """What later questions to the tuned model have to be like."""
    for suggestion, accepted in result.decisions:
        if accepted and suggestion.kind == "prompt_prefix":
            words = suggestion.title.rpartition(" at the beginning of ")[0]
            console.print(printable(f"Later, {words[0].lower()}{words[1:]} in your questions too."))
    if result.separator:
        console.print(f"Later, end every question with {result.separator!r}.")
    if result.stop:
        console.print(f"Later, ask with stop=[{result.stop!r}].")
