"""`heroes sandbox`: start, stop, status."""

from __future__ import annotations

import dataclasses

import typer

from helpers.sandbox import SandboxStatus, sandbox_status, start_sandbox, stop_sandbox
from heroes.output import NOT_THERE, Json, console, group, plainly, show_json, when

app = group("The sandbox on this machine.")


@app.command()
@plainly
def start(json: Json = False) -> None:
    """Start the sandbox in the background, or find the one that runs.

    Example: heroes sandbox start
    """
    running = sandbox_status().running
    status = start_sandbox()
    if json:
        show_json(_as_dict(status))
    else:
        console.print(f"The sandbox {'was running already' if running else 'runs'}: {status.url}")


@app.command()
@plainly
def stop() -> None:
    """Stop the sandbox. Files, jobs and models stay for the next start.

    Example: heroes sandbox stop
    """
    console.print("The sandbox has stopped." if stop_sandbox() else "No sandbox was running.")


@app.command()
@plainly
def status(json: Json = False) -> None:
    """Say whether the sandbox runs, and where. Exit code 3 if it does not.

    Example: heroes sandbox status
    """
    found = sandbox_status()
    if json:
        show_json(_as_dict(found))
    elif found.running:
        console.print(f"The sandbox runs at {found.url} since {when(found.started_at)}.")
    else:
        console.print("The sandbox is not running. Start it with: heroes sandbox start")
    if not found.running:
        raise typer.Exit(NOT_THERE)


def _as_dict(status: SandboxStatus) -> dict[str, object]:
    return {**dataclasses.asdict(status), "state": str(status.state)}
