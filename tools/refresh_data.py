"""`make data`: make the files in data/ that notebooks start from again, for real.

The generated rows and the training files of both formats, on a fresh sandbox. They change only
with the base model or the helpers.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd

from course.grid import VALIDATION_POWERS, superhero_grid
from helpers.ask import ask_many
from helpers.connect import connect_async
from helpers.data import DATA, replace_text
from helpers.jsonl import to_chat, to_completions, write_jsonl
from helpers.sandbox import stop_sandbox
from helpers.settings import load_settings
from tools.conditions import own_environment

SEED = 7  # of the sixty rows of notebook 00


async def write_rows(name: str, grid: pd.DataFrame, seed: int, folder: Path) -> pd.DataFrame:
    """A table with a description for each row of the grid, as notebook 02 makes it."""
    model = load_settings().generator_model
    async with connect_async() as client:
        await ask_many(client, grid, folder / name, model=model, seed=seed)
    replace_text(DATA / name, (folder / name).read_text(encoding="utf-8"))
    return pd.read_csv(DATA / name)


def main() -> None:
    grids = {
        "train": ("superheroes.csv", superhero_grid(), 0),
        "validation": ("validation.csv", superhero_grid(VALIDATION_POWERS, repeats=1), 1000),
    }
    with own_environment() as folder:
        try:
            for purpose, (name, grid, seed) in grids.items():
                rows = asyncio.run(write_rows(name, grid, seed, folder))
                write_jsonl(DATA / f"{purpose}.jsonl", to_chat(rows))
                write_jsonl(DATA / f"{purpose}_completions.jsonl", to_completions(rows))
                if purpose == "train":
                    write_jsonl(DATA / "sixty.jsonl", to_chat(rows.sample(60, random_state=SEED)))
        finally:
            stop_sandbox()


if __name__ == "__main__":
    main()
