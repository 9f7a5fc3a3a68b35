"""What all commands share: options, the client, tables and JSON, and errors in one line.

A command takes its arguments, makes one library call, and shows what came back. Packages that are
slow to import are imported inside the commands, so that `heroes --help` answers at once.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from openai import OpenAI

P = ParamSpec("P")
R = TypeVar("R")

# The exit codes; typer gives 2 for wrong use, too.
FAILED, USAGE, NOT_THERE, INTERRUPTED = 1, 2, 3, 130
EXIT_CODES = (
    "Exit codes: 0 done; 1 failed or refused; 2 wrong use; 3 not running, or not finished; "
    "130 interrupted."
)
LIST_LIMIT = 20  # rows of a list; --all shows every one

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, do it.")]
Limit = Annotated[int, typer.Option(min=1, help="How many to show.")]
All = Annotated[bool, typer.Option("--all", help="Show every one.")]

# Columns whose texts people copy: never folded into two lines.
WHOLE = {"id", "model", "tuned model"}

# Names and texts come from elsewhere: `:SuperHero:` is no emoji here, and `[bold]` no markup.
PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
console = Console(soft_wrap=True, **PLAIN)


class CommandError(Exception):
    """A command cannot go on; the message says why and what to do. Becomes one line."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Commands(typer.Typer):
    """A group of commands, such as `heroes jobs`; each ends its errors in one line."""

    def __init__(self, help: str, **options: Any) -> None:
        super().__init__(help=help, no_args_is_help=True, pretty_exceptions_enable=False, **options)

    def command(self, *args: Any, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Register a function as a command."""
        register = super().command(*args, **options)
        return lambda function: register(plainly(function))


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn every error into one line on stderr and an exit code; no traceback.

    With HEROES_DEBUG in the environment the traceback is shown.
    """

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            result = command(*args, **kwargs)
            sys.stdout.flush()  # a reader that is gone (`| head`) is noticed here, not at exit
            return result
        except (typer.Exit, typer.BadParameter, BrokenPipeError):
            raise
        except (KeyboardInterrupt, typer.Abort):  # Abort is Ctrl-C at a question
            fail("Interrupted.", INTERRUPTED)
        except CommandError as error:
            fail(str(error), error.exit_code)
        except Exception as error:
            if os.environ.get("HEROES_DEBUG"):
                raise
            from heroes.errors import one_line  # needs the openai package: half a second

            fail(one_line(error))

    return run


def fail(message: str, exit_code: int = FAILED) -> NoReturn:
    """Say it in one line on stderr and end with this exit code."""
    note(f"heroes: {message}")
    raise typer.Exit(exit_code)


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
        raise CommandError(f"{question} Nobody can answer here: add --yes if you mean it.")
    if not typer.confirm(question, err=True):
        raise CommandError("Nothing was done.")


def show_json(value: Any, indent: int | None = 2) -> None:
    """Print one value as JSON (on one line with `indent=None`); the SDK's objects too."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=indent, ensure_ascii=not utf8, default=_plain_data)
    print(text, flush=True)


def _plain_data(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", warnings=False)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    empty: str = "Nothing to show.",
    colours: Mapping[str, str] | None = None,
) -> None:
    """Print a table: drawn on a terminal, in plain columns in a pipe; nothing is cut off.

    `colours` maps the text of a cell to its colour.
    """
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
        table.add_row(*(Text(cell, style=(colours or {}).get(cell, "")) for cell in row))
    natural = console.measure(table, options=console.options.update(width=100_000)).maximum
    wide = not drawn or WHOLE & set(columns)
    screen = Console(width=natural if wide else None, **PLAIN)
    with screen.capture() as captured:
        screen.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())


def show_fields(fields: dict[str, object]) -> None:
    """Print one thing, a line for each of its fields; fields without a value are left out."""
    width = max(map(len, fields))
    for name, value in fields.items():
        if value not in (None, "", [], {}):
            console.print(f"{name:<{width}}  {printable(str(value))}")


def printable(text: str) -> str:
    """Text from elsewhere without control characters, which could play tricks on a terminal."""
    return "".join(c for c in text if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f"))


def when(seconds: float | None) -> str:
    """A moment as people write it; empty if there is none."""
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M") if seconds else ""
