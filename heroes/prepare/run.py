"""One run of `heroes prepare`: what was read, each suggestion, and what was made, in words."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from helpers.check_file import check_file
from helpers.report import Report
from helpers.settings import load_settings
from heroes.output import USAGE, CommandError, console, printable, show_json
from heroes.prepare import tell, write
from heroes.prepare.read import read_source
from heroes.prepare.steps import Declined, Steps
from heroes.prepare.suggestion import InputError, Plan, Suggestion, number

QUESTION = "   Do it? [Y]es, [n]o, yes to [a]ll, [q]uit: "
NO_ONE = (
    "There is no one to ask: {}. Add --yes to accept all suggestions, or --dry-run to see them."
)


@dataclass
class Run:
    """Options of the command, and what has happened so far."""

    file: Path
    plan: Plan
    output: Path | None = None
    share: float | int | None = None  # for validation
    seed: int = 7
    force: bool = False
    yes: bool = False
    dry_run: bool = False
    json: bool = False
    notes: list[str] = field(default_factory=list)
    written: dict[Path, Report] = field(default_factory=dict)

    def start(self, encoding: str | None, sheet: str | None) -> None:
        """Read, suggest, write, check. Raises CommandError with exit code 1 if not ready."""
        try:
            frame = self._prepare(encoding, sheet)
        except InputError as error:
            joint = ", " if error.where else ": "
            raise CommandError(printable(f"{self.file.name}{joint}{error}")) from None
        except OSError as error:
            message = f"{error.filename or self.file}: {error.strerror}."
            raise CommandError(printable(message)) from None
        except Declined as refused:
            raise CommandError(printable(f"Nothing was written: {refused}")) from None
        if self.json:
            found = {"rows": len(frame), "notes": self.notes}
            show_json(found | tell.for_scripts(self.steps.decisions, self.written))
        self._conclude(frame)

    def _prepare(self, encoding: str | None, sheet: str | None) -> pd.DataFrame:
        source = read_source(self.file, encoding, sheet)
        if not self.dry_run:
            write.refuse_folder((self.output or self.file).absolute().parent)
        self._say(f"{self.file.name}: {tell.summary(source)}")
        self._note(*source.notes)
        self.steps = Steps(self.plan, self.decide)
        frame = self.steps.run(source)
        self._note(*self.steps.notes)
        if self.steps.decisions and self._no_one():
            reason = "--json" if self.json else "the input is not a terminal"
            raise CommandError(NO_ONE.format(reason), USAGE)
        nothing = "No suggestions: the examples are fine as they are."
        self._say("" if self.steps.decisions else nothing, *tell.describe(frame))
        if self.dry_run:
            self._say(f"{number(len(frame), 'example')} would be written. Nothing was (--dry-run).")
        else:
            self._write(frame)
        return frame

    def decide(self, suggestion: Suggestion) -> bool:
        """Show a suggestion, and find out whether it is accepted."""
        self._say("", *tell.in_words(len(self.steps.decisions) + 1, suggestion))
        if self.dry_run:
            return True
        yours = suggestion.level == "yours"
        if yours and (self.yes or self._no_one()):
            what, why = suggestion.title.removeprefix("Leave out "), suggestion.why
            raise InputError("yours", what=what, why=why, remedy=suggestion.remedy)
        return self.yes or self._no_one() or self._ask()

    def _ask(self) -> bool:
        while True:
            try:
                answer = input(QUESTION).strip().lower()
            except EOFError:
                raise CommandError(NO_ONE.format("the input has ended"), USAGE) from None
            if answer in ("q", "quit"):
                raise CommandError("Stopped. Nothing was written.")
            if answer in ("a", "all"):
                self.yes = True
            if answer in ("", "y", "yes", "a", "all", "n", "no"):
                return answer not in ("n", "no")

    def _no_one(self) -> bool:
        return not (self.yes or self.dry_run) and (self.json or not sys.stdin.isatty())

    def _say(self, *lines: str) -> None:
        for line in lines if not self.json else ():
            console.print(printable(line))

    def _note(self, *notes: str) -> None:
        self.notes += notes
        self._say(*notes)

    def _write(self, frame: pd.DataFrame) -> None:
        """Write and check, one file or two."""
        if not self.share and not self.output and write.is_same(self.file, frame, self.plan):
            self._say("Nothing to write: the file is as it should be.")
            self.written[self.file] = check_file(self.file, settings=load_settings())
            return
        sides = {"": frame}
        if self.share is not None:
            mask, told = write.split(frame, self.steps.groups, self.share, self.seed)
            sides = {"_train": frame[~mask], "_valid": frame[mask]}
            self._note(told)
        paths = write.free_paths(self.output or write.target(self.file), tuple(sides), self.force)
        reports = write.write(paths, list(sides.values()), self.plan, self.file)
        self.written = dict(zip(paths, reports, strict=True))
        self._say(*(f"Wrote {path}" for path in paths))

    def _conclude(self, frame: pd.DataFrame) -> None:
        """Ready, with the next command; or exit code 1 and the reason."""
        for report in self.written.values():
            self._say(f"Checked: {report.summary}")
            for kind, count in report.counts.items():
                problem = next(problem for problem in report.problems if problem.kind == kind)
                self._say(f"  {problem}" + (f" ({count:,} such)" if count > 1 else ""))
        for report in self.written.values():
            for problem in report.problems:
                if problem.severity == "error":
                    raise CommandError(f"{report.name} is not ready: {problem}")
        if self.written:
            self._say(f"Ready. Next: {tell.next_command(list(self.written))}")
            self._say(*tell.reminders(frame, self.plan))
