"""What all commands share: the client, tables and JSON, questions, and errors in one line.

A command takes its arguments, makes one library call, and shows what came back. Packages that are
slow to import are imported inside the commands, so that `heroes --help` answers at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.exceptions import TyperException

if TYPE_CHECKING:
    from openai import OpenAI

P = ParamSpec("P")
R = TypeVar("R")

# The exit codes; wrong use is 2, which typer gives.
FAILED, NOT_THERE, INTERRUPTED = 1, 3, 130
# Columns whose texts people copy: never folded into two lines.
WHOLE = {"id", "model", "tuned model"}
COLOURS = {"ok": "green", "done": "green", "warn": "yellow", "begun": "yellow", "fail": "red"}
# Names and texts come from elsewhere: `:SuperHero:` is no emoji here, and `[bold]` no markup.
PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
console = Console(soft_wrap=True, **PLAIN)


class CommandError(Exception):
    """A command cannot go on; the message says why and what to do. Becomes one line."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn every error into one line on stderr and an exit code.

    With HEROES_DEBUG in the environment the traceback of an unforeseen one is shown.
    """

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            result = command(*args, **kwargs)
            sys.stdout.flush()  # a reader that is gone (`| head`) is noticed here, not at exit
            return result
        except (typer.Exit, TyperException, BrokenPipeError):
            raise  # Typer's own affairs
        except (KeyboardInterrupt, typer.Abort):  # Abort is Ctrl-C at a question
            message, code = "Interrupted.", INTERRUPTED
        except CommandError as error:
            message, code = str(error), error.exit_code
        except Exception as error:
            if os.environ.get("HEROES_DEBUG"):
                raise
            from heroes.errors import one_line  # needs the openai package: half a second

            message, code = one_line(error), FAILED
        note(f"heroes: {message}")
        raise typer.Exit(code)

    return run


def note(message: str) -> None:
    """A remark for the person at the keyboard: on stderr, so that piped output stays clean."""
    typer.echo(printable(message), err=True)


def client() -> OpenAI:
    """A client for the configured endpoint, by default the sandbox; silent on stdout."""
    from helpers.connect import connect

    with contextlib.redirect_stdout(sys.stderr):
        return connect(announce=False)


def first(pages: Iterable[R], limit: int, every: bool) -> list[R]:
    """The first `limit` things of a list that the server hands out in pages, or every one."""
    found = list(pages if every else itertools.islice(pages, limit + 1))
    if every or len(found) <= limit:
        return found
    note("There are more: --all shows every one.")
    return found[:limit]


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone. Raises CommandError without a yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{question} There is no terminal to ask on: add --yes to agree.")
    if not typer.confirm(question, err=True):
        raise CommandError("Nothing was done.")


def delete_all(resource: str, ids: list[str], yes: bool, json: bool) -> None:
    """Delete files or models from the server, after asking."""
    confirm(f"Delete {' and '.join(ids)}? This cannot be undone.", yes)
    with client() as api:
        deleted = [getattr(api, resource).delete(each) for each in ids]
    show(deleted, json, "\n".join(f"Deleted: {each.id}" for each in deleted))


def show(value: Any, json: bool, words: str) -> None:
    """Print a value as JSON, or else what these words say about it."""
    if json:
        show_json(value)
    else:
        console.print(printable(words))


def show_list(
    found: Sequence[Any],
    json: bool,
    columns: Sequence[str],
    row: Callable[[Any], Sequence[object]],
    empty: str = "Nothing to show.",
) -> None:
    """Print things as JSON, or else as a table with a row for each."""
    if json:
        show_json(found)
    else:
        show_table(columns, map(row, found), empty)


def show_json(value: Any, indent: int | None = 2) -> None:
    """Print one value as JSON (on one line with `indent=None`); the SDK's objects too."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=indent, ensure_ascii=not utf8, default=_plain_data)
    print(text, flush=True)


def _plain_data(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", warnings=False)
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else str(value)


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str = "Nothing to show."
) -> None:
    """Print a table: drawn on a terminal, in plain columns in a pipe; nothing is cut off."""
    cells = [
        ["" if v is None else " ".join(printable(str(v)).split()) for v in row] for row in rows
    ]
    if not cells:
        note(empty)
        return
    drawn = console.is_terminal
    table = Table(box=box.SIMPLE_HEAD if drawn else None, pad_edge=False, padding=(0, 1))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=not drawn or column in WHOLE)
    for row in cells:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    # As wide as it needs to be in a pipe, which has no width, or with ids, which are copied.
    natural = console.measure(table, options=console.options.update(width=100_000)).maximum
    wide = not drawn or WHOLE & set(columns)
    Console(width=natural if wide else None, **PLAIN).print(table)


def show_fields(thing: Any, json: bool) -> None:
    """Print one thing of the server, a line for each of its fields that has a value, or as JSON."""
    if json:
        show_json(thing)
        return
    fields = {name: _in_words(name, value) for name, value in thing.to_dict().items()}
    width = max(map(len, fields))
    for name, words in fields.items():
        if words:
            console.print(f"{name.replace('_', ' '):<{width}}  {printable(words)}")


def _in_words(name: str, value: Any) -> str:
    if name.endswith(("_at", "_finish")):
        return when(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={inner}" for key, inner in value.items() if inner is not None)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def printable(text: str) -> str:
    """Text from elsewhere without control characters, which could play tricks on a terminal."""
    return "".join(c for c in text if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f"))


def when(seconds: float | None) -> str:
    """A moment as people write it; empty if there is none."""
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M") if seconds else ""
