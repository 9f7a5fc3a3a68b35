"""`heroes cost`: what a training file would cost, before the click."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from heroes.output import Json, note, plainly, show_json, show_table


@plainly
def cost(
    file: Annotated[
        Path, typer.Argument(help="A training file (.jsonl).", exists=True, dir_okay=False)
    ],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="The model to tune; may be repeated. Else all known."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Walks through the examples.")] = 3,
    json: Json = False,
) -> None:
    """Estimate what training on a file would cost.

    HEROES_MAX_USD in .env is a ceiling for each paid step: one that could cost more is refused.

    Example: heroes cost data/train.jsonl --model gpt-4.1-mini-2025-04-14 --epochs 4
    """
    from helpers.money import estimate_training
    from helpers.prices import money, trainable_models

    names = model or trainable_models()
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


def _end(model: str) -> str:
    from helpers.prices import price_of

    price = price_of(model)
    return str(price.shutdown_date) if price and price.shutdown_date else ""
