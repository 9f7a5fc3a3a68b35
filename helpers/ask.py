"""Step 02: ask a model once for every row of a table, many rows side by side.

Every finished row is on the disk at once, so an interrupt costs nothing: run the same cell again
and it goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pandas as pd
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from helpers.data import replace_text
from helpers.ledger import Ledger, row_key
from helpers.live import progress_bar
from helpers.money import Estimate, allow, estimate_generation
from helpers.prices import money, usage_cost
from helpers.settings import Settings, load_settings

COLUMNS = ["response_txt", "finish_reason", "prompt_tokens", "completion_tokens"]
RETRIES = 5
# No answer at all, a wrong key, no permission, no such model: every other row gets the same.
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
    concurrency: int | None = None,
    max_usd: float | None = None,
    progress: bool = True,
    fresh: bool = False,
    agree: Callable[[Estimate], None] = lambda estimate: None,
) -> pd.DataFrame:
    """Ask `model` for an answer to every row's prompt and write them to `path` as a CSV.

    The rows that an earlier run finished are taken from the file beside it (`….rows.jsonl`), not
    bought again; `fresh=True` forgets them. The CSV is written when all rows are there, in the
    grid's order: its columns, then response_txt, finish_reason, prompt_tokens, completion_tokens.
    Where the endpoint takes seeds, row i gets `seed` + i. Raises BudgetExceeded before the first
    call if the missing rows can cost more than `max_usd` dollars, and GenerationError if rows are
    missing in the end. `agree` is called with the estimate before the first call; it may raise.
    """
    if not isinstance(client, AsyncOpenAI):
        raise TypeError("ask_many() needs an AsyncOpenAI client: use connect_async().")
    if absent := {"prompt", "sub_prompt"} - set(grid.columns):
        raise ValueError(f"The grid has no column {', '.join(sorted(absent))}.")
    path, settings = Path(path), settings or load_settings()
    call = {"model": model, "temperature": temperature, "max_completion_tokens": max_tokens}
    call |= settings.options_for(model)
    provider = settings.provider if settings.endpoint == "hosted" else None
    prompts, names = grid["prompt"].tolist(), grid["sub_prompt"].tolist()
    counted = grid.groupby("prompt").cumcount().tolist()  # tells repeated prompts apart
    keys = [
        row_key(prompt=prompt, number=number, seed=seed if settings.seeds else None, call=call)
        for prompt, number in zip(prompts, counted, strict=True)
    ]
    with Ledger(path.with_name(path.stem + ".rows.jsonl")) as ledger:
        if fresh:
            ledger.clear()
        missing = [index for index, key in enumerate(keys) if key not in ledger.rows]
        if missing:
            estimate = estimate_generation(
                grid.iloc[missing], model, max_tokens=max_tokens, provider=provider
            )
            allow(estimate, max_usd)
            agree(estimate)
        with progress_bar(len(keys), len(keys) - len(missing), "row", quiet=not progress) as bar:

            def finish(index: int, answer: ChatCompletion) -> None:
                choice, usage = answer.choices[0], answer.usage
                row = {
                    "sub_prompt": names[index],
                    "response_txt": choice.message.content or "",
                    "finish_reason": choice.finish_reason,
                    "prompt_tokens": usage.prompt_tokens if usage else 0,
                    "completion_tokens": usage.completion_tokens if usage else 0,
                }
                ledger.append(keys[index], row)
                bar.update()

            requests = {
                index: {"messages": [{"role": "user", "content": prompts[index]}], **call}
                | ({"seed": seed + index} if settings.seeds else {})
                for index in missing
            }
            turns = asyncio.Semaphore(concurrency or settings.concurrency)
            failures = await _send_all(client, requests, finish, turns)
        if failures:
            index, error = min(failures.items())
            raise GenerationError(
                f"{len(failures)} of {len(keys)} rows failed. Row {index} ({names[index]}): "
                f"{type(error).__name__}: {error}\nThe other rows are safe. Run the same cell "
                "again: it only makes the missing ones."
            )
        answers = [ledger.rows[key] for key in keys]
    frame = grid.reset_index(drop=True)
    frame[COLUMNS] = pd.DataFrame(answers, columns=COLUMNS)
    replace_text(path, frame.to_csv(index=False))
    used = frame.iloc[missing][["prompt_tokens", "completion_tokens"]].sum().tolist()
    cost = money(usage_cost(model, *used, provider=provider) if missing else 0.0)
    print(f"{path.name}: {len(frame)} rows, {len(missing)} of them new. Cost: {cost}")
    return frame


async def _send_all(
    client: AsyncOpenAI,
    requests: dict[int, dict[str, Any]],
    finish: Callable[[int, ChatCompletion], None],
    turns: asyncio.Semaphore,
) -> dict[int, openai.APIError]:
    """Send the requests, a few at a time; the errors of those that failed come back.

    Raises GenerationError as soon as it is clear that every further one would fail, too.
    """
    client = client.with_options(max_retries=RETRIES)
    failures: dict[int, openai.APIError] = {}
    answered = 0

    async def send(index: int) -> None:
        nonlocal answered
        async with turns:
            try:
                answer = await client.chat.completions.create(**requests[index])
            except openai.APIError as error:
                failures[index] = error
                status = getattr(error, "status_code", None)
                if status in HOPELESS or error.code == "insufficient_quota":
                    raise
                # A refused parameter is refused in every row; one refused text is not.
                if len(failures) >= 5 and not answered:
                    raise
            else:
                answered += 1
                finish(index, answer)

    try:
        async with asyncio.TaskGroup() as tasks:
            for index in requests:
                tasks.create_task(send(index))
        return failures
    except BaseExceptionGroup as group:
        error = group.exceptions[0]
    # Raised out here: a notebook cannot show an error well that hangs on a group of errors.
    if not isinstance(error, openai.APIError):
        raise error
    raise GenerationError(
        f"{type(error).__name__}: {error}\nEvery further row would fail in the same way, so the "
        "work was stopped. The finished rows are safe. Remove the cause; run the same cell again."
    )
