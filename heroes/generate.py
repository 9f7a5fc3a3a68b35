"""`heroes generate`: let a model write the training data, as notebook 02 does."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from heroes.options import MAX_TOKENS, Agreed, Json, MaxTokens, MaxUsd, Model
from heroes.output import INTERRUPTED, CommandError, show
from heroes.paying import agree

if TYPE_CHECKING:
    import pandas as pd

VALIDATION_SEED = 1000  # as in notebook 02: other heroes than the training data's


def generate(
    model: Model = None,
    output: Annotated[
        Path | None, Option("--output", "-o", help="The table; your own folder by default.")
    ] = None,
    validation: Annotated[
        bool, Option("--validation", help="The 42 heroes of the validation set instead.")
    ] = False,
    powers: Annotated[
        list[str] | None, Option("--power", help="Your own power; may be repeated.")
    ] = None,
    repeats: Annotated[int | None, Option(min=1, help="How often each hero is written.")] = None,
    temperature: Annotated[
        float, Option(min=0, max=2, help="0 always writes the same; higher values vary more.")
    ] = 1.0,
    max_tokens: MaxTokens = MAX_TOKENS,
    seed: Annotated[
        int | None, Option(help="Other seeds give other heroes, if the server supports seeds.")
    ] = None,
    at_once: Annotated[int | None, Option(min=1, help="How many calls at the same time.")] = None,
    fresh: Annotated[bool, Option("--fresh", help="Forget the rows of an earlier run.")] = False,
    max_usd: MaxUsd = None,
    yes: Agreed = False,
    json: Json = False,
) -> None:
    """Let a model write the 294 superheroes. Ctrl-C loses nothing: the same command goes on.

    Example: heroes generate --power "Talking to Toasters" --repeats 2 -o toasters.csv
    """
    from course.grid import POWERS, VALIDATION_POWERS, superhero_grid
    from helpers.data import my
    from helpers.settings import load_settings

    usual = (VALIDATION_POWERS, 1) if validation else (POWERS, 3)
    grid = superhero_grid(powers=powers or usual[0], repeats=repeats or usual[1])
    path = output or my("validation.csv" if validation else "superheroes.csv")
    settings = load_settings()
    options = {
        "model": model or settings.generator_model,
        "settings": settings,
        "agree": lambda estimate: agree(estimate, yes, max_usd),
        "temperature": temperature,
        "max_tokens": max_tokens,
        "seed": seed if seed is not None else (VALIDATION_SEED if validation else 0),
        "concurrency": at_once,
        "fresh": fresh,
    }
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for the answer
            frame = asyncio.run(_write(grid, path, options))
    except KeyboardInterrupt:
        words = f"Stopped. The finished rows are kept beside {path.name}; the same command goes on."
        raise CommandError(words, INTERRUPTED) from None
    show({"path": str(path), "rows": len(frame)}, json, str(path))


async def _write(grid: pd.DataFrame, path: Path, options: dict[str, Any]) -> pd.DataFrame:
    from helpers.ask import ask_many
    from helpers.connect import connect_async

    async with connect_async() as api:
        return await ask_many(api, grid, path, progress=sys.stderr.isatty(), **options)
