"""`heroes fault`: let the sandbox fail on purpose, for practice."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from heroes.output import (
    CommandError,
    Json,
    client,
    console,
    note,
    plainly,
    show_json,
    show_table,
)

OFF = "off"


@plainly
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

    Only calls with your own key are concerned. The same for one call from Python:
    extra_headers={"X-Sandbox-Fault": "rate_limit"}

    Example: heroes fault rate_limit --times 2 retry_after=1
    """
    from course.practice import NoSandboxError, clear_faults, known_faults, list_faults, set_fault

    try:
        if name == OFF:
            _off(clear_faults(client()), json)
        elif name:
            _show(set_fault(client(), name, times, **_pairs(details or [])), json)
        else:
            _overview(list_faults(client()), known_faults(client()), json)
    except NoSandboxError as error:
        raise CommandError(str(error)) from error


def _pairs(words: list[str]) -> dict[str, Any]:
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise CommandError(f"{word!r} is no detail. Write it as key=value, without blanks.")
        pairs[key] = value
    return pairs


def _off(cleared: int, json: bool) -> None:
    if json:
        show_json({"cleared": cleared})
    else:
        console.print("All faults are off." if cleared else "No fault was set.")


def _show(faults: list[dict[str, Any]], json: bool) -> None:
    if json:
        show_json(faults)
        return
    rows = [(each["name"], each["times_left"], _words(each["details"])) for each in faults]
    show_table(["fault", "calls left", "details"], rows, empty="No fault is set.")


def _overview(faults: list[dict[str, Any]], known: list[dict[str, Any]], json: bool) -> None:
    if json:
        show_json({"set": faults, "known": known})
        return
    _show(faults, json)
    note("The faults there are:")
    rows = [(each["name"], _words(each["details"]), each["what"]) for each in known]
    show_table(["name", "details", "what happens"], rows)


def _words(details: dict[str, Any]) -> str:
    return " ".join(f"{key}={'…' if value is None else value}" for key, value in details.items())
