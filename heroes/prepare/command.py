"""`heroes prepare`: from a table to checked training files, one suggestion after the other."""

from __future__ import annotations

import io
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heroes.output import CommandError, Json, plainly, printable
from heroes.prepare.dialogue import USAGE, Dialogue, show_result

if TYPE_CHECKING:
    from heroes.prepare import Output, Plan, Source


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
    from heroes.prepare import Declined, InputError, Plan

    plan = Plan(format.value, system, prompt_column, completion_column, group_by)
    _refuse_odd_options(plan, split)
    try:
        source = _read(file, encoding, sheet)
        helper = Dialogue(yes=yes, dry_run=dry_run, quiet=json)
        result = helper.prepare(source, plan, file, _output(file, output, split, seed, force))
    except InputError as error:
        raise CommandError(printable(str(error))) from None
    except Declined as refused:
        message = f"Nothing was written: this is necessary: {refused}."
        raise CommandError(printable(message)) from None
    show_result(result, dry_run, json)


def _refuse_odd_options(plan: Plan, split: str | None) -> None:
    if plan.system is not None and plan.format == "completions":
        raise CommandError("--system belongs to chats: leave it out, or use --format chat.", USAGE)
    if plan.system is not None and not plan.system.strip():
        raise CommandError("The --system message is empty: write one, or leave it out.", USAGE)
    if plan.group_by is not None and split is None:
        raise CommandError("--group-by is for splitting: add --split 0.2.", USAGE)


def _read(file: Path, encoding: str | None, sheet: str | None) -> Source:
    from heroes.prepare import read_source

    try:
        io.TextIOWrapper(io.BytesIO(), encoding=encoding or "utf-8")
    except LookupError:
        message = f"There is no encoding {encoding!r}: try utf-8, utf-16, cp1252 or latin-1."
        raise CommandError(message, USAGE) from None
    return read_source(file, encoding=encoding, sheet=sheet)


def _output(file: Path, output: Path | None, split: str | None, seed: int, force: bool) -> Output:
    from heroes.prepare import Output, parse_share

    try:
        share = None if split is None else parse_share(split)
    except ValueError as error:
        raise CommandError(f"--split: {error}", USAGE) from None
    if output is not None and output.suffix != ".jsonl":
        raise CommandError(f"--output: {output.name} does not end with .jsonl.", USAGE)
    wanted = output or file.with_name(f"{file.stem}_prepared.jsonl")
    return Output(wanted, share, seed, force, always=output is not None)
