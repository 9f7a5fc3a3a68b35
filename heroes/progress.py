"""`heroes progress`, `board` and `reset`: how far a learner, or a class, has come."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from heroes.options import Json, Yes
from heroes.output import confirm, console, show_json
from heroes.tables import show_table


def progress(
    name: Annotated[
        str | None, typer.Option(help="Whose progress it is; by default your user name.")
    ] = None,
    json: Json = False,
) -> None:
    """Show which steps of the course are done, from the files in data/my.

    Example: heroes progress --json --name Ada > ada.json
    """
    from course.board import report
    from course.progress import show_progress

    if json:
        show_json(report(name or getpass.getuser()))
    else:
        show_progress()


def board(
    reports: Annotated[
        list[Path], typer.Argument(help="Files that `heroes progress --json` has written.")
    ],
    json: Json = False,
) -> None:
    """Merge the progress of a class into one table.

    Example: heroes board ada.json bob.json
    """
    from course.board import board as merge

    table = merge(reports).reset_index()
    if json:
        show_json(table.to_dict("records"))
    else:
        show_table(list(table.columns), table.values.tolist())


def reset(
    step: Annotated[str, typer.Argument(help="The number of the step, such as 03.")],
    notebook: Annotated[
        bool, typer.Option("--notebook", help="Restore the notebook itself, too.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Start a step again. What you made is moved aside, not deleted.

    Example: heroes reset 03 --notebook
    """
    from course.reset import reset as put_back

    confirm(f"Put step {step} back to its beginning?", yes)
    for path in put_back(step, notebook):
        console.print(f"Moved to {path}")
    console.print(f"Step {step.zfill(2)} is at its beginning again.")
