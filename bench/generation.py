"""How fast do the 294 descriptions come?

`python -m bench.generation`: all rows through the SDK side by side, against the old guide's loop
(one after the other, on the same server), and against the engine in this process with no HTTP.
And one prediction: the time to its first token.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median

import pandas as pd

from bench.common import WEIGHTS, own_sandbox, seconds, show
from course.grid import superhero_grid
from helpers.ask import ask_many
from helpers.connect import connect, connect_async
from helpers.settings import load_settings
from sandbox.engine.sampler.messages import Generate
from sandbox.engine.sampler.models import ModelCache
from sandbox.parameters import Sampling


def side_by_side(grid: pd.DataFrame) -> None:
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


def in_process(grid: pd.DataFrame) -> None:
    """The engine alone: the same prompts and seeds, no server."""
    loop = ModelCache().get(str(WEIGHTS))
    for index, prompt in enumerate(grid["prompt"]):
        messages = [{"role": "user", "content": prompt}]
        sampling = Sampling(max_tokens=300, seed=index)
        loop.add(index, Generate(str(WEIGHTS), messages, sampling, stream=False))
    while loop.busy:
        loop.step()


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


def run(rounds: int = 3) -> None:
    grid = superhero_grid()
    with own_sandbox():
        first_token()  # the sampler is warm from here on
        together = [seconds(lambda: side_by_side(grid)) for _ in range(rounds)]
        serial = seconds(lambda: one_by_one(grid))
        together.append(seconds(lambda: side_by_side(grid)))
        engine = median(seconds(lambda: in_process(grid)) for _ in range(rounds))
        waited = median(first_token() for _ in range(9))
    http = median(together)
    detail = f"{serial:.1f} s / {http:.1f} s"
    show("294 descriptions: one by one / side by side", serial / http, "x", ">= 5", detail)
    detail = f"{http:.1f} s / {engine:.1f} s"
    show("294 descriptions: through the SDK / engine alone", http / engine, "x", "<= 1.3", detail)
    show("one prediction: time to first token", waited * 1000, "ms", "", "median of 9")


if __name__ == "__main__":
    run()
