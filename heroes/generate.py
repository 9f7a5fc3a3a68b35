"""`heroes generate`: let a model write the training data, as notebook 02 does."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heroes import defaults
from heroes.chat import Model
from heroes.output import INTERRUPTED, Json, note, plainly, show_json
from heroes.paying import Agreed, MaxUsd, agree

if TYPE_CHECKING:
    import pandas as pd


@plainly
def generate(
    model: Model = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The table to write; your own folder by default."),
    ] = None,
    exam: Annotated[
        bool, typer.Option("--exam", help="The 42 heroes of the exam instead: other powers.")
    ] = False,
    powers: Annotated[
        list[str] | None, typer.Option("--power", help="Your own power; may be repeated.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="How often each hero is written.")
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=0, max=2, help="How varied: 1 as it comes, 0 always the same.")
    ] = defaults.TEMPERATURE,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="The longest description, in tokens.")
    ] = defaults.MAX_TOKENS,
    seed: Annotated[
        int | None, typer.Option(help="Other seeds give other heroes, where the server has them.")
    ] = None,
    at_once: Annotated[int | None, typer.Option(min=1, help="How many calls side by side.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget the rows of an earlier run.")
    ] = False,
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

    grid = superhero_grid(
        powers=powers or (VALIDATION_POWERS if exam else POWERS),
        repeats=repeats or (1 if exam else 3),
    )
    path = output or my(defaults.EXAM_FILE if exam else defaults.HEROES_FILE)
    settings = load_settings()
    options: dict[str, Any] = {
        "model": model or settings.generator_model,
        "agree": lambda estimate: agree(estimate, yes, max_usd),
        "settings": settings,
        "max_usd": max_usd,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "seed": seed if seed is not None else (defaults.EXAM_SEED if exam else 0),
        "concurrency": at_once,
        "fresh": fresh,
    }
    try:
        # Its words are for people: stdout is kept for the answer.
        with contextlib.redirect_stdout(sys.stderr):
            frame = asyncio.run(_write(grid, path, options))
    except KeyboardInterrupt:
        note(f"Stopped. The finished rows are safe beside {path.name}; the same command goes on.")
        raise typer.Exit(INTERRUPTED) from None
    if json:
        show_json({"path": str(path), "rows": len(frame)})
    else:
        typer.echo(str(path))


async def _write(grid: pd.DataFrame, path: Path, options: dict[str, Any]) -> pd.DataFrame:
    from helpers.ask import generate as write
    from helpers.connect import connect_async

    async with connect_async() as api:
        return await write(api, grid, path, progress=sys.stderr.isatty(), **options)
