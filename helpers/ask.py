"""Ask a model once for every row of a table, many rows at the same time.

Each answer is written down at once, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import openai
import pandas as pd
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from helpers.data import replace_text
from helpers.ledger import open_ledger, row_key
from helpers.live import progress_bar
from helpers.money import Estimate, allow, estimate_generation
from helpers.prices import money, usage_cost
from helpers.settings import Settings, load_settings

COLUMNS = ["response_txt", "finish_reason", "prompt_tokens", "completion_tokens"]
RETRIES = 5
# No connection, a wrong key, no permission, no such model: every other row gets the same.
HOPELESS = (None, 401, 403, 404)


class GenerationError(RuntimeError):
    """Some rows could not be made; the finished ones are safe."""


async def ask_many(
    client: AsyncOpenAI,
    grid: pd.DataFrame,
    path: Path,
    *,
    model: str,
    settings: Settings | None = None,
    temperature: float = 1.0,
    max_tokens: int = 300,
    seed: int = 0,
    before: Sequence[Mapping[str, str]] = (),
    concurrency: int | None = None,
    max_usd: float | None = None,
    progress: bool = True,
    fresh: bool = False,
    agree: Callable[[Estimate], None] = lambda estimate: None,
) -> pd.DataFrame:
    """Ask `model` for an answer to every row's prompt and write them to `path` as a CSV.

    The rows that an earlier run finished are taken from the file beside it (`….rows.jsonl`), not
    bought again; `fresh=True` forgets them. The CSV is written when all rows are there: the grid,
    with COLUMNS added. `before` are messages in front of every prompt, such as examples. Where the
    endpoint takes seeds, row i gets `seed` + i. Raises BudgetExceeded before the first call if the
    missing rows can cost more than `max_usd` dollars, and GenerationError if some failed. `agree`
    is called with the estimate before the first call.
    """
    if not isinstance(client, AsyncOpenAI):
        raise TypeError("ask_many() needs an AsyncOpenAI client: use connect_async().")
    path, settings = Path(path), settings or load_settings()
    call = {"model": model, "temperature": temperature, "max_completion_tokens": max_tokens}
    call |= settings.options_for(model)
    prompts = grid["prompt"].tolist()
    counted = grid.groupby("prompt").cumcount().tolist()  # tells repeated prompts apart
    first_seed = seed if settings.seeds else None
    asked = {"call": call, "before": list(before)} if before else {"call": call}
    keys = [
        row_key(prompt=prompt, number=number, seed=first_seed, **asked)
        for prompt, number in zip(prompts, counted, strict=True)
    ]
    with open_ledger(path.with_name(path.stem + ".rows.jsonl")) as ledger:
        if fresh:
            ledger.clear()
        missing = [index for index, key in enumerate(keys) if key not in ledger.rows]
        if missing:
            front = "".join(f"{message['content']}\n" for message in before)
            new = grid.iloc[missing].assign(prompt=[front + prompts[index] for index in missing])
            # On the sandbox, a hosted model's name still has its price: a rehearsal costs nothing.
            provider = settings.provider if settings.endpoint == "hosted" else None
            estimate = estimate_generation(new, model, max_tokens=max_tokens, provider=provider)
            allow(estimate, max_usd)
            agree(estimate)
        with progress_bar(len(keys), len(keys) - len(missing), "row", quiet=not progress) as bar:

            def finish(index: int, answer: ChatCompletion) -> None:
                choice, usage = answer.choices[0], answer.usage
                row = {
                    "response_txt": choice.message.content or "",
                    "finish_reason": choice.finish_reason,
                    "prompt_tokens": usage.prompt_tokens if usage else 0,
                    "completion_tokens": usage.completion_tokens if usage else 0,
                }
                ledger.append(keys[index], row)
                bar.update()

            requests = {
                index: {"messages": [*before, {"role": "user", "content": prompts[index]}], **call}
                | ({"seed": seed + index} if settings.seeds else {})
                for index in missing
            }
            turns = asyncio.Semaphore(concurrency or settings.concurrency)
            await _send_all(client, requests, finish, turns)
        frame = grid.reset_index(drop=True)
        frame[COLUMNS] = pd.DataFrame([ledger.rows[key] for key in keys], columns=COLUMNS)
    replace_text(path, frame.to_csv(index=False))
    used = frame.iloc[missing][["prompt_tokens", "completion_tokens"]].sum().tolist()
    cost = money(usage_cost(model, *used, provider=settings.provider) if missing else 0.0)
    print(f"{path.name}: {len(frame)} rows, {len(missing)} of them new. Cost: {cost}")
    return frame


async def _send_all(
    client: AsyncOpenAI,
    requests: dict[int, dict[str, Any]],
    finish: Callable[[int, ChatCompletion], None],
    turns: asyncio.Semaphore,
) -> None:
    """Send the requests, a few at a time. Raises GenerationError if there are failures."""
    client = client.with_options(max_retries=RETRIES)
    failures: dict[int, openai.APIError] = {}
    hopeless = False
    answered = 0

    async def send(index: int) -> None:
        nonlocal answered, hopeless
        async with turns:
            if hopeless:
                return
            try:
                answer = await client.chat.completions.create(**requests[index])
            except openai.APIError as error:
                failures[index] = error
                status = getattr(error, "status_code", None)
                # A refused parameter is refused in every row; one refused text is not.
                refused = len(failures) >= 5 and not answered
                hopeless |= status in HOPELESS or error.code == "insufficient_quota" or refused
            else:
                answered += 1
                finish(index, answer)

    async with asyncio.TaskGroup() as tasks:
        for index in requests:
            tasks.create_task(send(index))
    if failures:
        index, error = list(failures.items())[-1 if hopeless else 0]
        others = ", as every further one would" if hopeless else ""
        raise GenerationError(
            f"{len(failures)} of {len(requests)} rows failed{others}. Row {index}: "
            f"{type(error).__name__}: {error}\nThe finished rows are safe. Remove the cause, and "
            "run the same cell again: it only makes the missing ones."
        )
