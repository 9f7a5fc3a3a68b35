"""What all commands share: JSON or words, questions, and errors in one line.

A command takes its arguments, makes one library call, and shows what came back. Packages that are
slow to import are imported inside the commands, so that `heroes --help` answers at once.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from typer.exceptions import TyperException

P = ParamSpec("P")
R = TypeVar("R")

# The exit codes; typer gives 2 for wrong use, too.
FAILED, USAGE, NOT_THERE, INTERRUPTED = 1, 2, 3, 130
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


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone. Raises CommandError without a yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{question} There is no terminal to ask on: add --yes to agree.")
    if not typer.confirm(question, err=True):
        raise CommandError("Nothing was done.")


def show(value: Any, json: bool, words: str) -> None:
    """Print a value as JSON, or else what these words say about it."""
    if json:
        show_json(value)
    else:
        console.print(printable(words))


def show_json(value: Any, indent: int | None = 2) -> None:
    """Print one value as JSON (on one line with `indent=None`); the SDK's objects too."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=indent, ensure_ascii=not utf8, default=_plain_data)
    print(text, flush=True)


def _plain_data(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", warnings=False)
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else str(value)


def printable(text: str) -> str:
    """Text from elsewhere without control characters, which could play tricks on a terminal."""
    return "".join(c for c in text if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f"))
