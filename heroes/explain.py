"""`heroes explain`: what an error means, and what to do about it."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated

import typer

from heroes.output import NOT_THERE, CommandError, Json, console, show_json


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
    if json:
        show_json([dataclasses.asdict(entry) for entry in found.entries])
    else:
        console.print(str(found))
    if not found:
        raise typer.Exit(NOT_THERE)
