"""`heroes sandbox`: start, stop, status. `heroes keys`: create, list, revoke."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from heroes.options import Json
from heroes.output import NOT_THERE, console, note, show
from heroes.tables import show_list, when

app = typer.Typer(name="sandbox", help="The sandbox on this machine.", no_args_is_help=True)
keys = typer.Typer(name="keys", help="Keys of the sandbox on this machine.", no_args_is_help=True)


@app.command()
def start(json: Json = False) -> None:
    """Start the sandbox in the background, or find the one that runs.

    Example: heroes sandbox start
    """
    from helpers.sandbox import sandbox_status, start_sandbox

    running = sandbox_status().running
    found = start_sandbox()
    show(found, json, f"The sandbox {'was running already' if running else 'runs'}: {found.url}")


@app.command()
def stop() -> None:
    """Stop the sandbox. Files, jobs and models stay for the next start.

    Example: heroes sandbox stop
    """
    from helpers.sandbox import stop_sandbox

    console.print("The sandbox has stopped." if stop_sandbox() else "No sandbox was running.")


@app.command()
def status(json: Json = False) -> None:
    """Say whether the sandbox runs, and where. Exit code 3 if it does not.

    Example: heroes sandbox status
    """
    from helpers.sandbox import sandbox_status

    found = sandbox_status()
    if found.running:
        words = f"The sandbox runs at {found.url} since {when(found.started_at)}."
    else:
        words = "The sandbox is not running. Start it with: heroes sandbox start"
    show(found, json, words)
    if not found.running:
        raise typer.Exit(NOT_THERE)


@keys.command("create")
def create(
    project: Annotated[
        str, typer.Option(help="Who it is for: a-z, 0-9 and dashes. Projects are separate.")
    ] = "learner",
    name: Annotated[str, typer.Option(help="A name to tell your keys apart.")] = "my key",
) -> None:
    """Make a key. It is shown only once, so copy it into .env.

    Example: heroes keys create --project anna --name laptop
    """
    from helpers.sandbox import run_keys

    typer.echo(run_keys("create", "--project", project, "--name", name)["key"])
    note("Put it into .env as OPENAI_API_KEY=… It cannot be shown again.")


@keys.command("list")
def list_(json: Json = False) -> None:
    """List the keys: whose, and their last four characters.

    Example: heroes keys list
    """
    from helpers.sandbox import run_keys

    def row(key: dict[str, Any]) -> tuple[str, ...]:
        known = [key[field] for field in ("id", "project", "name", "last4")]
        return *known, when(key["created_at"]), when(key["revoked_at"])

    columns = ["id", "project", "name", "ends in", "created", "revoked"]
    empty = "There is no key yet. Make one with: heroes keys create"
    show_list(run_keys("list"), json, columns, row, empty)


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `heroes keys list` shows it.")],
) -> None:
    """Revoke a key: it stops working.

    Example: heroes keys revoke key_3
    """
    from helpers.sandbox import run_keys

    run_keys("revoke", key_id)
    console.print(f"Revoked: {key_id}")
