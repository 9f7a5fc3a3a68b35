"""`heroes cost`: what training on a file would cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from heroes.options import Json
from heroes.output import CommandError, note
from heroes.tables import show_list


def cost(
    file: Annotated[
        Path, typer.Argument(help="A training file (.jsonl).", exists=True, dir_okay=False)
    ],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="The model to tune; may be repeated. Else all known."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the examples.")] = 3,
    json: Json = False,
) -> None:
    """Estimate what training on a file would cost.

    HEROES_MAX_USD in .env is a ceiling: what can cost more is refused.

    Example: heroes cost data/train.jsonl --model gpt-4.1-mini-2025-04-14 --epochs 4
    """
    from helpers.check_file import check_file
    from helpers.money import estimate_training
    from helpers.prices import money, price_of, trainable_models

    report = check_file(file, training=False)
    if not report.ok:
        problem = next(each for each in report.problems if each.severity == "error")
        raise CommandError(
            f"{file.name} is not a training file: {problem} `heroes prepare {file}` makes one."
        )

    def row(each: Any) -> tuple[object, ...]:
        price, how = price_of(each.model), "counted" if each.exact else "estimated"
        ends = price.shutdown_date if price else None
        return each.model, f"{each.input_tokens:,}", how, money(each.usd), ends

    names = model or trainable_models()
    estimates = [estimate_training(file, name, epochs, exact=True) for name in names]
    show_list(estimates, json, ["model", "tokens", "", "cost", "ends"], row)
    note("Estimates take four characters for a token. Validation files are not billed.")
