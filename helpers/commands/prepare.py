"""`heroes prepare`: from a table to checked training files, one suggestion after the other."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from helpers.commands.base import CommandError, Json, console, plainly, printable, show_json

if TYPE_CHECKING:
    from helpers.prepare import Output, Plan, Result, Source, Suggestion

USAGE = 2
NOBODY = (
    "There is nobody to ask: the input is no terminal. "
    "Add --yes to accept all suggestions, or --dry-run to only see them."
)


class Format(StrEnum):
    """What to write."""

    chat = "chat"
    completions = "completions"


@plainly
def prepare(
    file: Annotated[
        Path, typer.Argument(help="Your examples: .csv, .tsv, .xlsx, .json, .jsonl or .txt.")
    ],
    format: Annotated[
        Format, typer.Option(help="What to write: chats, or prompt/completion pairs.")
    ] = Format.chat,
    system: Annotated[
        str | None, typer.Option(help="A system message that begins every chat.")
    ] = None,
    prompt_column: Annotated[
        str | None, typer.Option(help="The column with the prompts, if it is not found.")
    ] = None,
    completion_column: Annotated[
        str | None, typer.Option(help="The column with the completions, if it is not found.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Write a validation file too: 0.2 is a fifth of the rows, 20 is 20 rows."
        ),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(help="Split by this column: each of its values is on one side only."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another number splits in another way.")] = 7,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The new file; else <name>_prepared.jsonl beside it."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite; else a taken name gets a number.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept all suggestions.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the suggestions and write nothing.")
    ] = False,
    encoding: Annotated[
        str | None, typer.Option(help="How the file is encoded, if not as UTF-8.")
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of an Excel workbook.")] = None,
    json: Json = False,
) -> None:
    """Turn a table of examples into the file that a fine-tuning job takes, step by step.

    Looks at the file, tells what is wrong with it, and asks about each change. Your file stays
    as it is. At the end the new one is checked.

    Example: heroes prepare data/superheroes.csv --split 0.2 --group-by power
    """
    from helpers.prepare import Declined, InputError, Plan

    plan = Plan(format.value, system, prompt_column, completion_column, group_by)
    _refuse_odd_options(plan, split)
    try:
        source = _read(file, encoding, sheet)
        helper = _Helper(yes=yes, dry_run=dry_run, quiet=json)
        result = helper.prepare(source, plan, file, _output(file, output, split, seed, force))
    except InputError as error:
        raise CommandError(printable(str(error))) from None
    except Declined as refused:
        message = f"Nothing was written: this is necessary: {refused}."
        raise CommandError(printable(message)) from None
    _show(result, dry_run, json)


def _refuse_odd_options(plan: Plan, split: str | None) -> None:
    if plan.system is not None and plan.format == "completions":
        raise CommandError("--system belongs to chats: leave it out, or use --format chat.", USAGE)
    if plan.system is not None and not plan.system.strip():
        raise CommandError("The --system message is empty: write one, or leave it out.", USAGE)
    if plan.group_by is not None and split is None:
        raise CommandError("--group-by is for splitting: add --split 0.2.", USAGE)


def _read(file: Path, encoding: str | None, sheet: str | None) -> Source:
    from helpers.prepare import read_source

    try:
        return read_source(file, encoding=encoding, sheet=sheet)
    except LookupError:
        message = f"There is no encoding {encoding!r}: try utf-8, utf-16, cp1252 or latin-1."
        raise CommandError(message, USAGE) from None


def _output(file: Path, output: Path | None, split: str | None, seed: int, force: bool) -> Output:
    from helpers.prepare import Output, parse_share

    try:
        share = None if split is None else parse_share(split)
    except ValueError as error:
        raise CommandError(f"--split: {error}", USAGE) from None
    if output is not None and output.suffix != ".jsonl":
        raise CommandError(f"--output: {output.name} does not end with .jsonl.", USAGE)
    wanted = output or file.with_name(f"{file.stem}_prepared.jsonl")
    return Output(wanted, share, seed, force, always=output is not None)


class _Helper:
    """Shows the analysis and the suggestions, and asks about each."""

    def __init__(self, *, yes: bool, dry_run: bool, quiet: bool) -> None:
        self.yes = yes
        self.dry_run = dry_run
        self.quiet = quiet
        self.nobody = not (yes or dry_run) and (quiet or not sys.stdin.isatty())
        self.number = 0

    def prepare(self, source: Source, plan: Plan, file: Path, output: Output) -> Result:
        """All steps. Raises CommandError, with nothing written, if nobody can be asked."""
        from helpers.prepare import Result, Steps, analyse, note_marks, shape_of, write

        result = Result(analyse(source, shape_of(source.table, plan), plan), plan)
        self._say(*result.analysis.lines())
        steps = Steps(plan, self.decide)
        result.decisions = steps.decisions
        table = steps.run(source)
        if not self.number:
            self._say("", "No suggestions: the examples are fine as they are.")
        elif self.nobody:
            raise CommandError(NOBODY, USAGE)
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


def _show(result: Result, dry_run: bool, json: bool) -> None:
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
    if result.separator:
        console.print(f"Later, end every question with {result.separator!r}.")
    if result.stop:
        console.print(f"Later, ask with stop=[{result.stop!r}].")
