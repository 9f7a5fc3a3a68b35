"""Step 02, the engine room: one call for one row, paced, repeated where that helps, and counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import openai
from openai import AsyncOpenAI
from tqdm.std import tqdm

from helpers.ledger import Ledger
from helpers.money import BudgetExceeded
from helpers.pace import ATTEMPTS, Pace, retry_wait
from helpers.prices import money, usage_cost
from helpers.tokens import estimate_tokens, most_tokens

PACKAGING = 20  # tokens of a chat message around its text, generously
HOPELESS = (
    openai.APIConnectionError,
    openai.AuthenticationError,
    openai.PermissionDeniedError,
    openai.NotFoundError,
)


class GenerationError(RuntimeError):
    """Some rows could not be made; the finished ones are safe."""


@dataclass
class Run:
    """One run of `generate`: what every call needs, and the running totals."""

    client: AsyncOpenAI
    ledger: Ledger
    call: dict[str, Any]
    base_seed: int | None
    max_usd: float | None
    bar: tqdm
    calls_at_once: asyncio.Semaphore
    pace: Pace = field(default_factory=Pace)
    tokens_in: int = 0
    tokens_out: int = 0
    failures: dict[int, openai.APIError] = field(default_factory=dict)
    refusal: BudgetExceeded | None = None
    held: float = 0.0  # dollars that the calls under way may still cost
    room: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def usd(self) -> float | None:
        return usage_cost(self.call["model"], self.tokens_in, self.tokens_out)

    async def make_row(self, index: int, key: str, row: dict[str, Any]) -> None:
        """Ask for one row and write it to the ledger; a lost row is noted, a hopeless run ends."""
        try:
            async with self.calls_at_once, self._money_for(row["prompt"]):
                await self._make_row(index, key, row)
        except BudgetExceeded as refusal:
            # The calls under way are paid for, so they may finish; no new one begins.
            self.refusal = self.refusal or refusal

    async def _make_row(self, index: int, key: str, row: dict[str, Any]) -> None:
        if self.refusal:
            return  # it came while this row waited for its turn
        try:
            answer = await self._ask(row["prompt"], index)
        except openai.APIError as error:
            if self._is_hopeless(error):
                raise
            self.failures[index] = error
            return
        choice, usage = answer.choices[0], answer.usage
        made = {
            "sub_prompt": row["sub_prompt"],
            "response_txt": choice.message.content or "",
            "finish_reason": choice.finish_reason,
            "prompt_tokens": usage.prompt_tokens if usage else 0,
            "completion_tokens": usage.completion_tokens if usage else 0,
        }
        self.ledger.append(key, made)
        self._count(made["prompt_tokens"], made["completion_tokens"])

    @asynccontextmanager
    async def _money_for(self, prompt: str) -> AsyncIterator[None]:
        """Hold back the most that a call can cost; wait while others hold what is left."""
        if self.max_usd is None:
            yield
            return
        tokens_in = most_tokens(prompt) + PACKAGING
        worst = usage_cost(self.call["model"], tokens_in, self.call["max_completion_tokens"]) or 0.0
        async with self.room:
            await self.room.wait_for(lambda: self._fits(worst) or not self.held)
            if not self._fits(worst):
                raise self._too_dear()
            self.held += worst
        try:
            yield
        finally:
            async with self.room:
                self.held -= worst
                # Sums of fractions leave a crumb behind.
                self.held = self.held if self.held > 1e-12 else 0.0
                self.room.notify_all()

    def _fits(self, usd: float) -> bool:
        return (self.usd or 0.0) + self.held + usd <= (self.max_usd or 0.0)

    def _too_dear(self) -> BudgetExceeded:
        return BudgetExceeded(
            f"Stopped at {money(self.usd)}: one call more could go above max_usd={self.max_usd}. "
            "The rows made so far are safe. Raise max_usd and run the same cell again to go on."
        )

    async def _ask(self, prompt: str, index: int) -> Any:
        """One call, repeated while the server asks for patience."""
        seed = {} if self.base_seed is None else {"seed": self.base_seed + index}
        messages = [{"role": "user", "content": prompt}]
        for attempt in range(ATTEMPTS):
            await self.pace.wait()
            try:
                raw = await self.client.chat.completions.with_raw_response.create(
                    messages=messages, **self.call, **seed
                )
            except openai.APIError as error:
                wait = retry_wait(error, attempt)
                if wait is None or attempt == ATTEMPTS - 1:
                    raise
                if isinstance(error, openai.RateLimitError):
                    self.pace.shut_for(wait)
                else:
                    await asyncio.sleep(wait)
                continue
            needed = estimate_tokens(prompt) + self.call["max_completion_tokens"]
            self.pace.note(raw.headers, needed)
            return raw.parse()
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _is_hopeless(self, error: openai.APIError) -> bool:
        """Would every other row fail in the same way? Then there is no use in going on."""
        if isinstance(error, HOPELESS) or error.code == "insufficient_quota":
            return True
        # A refused parameter is refused in every row; one refused text is not.
        return self.tokens_out == 0 and len(self.failures) >= 4

    def _count(self, tokens_in: int, tokens_out: int) -> None:
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.bar.set_postfix_str(
            f"{self.tokens_in + self.tokens_out:,} tokens, {money(self.usd)}", refresh=False
        )
        self.bar.update()
        if self.max_usd is not None and (self.usd or 0.0) > self.max_usd:
            raise self._too_dear()  # only if the server wrote more than it was allowed to
