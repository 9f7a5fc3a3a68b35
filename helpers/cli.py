"""The console command `heroes`: the sandbox, its keys, and the machine check."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from helpers import doctor as machine_check
from helpers.embedded import (
    SandboxError,
    run_keys,
    sandbox_status,
    start_sandbox,
    stop_sandbox,
)
from helpers.settings import SettingsError

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    help="The course's tools: its sandbox, its keys, and a check of this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
sandbox = typer.Typer(help="The sandbox on this machine.", no_args_is_help=True)
keys = typer.Typer(help="Keys of the sandbox on this machine.", no_args_is_help=True)
app.add_typer(sandbox, name="sandbox")
app.add_typer(keys, name="keys")
console = Console(soft_wrap=True)


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors we expect into one line and exit code 1: no traceback for a learner."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (SandboxError, SettingsError, OSError) as error:
            typer.echo(f"heroes: {error}", err=True)
            raise typer.Exit(1) from None

    return run


@sandbox.command("start")
@plainly
def sandbox_start() -> None:
    """Start the sandbox in the background, or find the one that runs."""
    running = sandbox_status().running
    status = start_sandbox()
    console.print(f"The sandbox {'was running already' if running else 'runs'}: {status.url}")


@sandbox.command("stop")
@plainly
def sandbox_stop() -> None:
    """Stop the sandbox. Files, jobs and models stay for the next start."""
    console.print("The sandbox has stopped." if stop_sandbox() else "No sandbox was running.")


@sandbox.command("status")
@plainly
def sandbox_show() -> None:
    """Say whether the sandbox runs, and where. Exit code 3 if it does not."""
    status = sandbox_status()
    if not status.running:
        console.print("The sandbox is not running. Start it with: heroes sandbox start")
        raise typer.Exit(3)
    console.print(f"The sandbox runs at {status.url} since {_when(status.started_at)}.")


@keys.command("create")
@plainly
def keys_create(
    project: Annotated[
        str, typer.Option(help="Who it is for: a-z, 0-9 and dashes. Projects see nothing mutual.")
    ] = "learner",
    name: Annotated[str, typer.Option(help="A name to tell your keys apart.")] = "my key",
) -> None:
    """Make a key. It is shown this once, so copy it into .env at once."""
    made = run_keys("create", "--project", project, "--name", name)
    # Not through rich: a key must come out as one piece, and be easy to pipe.
    typer.echo(made["key"])
    typer.echo("Put it into .env as OPENAI_API_KEY=… It cannot be shown again.", err=True)


@keys.command("list")
@plainly
def keys_list() -> None:
    """List the keys: whose, and their last four characters."""
    table = Table("id", "project", "name", "ends in", "created", "revoked")
    for row in run_keys("list"):
        table.add_row(
            row["id"],
            row["project"],
            row["name"],
            row["last4"],
            _when(row["created_at"]),
            _when(row["revoked_at"]),
        )
    console.print(table)


@keys.command("revoke")
@plainly
def keys_revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `heroes keys list` shows it.")],
) -> None:
    """Make a key useless from now on."""
    run_keys("revoke", key_id)
    console.print(f"Revoked: {key_id}")


@app.command()
@plainly
def doctor() -> None:
    """Check whether this machine can run the course. Exit code 1 if something is in the way."""
    marks = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}
    table = Table("", "checked", "found", "what to do")
    worst = []
    with console.status("Looking at this machine ..."):
        for result in machine_check.examine():
            table.add_row(marks[result.level], result.what, _plain(result.found), result.remedy)
            worst.append(result.level)
    console.print(table)
    if "fail" in worst:
        console.print("Something is in the way: see the lines marked fail.")
        raise typer.Exit(1)
    console.print("This machine can run the course.")


def _plain(text: str) -> str:
    """Text from elsewhere, so that its square brackets are not taken for colours."""
    return text.replace("[", r"\[")


def _when(seconds: Any) -> str:
    if not seconds:
        return ""
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


if __name__ == "__main__":
    app(prog_name="heroes")
