"""When something is in the way: `heroes doctor` and `heroes explain`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.text import Text

from heroes.options import Json
from heroes.output import FAILED, NOT_THERE, CommandError, console, note, show
from heroes.tables import show_list


def doctor(json: Json = False) -> None:
    """Check whether this machine can run the course. Exit code 1 if something is in the way.

    Example: heroes doctor
    """
    from course.doctor import examine

    with console.status(Text("Looking at this machine ...")):
        results = list(examine())
    columns = ["", "checked", "found", "what to do"]
    show_list(results, json, columns, lambda r: (r.level, r.what, r.found, r.remedy))
    if any(result.level == "fail" for result in results):
        note("Something is in the way: see the lines marked fail.")
        raise typer.Exit(FAILED)
    note("This machine can run the course.")


def explain(
    message: Annotated[
        str, typer.Argument(help="The error's words, in quotes; - reads them from a pipe.")
    ],
    json: Json = False,
) -> None:
    """Say what an error means and what to do. Exit code 3 if it is not in the list.

    Example: heroes explain "Rate limit reached"
    """
    from course.errors import explain as look_up

    text = sys.stdin.read() if message == "-" else message
    if not text.strip():
        raise CommandError('Which error? heroes explain "its message"')
    found = look_up(text)
    show(found.entries, json, str(found))
    if not found:
        raise typer.Exit(NOT_THERE)
