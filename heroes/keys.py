"""`heroes keys`: make, list and revoke keys of the sandbox on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from helpers.sandbox import run_keys
from heroes.output import (
    Json,
    console,
    group,
    note,
    plainly,
    show_json,
    show_table,
    when,
)

app = group("Keys of the sandbox on this machine.")


@app.command("create")
@plainly
def create(
    project: Annotated[
        str, typer.Option(help="Who it is for: a-z, 0-9 and dashes. Projects see nothing mutual.")
    ] = "learner",
    name: Annotated[str, typer.Option(help="A name to tell your keys apart.")] = "my key",
) -> None:
    """Make a key. It is shown this once, so copy it into .env at once.

    Example: heroes keys create --project anna --name laptop
    """
    made = run_keys("create", "--project", project, "--name", name)
    # Not through rich: a key must come out as one piece, and be easy to pipe.
    typer.echo(made["key"])
    note("Put it into .env as OPENAI_API_KEY=… It cannot be shown again.")


@app.command("list")
@plainly
def list_(json: Json = False) -> None:
    """List the keys: whose, and their last four characters.

    Example: heroes keys list
    """
    rows = run_keys("list")
    if json:
        show_json(rows)
        return
    show_table(
        ["id", "project", "name", "ends in", "created", "revoked"],
        [
            (
                row["id"],
                row["project"],
                row["name"],
                row["last4"],
                when(row["created_at"]),
                when(row["revoked_at"]),
            )
            for row in rows
        ],
        empty="There is no key yet. Make one with: heroes keys create",
    )


@app.command()
@plainly
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `heroes keys list` shows it.")],
) -> None:
    """Make a key useless from now on.

    Example: heroes keys revoke key_3
    """
    run_keys("revoke", key_id)
    console.print(f"Revoked: {key_id}")
