"""The conversation of `heroes prepare`: what was read, each suggestion, and what was made."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from helpers.report import Report
from heroes.output import CommandError, console, printable, show_json
from heroes.prepare import tell, write
from heroes.prepare.command import USAGE
from heroes.prepare.read import read_source
from heroes.prepare.steps import Steps
from heroes.prepare.suggestion import InputError, Plan, Suggestion, number

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
        self._say(tell.headline(self.file, self.source), *self.source.notes)
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
        if not self.json and "messages" not in frame:
            tell.describe(frame)
        told = "" if self.dry_run else self._write(frame, steps)
        if self.json:
            notes = [*self.source.notes, *steps.notes, *([told] if told else [])]
            report = tell.for_scripts(self.source, steps.decisions, self.written)
            show_json({"rows": len(frame), "notes": notes, **report})
        elif self.dry_run:
            self._say(f"{number(len(frame), 'example')} would be written. Nothing was (--dry-run).")
        self._conclude(frame)

    def decide(self, suggestion: Suggestion) -> bool:
        """Show a suggestion, and find out whether it is accepted."""
        self.asked += 1
        self._say("", *tell.lines(self.asked, suggestion))
        if self.dry_run:
            return True
        if suggestion.level == "yours" and (self.yes or self._no_one()):
            raise CommandError(printable(f"{self.file.name}: {tell.unasked(suggestion)}"))
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
            self._say(*tell.summary(report))
        for report in self.written.values():
            for problem in report.problems:
                if problem.severity == "error":
                    raise CommandError(f"{report.name} is not ready: {problem}")
        if self.written and not self.json:
            self._say(f"Ready. Next: {tell.next_command(list(self.written))}")
            self._say(*tell.reminders(frame, self.plan))
