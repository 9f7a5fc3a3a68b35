"""`heroes fault`: let the sandbox fail on purpose, for practice."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from heroes.endpoint import client
from heroes.options import Json
from heroes.output import CommandError, note, show, show_json
from heroes.tables import show_list, show_table

OFF = "off"


def fault(
    name: Annotated[
        str, typer.Argument(help="A fault's name, or `off` to end them all. Without: what is set.")
    ] = "",
    details: Annotated[
        list[str] | None, typer.Argument(help="More about it, as key=value: retry_after=2")
    ] = None,
    times: Annotated[int, typer.Option(min=1, max=1000, help="For how many calls.")] = 1,
    json: Json = False,
) -> None:
    """Let the sandbox's next calls fail as a hosted API's do; show or end what is set.

    Only calls with your own key meet it. The same for one call from Python:
    extra_headers={"X-Sandbox-Fault": "rate_limit"}

    Example: heroes fault rate_limit --times 2 retry_after=1
    """
    from course.practice import clear_faults, known_faults, list_faults, set_fault

    with client() as api:
        if name == OFF:
            cleared = clear_faults(api)
            words = "All faults are off." if cleared else "No fault was set."
            show({"cleared": cleared}, json, words)
        elif name:
            _show(set_fault(api, name, times, **_pairs(details or [])), json)
        elif json:
            show_json({"set": list_faults(api), "known": known_faults(api)})
        else:
            _show(list_faults(api), json)
            note("The faults there are:")
            rows = [(f["name"], _words(f["details"]), f["what"]) for f in known_faults(api)]
            show_table(["name", "details", "what happens"], rows)


def _pairs(words: list[str]) -> dict[str, Any]:
    if wrong := next((word for word in words if word.find("=") < 1), None):
        raise CommandError(f"{wrong!r} is not a detail: write key=value, without blanks.")
    return dict(word.split("=", 1) for word in words)


def _show(faults: list[dict[str, Any]], json: bool) -> None:
    def row(fault: dict[str, Any]) -> tuple[object, ...]:
        return fault["name"], fault["times_left"], _words(fault["details"])

    show_list(faults, json, ["fault", "calls left", "details"], row, "No fault is set.")


def _words(details: dict[str, Any]) -> str:
    return " ".join(f"{key}={'...' if value is None else value}" for key, value in details.items())
