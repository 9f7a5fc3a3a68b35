"""What models cost: the table data/prices.csv, and what tokens that were used did cost.

Prices are US dollars for a million tokens; each row says where it was read and when. Prices
change: look at the provider's page before you spend real money.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

from helpers.settings import ROOT

if TYPE_CHECKING:
    import pandas as pd

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


def load_prices() -> pd.DataFrame:
    """The price table, one row for each model, dollars for a million tokens."""
    import pandas as pd  # it takes long to load, and every command looks at prices

    return pd.read_csv(PRICE_FILE, parse_dates=["shutdown_date"])


@lru_cache(maxsize=1)
def _prices() -> dict[str, Price]:
    with PRICE_FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    prices = {}
    for row in rows:
        numbers = {name: float(row[name]) if row[name] else None for name in PRICES}
        end = date.fromisoformat(row["shutdown_date"]) if row["shutdown_date"] else None
        prices[row["model"]] = Price(row["model"], row["provider"], **numbers, shutdown_date=end)
    return prices


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
    today = date.today()
    prices = [
        price
        for price in _prices().values()
        if price.training is not None and (price.shutdown_date or date.max) > today
    ]
    names = [price.model for price in sorted(prices, key=lambda price: -(price.training or 0))]
    return [name for name in names if not name.startswith("ft:")]


def shutdown_note(model: str, today: date | None = None) -> str | None:
    """A sentence if the model is gone or has a date when it goes, else None."""
    price = price_of(model)
    if price is None or price.shutdown_date is None:
        return None
    gone = price.shutdown_date <= (today or date.today())
    return f"{model} {'was' if gone else 'will be'} shut down on {price.shutdown_date}."


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
    cached: int = 0,
    batch: bool = False,
    provider: str | None = None,
) -> float | None:
    """Dollars for tokens really used, or None if the price is not known.

    `cached` of the input tokens were sent before, which makes them cheaper with some models; a
    `batch` is cheaper, too.
    """
    price = price_of(model, provider)
    per_input = price and (price.batch_input if batch else price.input)
    per_output = price and (price.batch_output if batch else price.output)
    if price is None or per_input is None or (per_output is None and output_tokens):
        return None
    per_cached = per_input if batch or price.cached is None else price.cached
    usd = (input_tokens - cached) * per_input + cached * per_cached
    return (usd + output_tokens * (per_output or 0.0)) / MILLION
