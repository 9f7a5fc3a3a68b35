"""What all commands share: the console, tables and JSON, the client, errors in one line.

A command is three steps: take the arguments, make one library call, show what came back. It is
decorated with `plainly`, which turns the errors that we expect into one line and an exit code.
Heavy packages are imported inside the commands, so that `heroes --help` and the shell's
completion answer at once.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from openai import OpenAI

P = ParamSpec("P")
R = TypeVar("R")

# The exit codes; a usage error is 2, which typer gives.
FAILED, NOT_THERE, INTERRUPTED = 1, 3, 130
EXIT_CODES = (
    "Exit codes: 0 done; 1 failed or refused; 2 wrong use; 3 not running, or not finished; "
    "130 interrupted."
)

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, do it.")]
Limit = Annotated[int, typer.Option(min=1, help="How many to show.")]
All = Annotated[bool, typer.Option("--all", help="Show every one.")]

# Columns whose texts people copy.
WHOLE = ("id", "model", "tuned model")

# A pipe has no width: nothing is wrapped or cut off there.
console = Console(
    soft_wrap=True,
    highlight=False,
    markup=False,
    width=None if sys.stdout is not None and sys.stdout.isatty() else 100_000,
)


class CommandError(Exception):
    """A command cannot go on; the message says why and what to do. Becomes one line."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def group(help: str) -> typer.Typer:
    """A group of commands, such as `heroes jobs`."""
    return typer.Typer(help=help, no_args_is_help=True, pretty_exceptions_enable=False)


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors we expect into one line on stderr and an exit code: no traceback.

    Errors that nobody expected are bugs, and stay what they are.
    """

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            fail("Interrupted.", INTERRUPTED)
        except CommandError as error:
            fail(str(error), error.exit_code)
        except Exception as error:
            # Imported late: it needs the openai package, which takes half a second.
            from heroes.explain import explain

            if (message := explain(error)) is None:
                raise
            fail(message)

    return run


def fail(message: str, exit_code: int = FAILED) -> NoReturn:
    """Say it in one line on stderr and end with this exit code."""
    note(f"heroes: {message}")
    raise typer.Exit(exit_code)


def note(message: str) -> None:
    """A word to the person at the keyboard: on stderr, so that it never spoils piped output."""
    typer.echo(printable(message), err=True)


def client() -> OpenAI:
    """A client for the configured endpoint, by default the sandbox; silent on stdout."""
    from helpers.connect import connect

    with contextlib.redirect_stdout(sys.stderr):
        return connect(announce=False)


def first(pages: Iterable[R], limit: int, every: bool) -> list[R]:
    """The first `limit` things of a list that the server hands out in pages, or every one."""
    if every:
        return list(pages)
    found = list(itertools.islice(pages, limit + 1))
    if len(found) > limit:
        note("There are more: --all shows every one.")
    return found[:limit]


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone. Raises CommandError where nobody can answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{question} There is nobody to ask: add --yes if you mean it.")
    typer.confirm(question, abort=True, err=True)


def show_json(value: Any) -> None:
    """Print one value as JSON; objects of the openai package become dictionaries."""
    _print_json(value, indent=2)


def show_json_line(value: Any) -> None:
    """Print one value as one line of JSON, for output that goes on growing."""
    _print_json(value, indent=None)


def _print_json(value: Any, indent: int | None) -> None:
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=indent, ensure_ascii=not utf8, default=_plain_data)
    print(text, flush=True)


def _plain_data(value: Any) -> Any:
    """What json.dumps does not know: the openai package's objects."""
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
    cells = [["" if value is None else printable(str(value)) for value in row] for row in rows]
    if not cells:
        note(empty)
        return
    table = _drawn(columns, cells, colours or {})
    natural = console.measure(table, options=console.options.update_width(100_000)).maximum
    if console.is_terminal and (natural <= console.width or not set(WHOLE) & set(columns)):
        console.print(table, soft_wrap=False)
    else:  # in a pipe, and where a narrow window would break an id into pieces
        for line in _aligned([list(columns), *cells]):
            print(line)


def _drawn(columns: Sequence[str], rows: list[list[str]], colours: Mapping[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=colours.get(cell, "")) for cell in row))
    return table


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    """The rows as lines, their columns one under the other, two blanks apart."""
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell + " " * (w - cell_len(cell)) for cell, w in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def show_fields(fields: dict[str, object]) -> None:
    """Print one thing, a line for each of its fields; fields without a value are left out."""
    width = max(map(len, fields))
    for name, value in fields.items():
        if value not in (None, "", [], {}):
            console.print(Text(f"{name:<{width}}  {printable(str(value))}"))


def printable(text: str) -> str:
    """Text from elsewhere without control characters, which could play tricks on a terminal."""
    return "".join(c for c in text if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f"))


def when(seconds: float | None) -> str:
    """A moment as people write it; empty if there is none."""
    if not seconds:
        return ""
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
