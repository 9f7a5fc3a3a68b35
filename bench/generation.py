"""How fast do the 294 descriptions come?

`python -m bench.generation`: all rows through the SDK side by side, against the old guide's loop
(one after the other, on the same server), and against the engine in this process with no HTTP.
And one prediction: the time to its first token.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bench.common import Row, median, own_sandbox, seconds
from bench.training import WEIGHTS
from course.grid import superhero_grid
from helpers.ask import ask_many
from helpers.connect import connect, connect_async
from helpers.settings import load_settings


def concurrently(grid: pd.DataFrame) -> None:
    """As notebook 02 does it, every row written to the disk as it comes."""

    async def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with connect_async() as client:
                model = load_settings().generator_model
                path = Path(folder) / "rows.csv"
                await ask_many(client, grid, path, model=model, progress=False)

    asyncio.run(work())


def one_by_one(grid: pd.DataFrame) -> None:
    """As the old guide did it."""
    client = connect(announce=False)
    for index, prompt in enumerate(grid["prompt"]):
        client.chat.completions.create(
            model=load_settings().generator_model,
            messages=[{"role": "user", "content": prompt}],
            max_completion_tokens=300,
            temperature=1.0,
            seed=index,
        )


def in_process(grid: pd.DataFrame) -> Callable[[], None]:
    """The engine alone: the same prompts and seeds, no server."""
    from sandbox.engine.models import ModelShelf
    from sandbox.engine.protocol import GenerateRequest

    loop = ModelShelf().get(str(WEIGHTS))

    def work() -> None:
        for index, prompt in enumerate(grid["prompt"]):
            request = GenerateRequest(
                str(WEIGHTS),
                [{"role": "user", "content": prompt}],
                max_tokens=300,
                seed=index,
                stream=False,
            )
            loop.add(index, request)
        while loop.busy:
            loop.step()

    return work


def first_token() -> float:
    """Seconds from the request to the first piece of text of a streamed prediction."""
    client = connect(announce=False)
    started = time.perf_counter()
    stream = client.chat.completions.create(
        model=load_settings().base_model,
        messages=[{"role": "user", "content": "40, woman, Healing ->"}],
        stream=True,
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    waited = time.perf_counter() - started
    stream.close()
    return waited


def run(rounds: int = 3) -> list[Row]:
    grid = superhero_grid()
    with own_sandbox():
        alone = in_process(grid)
        first_token()  # the sampler is warm from here on
        together = [seconds(lambda: concurrently(grid)) for _ in range(rounds)]
        serial = seconds(lambda: one_by_one(grid))
        together.append(seconds(lambda: concurrently(grid)))
        engine = median([seconds(alone) for _ in range(rounds)])
        waited = median([first_token() for _ in range(9)])
    http = median(together)
    return [
        Row(
            "294 descriptions: one by one / concurrently",
            serial / http,
            "x",
            ">= 5",
            f"{serial:.1f} s / {http:.1f} s",
        ),
        Row(
            "294 descriptions: through the SDK / engine alone",
            http / engine,
            "x",
            "<= 1.3",
            f"{http:.1f} s / {engine:.1f} s",
        ),
        Row("one prediction: time to first token", waited * 1000, "ms", "", "median of 9"),
    ]


def main() -> None:
    for row in run():
        print(row)


if __name__ == "__main__":
    main()
