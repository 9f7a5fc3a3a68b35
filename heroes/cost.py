"""`heroes cost`: what a training file would cost, before the click, and what was spent."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from heroes.output import Json, console, note, plainly, show_json, show_table


@plainly
def cost(
    file: Annotated[
        Path | None, typer.Argument(help="A training file (.jsonl).", exists=True, dir_okay=False)
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="The model to tune; may be repeated. Else all known."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Walks through the examples.")] = 3,
    spent: Annotated[
        bool, typer.Option("--spent", help="What was really spent so far, and on which models.")
    ] = False,
    json: Json = False,
) -> None:
    """Estimate what training on a file would cost, or tell what was spent.

    HEROES_MAX_USD in .env is a ceiling for all that is spent: a call above it is refused.

    Example: heroes cost data/train.jsonl --model gpt-4.1-mini-2025-04-14 --epochs 4
    """
    if spent:
        _show_spent(json)
    elif file:
        _show_estimates(file, model, epochs, json)
    else:
        raise typer.BadParameter("Name a training file, or ask for --spent.", param_hint="FILE")


def _show_estimates(file: Path, models: list[str] | None, epochs: int, json: bool) -> None:
    from helpers.money.costs import estimate_training, money, trainable_models

    names = models or trainable_models()
    estimates = [estimate_training(file, name, epochs, exact=True) for name in names]
    if json:
        show_json([dataclasses.asdict(each) for each in estimates])
        return
    rows = [
        (
            each.model,
            f"{each.input_tokens:,}",
            "counted" if each.exact else "estimated",
            money(each.usd),
            _end(each.model),
        )
        for each in estimates
    ]
    show_table(["model", "tokens", "", "cost", "ends"], rows)
    note("Estimates take four characters for a token. Validation files are not billed.")


def _show_spent(json: bool) -> None:
    from helpers.money.costs import money
    from helpers.money.spending import spent

    total = spent()
    table = total.frame().to_dict("records")
    if json:
        sums = {"usd": total.usd, "open_usd": total.open_usd, "calls": total.calls}
        show_json({**sums, "ceiling": total.ceiling, "models": table})
        return
    if table:
        show_table(
            ["model", "calls", "tokens in", "tokens out", "cost"],
            [
                (
                    row["model"],
                    f"{row['calls']:,}",
                    f"{row['input_tokens']:,}",
                    f"{row['output_tokens']:,}",
                    money(row["usd"]),
                )
                for row in table
            ],
        )
    console.print(str(total))


def _end(model: str) -> str:
    from helpers.money.costs import price_of

    price = price_of(model)
    return str(price.shutdown_date) if price and price.shutdown_date else ""
