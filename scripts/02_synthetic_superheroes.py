"""Notebook 02 in short: hundreds of requests side by side; what is finished is never lost.

    python scripts/02_synthetic_superheroes.py --rows 294

Interrupt it, and start it again: it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

import pandas as pd
from openai import AsyncOpenAI

from course.grid import superhero_grid
from helpers.connect import connect, connect_async
from helpers.data import my
from helpers.money import estimate_generation
from helpers.settings import load_settings


async def ask(client: AsyncOpenAI, prompt: str) -> dict[str, str]:
    """One description, and why it ended."""
    settings = load_settings()
    answer = await client.chat.completions.create(
        model=settings.generator_model,
        messages=[{"role": "user", "content": prompt}],
        max_completion_tokens=300,
        **settings.chat_options,
    )
    choice = answer.choices[0]
    return {"response_txt": choice.message.content, "finish_reason": choice.finish_reason}


async def write_all(grid: pd.DataFrame, diary: Path) -> dict[int, dict[str, str]]:
    """The answers to all rows: those in the diary, and new ones, at most eight at a time."""
    lines = diary.read_text(encoding="utf-8").splitlines() if diary.exists() else []
    done = dict(json.loads(line) for line in lines)
    print(f"{len(done)} rows were there already, {len(grid) - len(done)} are to be written.")
    waiter = asyncio.Semaphore(8)

    async def one(number: int, prompt: str) -> None:
        async with waiter:
            done[number] = await ask(client, prompt)
            file.write(json.dumps([number, done[number]]) + "\n")
            file.flush()

    with diary.open("a", encoding="utf-8") as file:
        async with connect_async() as client:
            todo = [(n, p) for n, p in enumerate(grid["prompt"]) if n not in done]
            await asyncio.gather(*(one(number, prompt) for number, prompt in todo))
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=294, help="so many of the 294 rows")
    parser.add_argument("--output", type=Path, default=my("script_superheroes.csv"))
    options = parser.parse_args()

    connect()  # starts the sandbox if need be, and says who answers
    grid = superhero_grid().head(options.rows)
    print(estimate_generation(grid, load_settings().generator_model))
    answers = asyncio.run(write_all(grid, options.output.with_suffix(".rows.jsonl")))
    table = grid.join(pd.DataFrame.from_dict(answers, orient="index"))
    table.to_csv(options.output, index=False)
    print(f"{len(table)} heroes are in {options.output.name}. The first one:")
    print(f"  {table['sub_prompt'][0]} -> {table['response_txt'][0]}")
    print("unfinished:", int((table["finish_reason"] != "stop").sum()))


if __name__ == "__main__":
    main()
