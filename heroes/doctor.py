"""`heroes doctor`: can this machine run the course?"""

from __future__ import annotations

import dataclasses

import typer
from rich.text import Text

from heroes.output import FAILED, Json, console, show_json, show_table

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(json: Json = False) -> None:
    """Check whether this machine can run the course. Exit code 1 if something is in the way.

    Example: heroes doctor
    """
    from course.doctor import examine

    with console.status(Text("Looking at this machine ...")):
        results = list(examine())
    broken = any(result.level == "fail" for result in results)
    if json:
        show_json([dataclasses.asdict(result) for result in results])
    else:
        rows = [(each.level, each.what, each.found, each.remedy) for each in results]
        show_table(["", "checked", "found", "what to do"], rows, colours=COLOURS)
        bad = "Something is in the way: see the lines marked fail."
        console.print(bad if broken else "This machine can run the course.")
    if broken:
        raise typer.Exit(FAILED)
