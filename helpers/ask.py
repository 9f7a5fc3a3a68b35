"""Step 02: let a model write the training data, many rows side by side.

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

from course.grid import (
    AGES,
    GENDERS,
    POWERS,
    PROMPT,
    SUB_PROMPT,
    VALIDATION_POWERS,
    superhero_grid,
)
from helpers.asking import GenerationError, Run
from helpers.data import replace_text
from helpers.display import progress_bar
from helpers.ledger import Ledger, LedgerBusy, row_key
from helpers.money import BudgetExceeded, Estimate, estimate_generation
from helpers.prices import money
from helpers.settings import Settings, load_settings

__all__ = [
    "AGES",
    "GENDERS",
    "POWERS",
    "PROMPT",
    "SUB_PROMPT",
    "VALIDATION_POWERS",
    "BudgetExceeded",
    "GenerationError",
    "LedgerBusy",
    "generate",
    "superhero_grid",
]

GRID_COLUMNS = ["age", "gender", "power", "prompt", "sub_prompt"]
ANSWER_COLUMNS = ["response_txt", "finish_reason", "prompt_tokens", "completion_tokens"]


async def generate(
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
    agree: Callable[[Estimate], None] | None = None,
) -> pd.DataFrame:
    """Ask `model` for an answer to every row's prompt and write them to `path` as a CSV.

    The rows that an earlier run finished are taken from the file beside it (`….rows.jsonl`), not
    bought again; `fresh=True` forgets them. The CSV is written when all rows are there, in the
    grid's order: its columns, then response_txt, finish_reason, prompt_tokens, completion_tokens.
    Where the endpoint takes seeds, row i gets `seed` + i. Raises BudgetExceeded before the first
    call if the estimate is above `max_usd` dollars, and GenerationError if rows are missing.
    `agree` is told before the first call what the missing rows will cost; it may raise.
    """
    _check_arguments(client, grid)
    path, settings = Path(path), settings or load_settings()
    call = {
        "model": model,
        "temperature": temperature,
        "max_completion_tokens": max_tokens,
        **settings.options_for(model),
    }
    base_seed = seed if settings.seeds else None
    rows = grid.to_dict("records")
    keys = _keys(rows, call, base_seed)
    with Ledger(path.with_name(path.stem + ".rows.jsonl")) as ledger:
        if fresh:
            ledger.clear()
        missing = [index for index, key in enumerate(keys) if key not in ledger.rows]
        _check_budget(grid.iloc[missing], model, max_usd)
        if agree and missing:
            agree(estimate_generation(grid.iloc[missing], model))
        done = len(rows) - len(missing)
        with progress_bar(len(rows), done, "row", quiet=not progress) as bar:
            run = Run(
                client.with_options(max_retries=0),
                ledger,
                call,
                base_seed,
                max_usd,
                bar,
                asyncio.Semaphore(concurrency or settings.concurrency),
            )
            await _run_all(run, [(index, keys[index], rows[index]) for index in missing])
        if run.refusal:
            raise run.refusal
        if run.failures:
            raise GenerationError(_report(run.failures, rows))
        frame = _frame(grid, [ledger.rows[key] for key in keys])
    replace_text(path, frame.to_csv(index=False))
    print(
        f"{path.name}: {len(rows)} rows, {len(missing)} of them new. Cost: "
        f"{money(run.usd if missing else 0.0)}"
    )
    return frame


async def _run_all(run: Run, work: list[tuple[int, str, dict[str, Any]]]) -> None:
    """Start all rows; the semaphore lets only a few call at once. A hopeless error ends all."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for index, key, row in work:
                tasks.create_task(run.make_row(index, key, row))
        return
    except BaseExceptionGroup as group:
        error = group.exceptions[0]
    # Raised out here, since a notebook cannot show an error well that hangs on a group of errors.
    if not isinstance(error, openai.APIError):
        raise error
    raise GenerationError(
        f"{type(error).__name__}: {error}\nEvery further row would fail in the same way, so the "
        "work was stopped. The finished rows are safe: mend the cause and run the same cell again."
    )


def _check_arguments(client: object, grid: pd.DataFrame) -> None:
    if not isinstance(client, AsyncOpenAI):
        raise TypeError("generate() needs an AsyncOpenAI client: use connect_async().")
    absent = [name for name in ("prompt", "sub_prompt") if name not in grid.columns]
    if absent:
        raise ValueError(f"The grid has no column {' and no '.join(absent)}: see superhero_grid().")


def _check_budget(grid: pd.DataFrame, model: str, max_usd: float | None) -> None:
    if max_usd is None or grid.empty:
        return
    estimate = estimate_generation(grid, model)
    if estimate.usd is None:
        raise BudgetExceeded(
            f"max_usd is set, but the price of {model} is not known. Add a line for it to "
            "data/prices.csv, or leave max_usd out."
        )
    if estimate.usd > max_usd:
        raise BudgetExceeded(f"{estimate}: above max_usd={max_usd}. Nothing was called.")


def _keys(rows: list[dict[str, Any]], call: dict[str, Any], seed: int | None) -> list[str]:
    """One key a row. Repeated prompts are told apart by counting them."""
    seen: dict[str, int] = {}
    keys = []
    for row in rows:
        number = seen[row["prompt"]] = seen.get(row["prompt"], -1) + 1
        keys.append(row_key(prompt=row["prompt"], number=number, seed=seed, call=call))
    return keys


def _frame(grid: pd.DataFrame, answers: list[dict[str, Any]]) -> pd.DataFrame:
    """The grid with its answers, in the grid's order."""
    frame = grid.reset_index(drop=True).copy()
    for column in ANSWER_COLUMNS:
        frame[column] = [answer[column] for answer in answers]
    return frame


def _report(failures: dict[int, openai.APIError], rows: list[dict[str, Any]]) -> str:
    shown = [
        f"  row {index} ({rows[index]['sub_prompt']}): {type(error).__name__}: {error}"
        for index, error in sorted(failures.items())[:5]
    ]
    more = [f"  and {len(failures) - 5} more"] if len(failures) > 5 else []
    return "\n".join(
        [
            f"{len(failures)} of {len(rows)} rows failed:",
            *shown,
            *more,
            "The other rows are safe. Run the same cell again: it only makes the missing ones.",
        ]
    )
