"""`make data`: make the artefacts in data/ again, for real, on a fresh sandbox.

Everything that a notebook can start from: the generated rows and the training files of both
formats. They change only with the base model or the helpers.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import pandas as pd

from helpers.ask import VALIDATION_POWERS, generate, superhero_grid
from helpers.connect import connect, connect_async
from helpers.data import DATA, replace_text
from helpers.jsonl import to_chat, to_completions, write_jsonl
from helpers.sandbox import stop_sandbox
from helpers.settings import load_settings


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        own = {"SANDBOX_STATE": "state", "MY": "my", "ENV_FILE": "no.env"}
        os.environ |= {f"HEROES_{name}": str(Path(folder) / part) for name, part in own.items()}
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
            os.environ.pop(name, None)
        try:
            make_rows(Path(folder))
            make_jsonl()
        finally:
            stop_sandbox()


def make_rows(folder: Path) -> None:
    """The 294 rows and the 42 for validation, as notebook 02 makes them."""
    grids = {
        "superheroes.csv": superhero_grid(),
        "validation.csv": superhero_grid(VALIDATION_POWERS, repeats=1),
    }
    connect()

    async def work() -> None:
        async with connect_async() as client:
            for seed, (name, grid) in zip((0, 1000), grids.items(), strict=True):
                model = load_settings().generator_model
                await generate(client, grid, folder / name, model=model, seed=seed)
                text = (folder / name).read_text(encoding="utf-8")
                replace_text(DATA / name, text)

    asyncio.run(work())


def make_jsonl() -> None:
    """Both formats of both files, as notebook 03 makes them."""
    for source, name in (("superheroes", "train"), ("validation", "validation")):
        frame = pd.read_csv(DATA / f"{source}.csv")
        write_jsonl(DATA / f"{name}.jsonl", to_chat(frame))
        write_jsonl(DATA / f"{name}_completions.jsonl", to_completions(frame))


if __name__ == "__main__":
    main()
