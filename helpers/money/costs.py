"""What a step would cost on a hosted provider, before the click, and what it did cost.

Prices are US dollars for a million tokens, from `data/prices.csv`; each row says where it was
read and when. Prices change: look at the provider's page before you spend real money. What was
spent is in `helpers.money.spending`.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.money.tokens import CHARS_PER_TOKEN, TokenCounter, counter_for, estimate_tokens
from helpers.settings import ROOT

if TYPE_CHECKING:
    import pandas as pd

PRICE_FILE = ROOT / "data" / "prices.csv"
MILLION = 1_000_000
# A description of about 100 words, as counted on the ones that we ship.
ANSWER_TOKENS = 130
# The packaging of a chat with one message.
MESSAGE_TOKENS = 7


@dataclass(frozen=True)
class Price:
    """Dollars for a million tokens; None where the provider offers or publishes no price."""

    model: str
    training: float | None
    input: float | None
    cached: float | None
    output: float | None
    batch_input: float | None
    batch_output: float | None
    shutdown_date: date | None


@dataclass(frozen=True)
class Estimate:
    """An estimate of tokens and dollars; `usd` is None if the price is not known.

    `exact` says that the tokens were counted with the model's own tokenizer.
    """

    what: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: float | None
    exact: bool = False

    def __str__(self) -> str:
        tokens = f"{'' if self.exact else 'about '}{self.input_tokens:,} tokens in"
        if self.output_tokens:
            tokens += f" and {self.output_tokens:,} out"
        how = "counted" if self.exact else "an estimate"
        return f"{self.what} with {self.model}: {tokens}, {money(self.usd)} ({how})"


def load_prices() -> pd.DataFrame:
    """The price table, one row for each model, dollars for a million tokens."""
    import pandas as pd

    return pd.read_csv(PRICE_FILE, parse_dates=["shutdown_date"])


PRICES = ("training", "input", "cached", "output", "batch_input", "batch_output")


@lru_cache(maxsize=1)
def _prices() -> dict[str, Price]:
    # Not by way of pandas, which takes a moment to load: every command looks at prices.
    with PRICE_FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    prices = {}
    for row in rows:
        numbers = {name: float(row[name]) if row[name] else None for name in PRICES}
        end = date.fromisoformat(row["shutdown_date"]) if row["shutdown_date"] else None
        prices[row["model"]] = Price(model=row["model"], **numbers, shutdown_date=end)
    return prices


def price_of(model: str) -> Price | None:
    """The price of a model, or None if the table has none.

    A dated snapshot has its model's price, and `ft:<base>:<who>:…` that of its tuned base.
    """
    name = model
    if model.startswith("ft:"):
        name = ":".join(model.split(":")[:2])
    return _prices().get(name) or _prices().get(re.sub(r"-\d{4}-\d{2}-\d{2}$", "", name))


def trainable_models() -> list[str]:
    """The models with a price for training that can still be called, the dearest first."""
    today = date.today()
    prices = [
        price
        for price in _prices().values()
        if price.training is not None
        and not price.model.startswith("ft:")
        and not (price.shutdown_date and price.shutdown_date <= today)
    ]
    return [price.model for price in sorted(prices, key=lambda p: -(p.training or 0))]


def money(usd: float | None) -> str:
    """Dollars for people: $0.00, $0.0042, $1.23, or the words that it isn't known."""
    if usd is None:
        return "price not known"
    return f"${usd:.4f}" if 0 < usd < 0.1 else f"${usd:,.2f}"


def usage_cost(
    model: str, input_tokens: int, output_tokens: int, *, cached: int = 0, batch: bool = False
) -> float | None:
    """Dollars for tokens really used, or None if the price is not known.

    `cached` of the input tokens were sent before, which makes them cheaper with some models; a
    `batch` is cheaper, too.
    """
    price = price_of(model)
    if price is None:
        return None
    per_input = price.batch_input if batch else price.input
    per_output = price.batch_output if batch else price.output
    if per_input is None or (per_output is None and output_tokens):
        return None
    per_cached = per_input if batch or price.cached is None else price.cached
    usd = (input_tokens - cached) * per_input + cached * per_cached
    return (usd + output_tokens * (per_output or 0.0)) / MILLION


def training_cost(model: str, tokens: int) -> float | None:
    """Dollars for so many trained tokens (all epochs together), or None if not known."""
    price = price_of(model)
    return None if price is None or price.training is None else tokens * price.training / MILLION


def estimate_generation(
    grid: pd.DataFrame, model: str, answer_tokens: int = ANSWER_TOKENS, *, batch: bool = False
) -> Estimate:
    """What asking `model` for every row of the grid (its column `prompt`) would cost.

    With `batch`, at the price of the Batch API.
    """
    tokens_in = sum(estimate_tokens(prompt) + MESSAGE_TOKENS for prompt in grid["prompt"])
    tokens_out = answer_tokens * len(grid)
    usd = usage_cost(model, tokens_in, tokens_out, batch=batch)
    return Estimate(f"{len(grid)} answers", model, tokens_in, tokens_out, usd)


def estimate_answer(text: str, model: str, max_tokens: int) -> Estimate:
    """What one answer of at most `max_tokens` to `text` would cost."""
    tokens_in = estimate_tokens(text) + MESSAGE_TOKENS
    usd = usage_cost(model, tokens_in, max_tokens)
    return Estimate("An answer", model, tokens_in, max_tokens, usd)


def auto_epochs(n_examples: int) -> int:
    """The epochs that OpenAI's cookbook expects of n_epochs="auto": three, more for small files."""
    if n_examples < 1:
        return 1
    if 3 * n_examples < 100:
        return min(25, 100 // n_examples)
    return max(1, 25_000 // n_examples) if 3 * n_examples > 25_000 else 3


def estimate_training(
    path: Path, model: str, n_epochs: int | None = 3, *, exact: bool = False
) -> Estimate:
    """What fine-tuning `model` on the JSONL file would cost: its tokens × epochs × price.

    `n_epochs` None means "auto". With `exact`, the tokens are counted if the model's tokenizer is
    at hand, as that of the sandbox is. Validation files are not billed. Raises ValueError if
    `n_epochs` is below 1.
    """
    if n_epochs is not None and n_epochs < 1:
        raise ValueError(f"n_epochs must be at least 1, not {n_epochs}.")
    counter = counter_for(model) if exact else None
    with Path(path).open(encoding="utf-8-sig") as lines:
        counts = [_tokens_of(line, counter) for line in lines if line.strip()]
    n_epochs = n_epochs or auto_epochs(len(counts))
    tokens = sum(counts) * n_epochs
    return Estimate(
        f"{n_epochs} epochs of training",
        model,
        tokens,
        0,
        training_cost(model, tokens),
        exact=counter is not None,
    )


def estimate_training_size(n_bytes: int, model: str, n_epochs: int | None = None) -> Estimate:
    """The same for a file that is far away, by its size: rather too much than too little."""
    tokens = n_bytes // CHARS_PER_TOKEN * (n_epochs or 3)
    return Estimate(
        f"{n_epochs or 3} epochs of training", model, tokens, 0, training_cost(model, tokens)
    )


def _tokens_of(line: str, counter: TokenCounter | None) -> int:
    """Tokens of a line of training data; a line that is no example counts as it stands."""
    try:
        row = json.loads(line)
        if counter:
            return counter.example(row)
    except (ValueError, KeyError, TypeError, AttributeError):
        return counter.text(line.strip()) if counter else estimate_tokens(line.strip())
    return estimate_tokens(" ".join(_strings(row)))


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
