"""`heroes prepare`: from a table to checked training files, one suggestion after the other."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heroes.options import Json
from heroes.output import USAGE, CommandError, plainly

if TYPE_CHECKING:
    from heroes.prepare.suggestion import Plan


class Format(StrEnum):
    """What to write."""

    chat = "chat"
    completions = "completions"


@plainly
def prepare(
    file: Annotated[
        Path,
        typer.Argument(help="Your examples: CSV, TSV, Excel, JSON, JSON Lines, text; also .gz."),
    ],
    format: Annotated[
        Format, typer.Option(help="What to write: chats, or prompt/completion pairs.")
    ] = Format.chat,
    system: Annotated[
        str | None, typer.Option(help="A system message that begins every chat.")
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help='The prompt, made of columns: "{instruction}\\n\\n{input}".'),
    ] = None,
    prompt_column: Annotated[
        str | None, typer.Option(help="The column with the prompts, if it is not found.")
    ] = None,
    completion_column: Annotated[
        str | None, typer.Option(help="The column with the completions, if it is not found.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="A column of texts to leave out; may be repeated.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Write a validation file too: 0.2 is a fifth, 20 is 20 rows."),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(help="Split by this column: each of its values is on one side only."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another number gives another split.")] = 7,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The new file; else <name>_prepared.jsonl beside it."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite; else a taken name gets a number.")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Accept all suggestions that lose no column of texts."),
    ] = False,
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
    as it is. "Ready" at the end means that the configured endpoint accepts the new one.

    Example: heroes prepare data/superheroes.csv --split 0.2 --group-by power
    """
    from heroes.prepare.run import Run
    from heroes.prepare.suggestion import Plan

    if prompt is None and prompt_column is not None:
        prompt = f"{{{prompt_column}}}"
    if prompt is not None:
        prompt = prompt.replace("\\n", "\n")  # as it is typed in a shell
    plan = Plan(format.value, system, prompt, completion_column, group_by, tuple(drop or ()))
    _refuse_odd_options(plan, split, output, encoding)
    share = _share(split)
    Run(file, plan, output, share, seed, force, yes, dry_run, json).start(encoding, sheet)


def _refuse_odd_options(
    plan: Plan, split: str | None, output: Path | None, encoding: str | None
) -> None:
    if plan.system is not None and plan.format == "completions":
        raise CommandError("--system belongs to chats: leave it out, or use --format chat.", USAGE)
    if plan.system is not None and not plan.system.strip():
        raise CommandError("The --system message is empty: write one, or leave it out.", USAGE)
    if plan.group_by is not None and split is None:
        raise CommandError("--group-by is for splitting: add --split 0.2.", USAGE)
    if output is not None and output.suffix != ".jsonl":
        raise CommandError(f"--output: {output.name} does not end with .jsonl.", USAGE)
    try:
        "".encode(encoding or "utf-8")
    except LookupError:
        message = f"There is no encoding {encoding!r}: try utf-8, utf-16, cp1252 or latin-1."
        raise CommandError(message, USAGE) from None


def _share(text: str | None) -> float | int | None:
    """ "0.2" is a share of the rows for validation, "20" a number of them."""
    try:
        share = None if text is None else int(text) if text.strip().isdigit() else float(text)
    except ValueError:
        share = 0
    if share is None or (isinstance(share, int) and share >= 1) or 0 < share < 1:
        return share
    message = f"--split: {text!r} is neither a share such as 0.2 nor a number of rows such as 20."
    raise CommandError(message, USAGE)
