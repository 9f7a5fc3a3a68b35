"""`heroes models`: list and delete models."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from heroes.endpoint import client, delete_all
from heroes.options import Json, Yes
from heroes.tables import show_list, when

app = typer.Typer(name="models", help="Models that can be called.", no_args_is_help=True)


@app.command("list")
def list_(
    tuned: Annotated[bool, typer.Option("--tuned", help="Only fine-tuned models.")] = False,
    json: Json = False,
) -> None:
    """List the models, with the day on which they will be shut down if that is known.

    Example: heroes models list --tuned
    """
    from helpers.prices import price_of
    from helpers.settings import load_settings

    provider = load_settings().provider

    def row(model: Any) -> tuple[object, ...]:
        known = price_of(model.id, provider)
        ends = getattr(model, "shutdown_date", None) or (known and known.shutdown_date)
        return model.id, model.owned_by, when(model.created), ends or None

    with client() as api:
        found = [model for model in api.models.list() if not tuned or model.id.startswith("ft:")]
    show_list(found, json, ["model", "owner", "created", "ends"], row, "There are no such models.")


@app.command()
def delete(
    names: Annotated[list[str], typer.Argument(help="The names of fine-tuned models.")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete fine-tuned models, after asking.

    Example: heroes models delete ft:superhero-mini:learner:demo:abcd1234 --yes
    """
    delete_all("models", names, yes, json)
