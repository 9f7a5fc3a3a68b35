"""`heroes models`: which models there are, and away with the ones no longer needed."""

from __future__ import annotations

from typing import Annotated

import typer

from heroes.output import (
    Json,
    Yes,
    client,
    confirm,
    console,
    group,
    plainly,
    show_json,
    show_table,
    when,
)

app = group("Models that can be called.")


@app.command("list")
@plainly
def list_(
    tuned: Annotated[bool, typer.Option("--tuned", help="Only fine-tuned models.")] = False,
    json: Json = False,
) -> None:
    """List the models, with the day on which they will be switched off if that is known.

    Example: heroes models list --tuned
    """
    from helpers.prices import price_of

    with client() as api:
        found = [model for model in api.models.list() if not tuned or model.id.startswith("ft:")]
    if json:
        show_json(found)
        return
    rows = []
    for model in found:
        known = price_of(model.id)
        ends = getattr(model, "shutdown_date", None) or (known and known.shutdown_date)
        rows.append((model.id, model.owned_by, when(model.created), ends or None))
    show_table(["model", "owner", "created", "ends"], rows, empty="There are no such models.")


@app.command()
@plainly
def delete(
    names: Annotated[list[str], typer.Argument(help="The names of fine-tuned models.")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete fine-tuned models, after asking.

    Example: heroes models delete ft:superhero-mini:learner:superhero:abcd1234 --yes
    """
    confirm(f"Delete {' and '.join(names)}? This cannot be undone.", yes)
    with client() as api:
        deleted = [api.models.delete(name) for name in names]
    if json:
        show_json(deleted)
    else:
        for model in deleted:
            console.print(f"Deleted: {model.id}")
