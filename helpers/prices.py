"""What models cost, from data/prices.csv: US dollars for a million tokens.

Each row says where it was read and when. Look at the provider's page before you spend real money.
"""

from __future__ import annotations

import csv
import re
from datetime import date
from functools import lru_cache

from pydantic.dataclasses import dataclass

from helpers.settings import ROOT

PRICE_FILE = ROOT / "data" / "prices.csv"
PRICES = ("training", "input", "cached", "output", "batch_input", "batch_output")
MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """Dollars for a million tokens; None where the provider offers or publishes no price."""

    model: str
    provider: str
    training: float | None = None
    input: float | None = None
    cached: float | None = None
    output: float | None = None
    batch_input: float | None = None
    batch_output: float | None = None
    shutdown_date: date | None = None


@lru_cache
def _prices() -> dict[str, Price]:
    with PRICE_FILE.open(encoding="utf-8", newline="") as file:
        filled = [
            {name: text for name, text in row.items() if text} for row in csv.DictReader(file)
        ]
    return {row["model"]: Price(**row) for row in filled}


def price_of(model: str, provider: str | None = None) -> Price | None:
    """The price of a model, or None if the table has none.

    With `provider`, only that one's prices count: another may ask anything for a model of the same
    name, and the sandbox is free. A dated snapshot has its model's price, and `ft:<base>:<who>:…`
    that of its tuned base.
    """
    if provider == "sandbox":
        return Price(model, provider, **dict.fromkeys(PRICES, 0.0))
    name = ":".join(model.split(":")[:2]) if model.startswith("ft:") else model
    price = _prices().get(name) or _prices().get(re.sub(r"-\d{4}-\d{2}-\d{2}$", "", name))
    return price if price and provider in (None, price.provider) else None


def trainable_models() -> list[str]:
    """The models with a price for training that can still be called, the dearest first."""
    rates = {
        name: price.training
        for name, price in _prices().items()
        if price.training is not None and not name.startswith("ft:")
        if (price.shutdown_date or date.max) > date.today()
    }
    return sorted(rates, key=rates.__getitem__, reverse=True)


def money(usd: float | None) -> str:
    """Dollars for people: $0.00, $0.0042, $1.23, or the words that it isn't known."""
    if usd is None:
        return "price not known"
    return f"${usd:.4f}" if 0 < usd < 0.1 else f"${usd:,.2f}"


def usage_cost(
    model: str,
    input_tokens: int,
    output_tokens: int,
    *,
    batch: bool = False,
    provider: str | None = None,
) -> float | None:
    """Dollars for tokens, none of them cached, or None if the price is not known."""
    price = price_of(model, provider)
    per_input = price and (price.batch_input if batch else price.input)
    per_output = price and (price.batch_output if batch else price.output)
    if per_input is None or (per_output is None and output_tokens):
        return None
    return (input_tokens * per_input + output_tokens * (per_output or 0.0)) / MILLION
