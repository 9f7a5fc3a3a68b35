"""What a step would cost on a hosted provider, before the click, and what it did cost.

Prices are US dollars for a million tokens, from `data/prices.csv`; each row says where it was
read and when. Prices change: look at the provider's page before you spend real money.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import pandas as pd

from helpers.settings import ROOT

PRICE_FILE = ROOT / "data" / "prices.csv"
MILLION = 1_000_000
# A description of about 100 words, as counted on the ones that we ship.
ANSWER_TOKENS = 130


@dataclass(frozen=True)
class Price:
    """Dollars for a million tokens; None where the provider offers or publishes no price."""

    model: str
    training: float | None
    input: float | None
    output: float | None
    shutdown_date: date | None


@dataclass(frozen=True)
class Estimate:
    """An estimate of tokens and dollars; `usd` is None if the price is not known."""

    what: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: float | None

    def __str__(self) -> str:
        tokens = f"about {self.input_tokens:,} tokens in"
        if self.output_tokens:
            tokens += f" and {self.output_tokens:,} out"
        return f"{self.what} with {self.model}: {tokens}, {money(self.usd)} (an estimate)"


def load_prices() -> pd.DataFrame:
    """The price table, one row for each model, dollars for a million tokens."""
    return pd.read_csv(PRICE_FILE, parse_dates=["shutdown_date"], dtype={"batch": "string"})


@lru_cache(maxsize=1)
def _prices() -> dict[str, Price]:
    def number(value: float) -> float | None:
        return None if pd.isna(value) else float(value)

    return {
        row.model: Price(
            row.model,
            number(row.training),
            number(row.input),
            number(row.output),
            None if pd.isna(row.shutdown_date) else row.shutdown_date.date(),
        )
        for row in load_prices().itertuples()
    }


def price_of(model: str) -> Price | None:
    """The price of a model, or None if the table has none.

    A dated snapshot has its model's price, and `ft:<base>:<who>:…` that of its tuned base.
    """
    name = model
    if model.startswith("ft:"):
        name = ":".join(model.split(":")[:2])
    return _prices().get(name) or _prices().get(re.sub(r"-\d{4}-\d{2}-\d{2}$", "", name))


def money(usd: float | None) -> str:
    """Dollars for people: $0.00, $0.0042, $1.23, or the words that it isn't known."""
    if usd is None:
        return "price not known"
    return f"${usd:.4f}" if 0 < usd < 0.1 else f"${usd:,.2f}"


def estimate_tokens(text: str) -> int:
    """A rough count for English on hosted models: a token is about four characters."""
    return -(-len(text) // 4)


def usage_cost(model: str, input_tokens: int, output_tokens: int) -> float | None:
    """Dollars for tokens really used, or None if the price is not known."""
    price = price_of(model)
    if price is None or price.input is None or price.output is None:
        return None
    return (input_tokens * price.input + output_tokens * price.output) / MILLION


def estimate_generation(
    grid: pd.DataFrame, model: str, answer_tokens: int = ANSWER_TOKENS
) -> Estimate:
    """What asking `model` for every row of the grid (its column `prompt`) would cost."""
    # Each chat message carries a few tokens of packaging.
    tokens_in = sum(estimate_tokens(prompt) + 7 for prompt in grid["prompt"])
    tokens_out = answer_tokens * len(grid)
    usd = usage_cost(model, tokens_in, tokens_out)
    return Estimate(f"{len(grid)} answers", model, tokens_in, tokens_out, usd)


def estimate_training(path: Path, model: str, n_epochs: int = 3) -> Estimate:
    """What fine-tuning `model` on the JSONL file would cost: its tokens × epochs × price.

    Validation files are not billed. Raises ValueError if `n_epochs` is below 1.
    """
    if n_epochs < 1:
        raise ValueError(f"n_epochs must be at least 1, not {n_epochs}.")
    with Path(path).open(encoding="utf-8-sig") as lines:
        tokens = sum(estimate_tokens(_text_of(line)) for line in lines) * n_epochs
    price = price_of(model)
    usd = None if price is None or price.training is None else tokens * price.training / MILLION
    return Estimate(f"{n_epochs} epochs of training", model, tokens, 0, usd)


def _text_of(line: str) -> str:
    """All texts in a line of training data; a line that is not JSON counts as it stands."""
    try:
        row = json.loads(line)
    except ValueError:
        return line.strip()
    return " ".join(_strings(row))


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for part in value.values() for text in _strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in _strings(part)]
    return []


def shutdown_note(model: str, today: date | None = None) -> str | None:
    """A sentence if the model is gone or has a date when it goes, else None."""
    price = price_of(model)
    if price is None or price.shutdown_date is None:
        return None
    gone = price.shutdown_date <= (today or date.today())
    when = price.shutdown_date.isoformat()
    return f"{model} was shut down on {when}." if gone else f"{model} will be shut down on {when}."
