"""What a step would cost on a hosted provider, before it is paid for, and a ceiling on it.

An estimate has the likely amount, which is shown, and the most it can be: a ceiling goes by that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.prices import MILLION, money, price_of, usage_cost
from helpers.settings import SettingsError, read_variable
from helpers.tokens import CHARS_PER_TOKEN, counter_for, estimate_tokens, line_tokens, most_tokens

ANSWER_TOKENS = 130  # in a description of about 100 words, as counted on the ones that we ship
# Around the text of a message: what OpenAI adds, and more than any chat template adds.
MESSAGE_TOKENS, MOST_MESSAGE_TOKENS = 7, 64
LONG_PROMPT = 272_000  # tokens; above that, some models cost twice as much
LONGEST_ANSWER = 128_000  # no model in the table of prices writes longer ones
MOST_EPOCHS = 25  # that n_epochs="auto" can mean


class BudgetExceeded(RuntimeError):
    """It could cost more than the ceiling allows. Nothing was called."""


@dataclass(frozen=True)
class Estimate:
    """Tokens and dollars, likely and at most; the dollars are None if the price is not known."""

    what: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: float | None
    most_usd: float | None
    exact: bool = False  # counted with the model's own tokenizer

    def __str__(self) -> str:
        tokens = f"{'' if self.exact else 'about '}{self.input_tokens:,} tokens in"
        if self.output_tokens:
            tokens += f" and {self.output_tokens:,} out"
        how = "counted" if self.exact else "an estimate"
        return f"{self.what} with {self.model}: {tokens}, {money(self.usd)} ({how})"


def estimate_generation(
    grid: Any,
    model: str,
    answer_tokens: int = ANSWER_TOKENS,
    *,
    max_tokens: int = LONGEST_ANSWER,
    batch: bool = False,
    provider: str | None = None,
) -> Estimate:
    """What asking `model` for every row of a DataFrame (its column `prompt`) would cost.

    An answer has about `answer_tokens`, and never more than `max_tokens`.
    """
    prompts = list(grid["prompt"])
    n = len(prompts)
    tokens_in = sum(estimate_tokens(prompt) + MESSAGE_TOKENS for prompt in prompts)
    # Every line may be a message of its own.
    most_in = [most_tokens(text) + MOST_MESSAGE_TOKENS * (1 + text.count("\n")) for text in prompts]
    usd = usage_cost(model, tokens_in, answer_tokens * n, batch=batch, provider=provider)
    most = usage_cost(model, sum(most_in), max_tokens * n, batch=batch, provider=provider)
    if most and max(most_in) > LONG_PROMPT:
        most *= 2
    what = "An answer" if n == 1 else f"{n} answers"
    return Estimate(what, model, tokens_in, answer_tokens * n, usd, most)


def estimate_answer(
    text: str, model: str, max_tokens: int, *, provider: str | None = None
) -> Estimate:
    """What an answer of `max_tokens` would cost; `text` is all messages, joined by line ends."""
    one = {"prompt": [text]}
    return estimate_generation(one, model, max_tokens, max_tokens=max_tokens, provider=provider)


def auto_epochs(n_examples: int) -> int:
    """The epochs that OpenAI's cookbook expects of n_epochs="auto": three, more for small files."""
    n = max(n_examples, 1)
    return max(1, min(MOST_EPOCHS, max(3, 100 // n), 25_000 // n))


def estimate_training(
    path: Path,
    model: str,
    n_epochs: int | None = 3,
    *,
    exact: bool = False,
    provider: str | None = None,
) -> Estimate:
    """What fine-tuning `model` on the JSONL file would cost: its tokens × epochs × price.

    `n_epochs` None means "auto": the server chooses. With `exact`, the tokens are counted if the
    model's tokenizer is at hand, as that of the sandbox is. Validation files are not billed.
    """
    counter = counter_for(model) if exact else None
    text = Path(path).read_text(encoding="utf-8-sig")
    counts = [line_tokens(line, counter) for line in text.split("\n") if line.strip()]
    epochs = n_epochs or auto_epochs(len(counts))
    # The marks of JSON in a line outweigh what a chat template puts around the texts.
    most = most_tokens(text) * (n_epochs or MOST_EPOCHS)
    return _training(model, epochs, sum(counts), most, provider, exact=counter is not None)


def estimate_training_size(
    n_bytes: int, model: str, n_epochs: int | None = None, *, provider: str | None = None
) -> Estimate:
    """The same for a file that is not on this machine, by its size: rather too much."""
    most = n_bytes * (n_epochs or MOST_EPOCHS)
    return _training(model, n_epochs or 3, n_bytes // CHARS_PER_TOKEN, most, provider)


def _training(
    model: str, epochs: int, tokens: int, most: int, provider: str | None, exact: bool = False
) -> Estimate:
    price = price_of(model, provider)
    rate = price.training if price else None
    usd, most_usd = (None if rate is None else n * rate / MILLION for n in (tokens * epochs, most))
    what = f"{epochs} epoch{'' if epochs == 1 else 's'} of training"
    return Estimate(what, model, tokens * epochs, 0, usd, most_usd, exact)


def allow(estimate: Estimate, max_usd: float | None = None) -> None:
    """Before every paid step: raise BudgetExceeded if it can cost more than a ceiling allows.

    The ceilings are `max_usd` and HEROES_MAX_USD (SettingsError if it is no amount). Each is for
    one step: earlier costs are not added up. An unknown price is above every ceiling.
    """
    text = read_variable("HEROES_MAX_USD")
    if text and not re.fullmatch(r"\$?\d+(\.\d*)?", text):
        raise SettingsError(f"HEROES_MAX_USD must be an amount of dollars like 1.50, not {text!r}.")
    own = float(text.removeprefix("$")) if text else None
    for name, most in {"max_usd": max_usd, "HEROES_MAX_USD": own}.items():
        if most is not None and estimate.most_usd is None:
            raise BudgetExceeded(
                f"The price of {estimate.model} is not known, so {name}={most:g} cannot be kept. "
                "Nothing was called. Add its price to data/prices.csv, or go without a ceiling."
            )
        if most is not None and estimate.most_usd > most:
            raise BudgetExceeded(
                f"{estimate.what} with {estimate.model} can cost up to {money(estimate.most_usd)}, "
                f"above {name}={most:g}. Nothing was called. Raise the ceiling, or ask for less."
            )
