"""The whole course in one program: write heroes, make a training file, fine-tune, ask.

    python scripts/superhero.py "40, woman, Healing ->"

It talks to the sandbox on this machine, which is free, unless `.env` holds a provider's key; then
it says first what each step costs, and asks. What it makes is kept in data/my. Stop it at any
time with Ctrl-C and run it again: finished descriptions are not asked for twice, and the job is
not created twice.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pandas as pd
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from course.grid import VALIDATION_POWERS, superhero_grid
from helpers.agree import NotAgreed, agree
from helpers.ask import ask_many
from helpers.check_file import check_file
from helpers.connect import connect, connect_async
from helpers.data import my
from helpers.deployment import model_to_call
from helpers.follow import watch
from helpers.jobs import create_once, find_job, upload
from helpers.jsonl import to_chat, write_jsonl
from helpers.money import estimate_training
from helpers.providers import OTHER, PROVIDERS
from helpers.settings import load_settings

NOTE = "40, woman, Healing ->"
LABELS = {"course": "superheroes", "made_by": "scripts/superhero.py"}
settings = load_settings()


def main(note: str) -> None:
    client = connect()
    print(f"\nThe base model, asked {note!r}:\n  {ask(client, settings.base_model, note)}\n")

    # 7 ages x 2 genders x 7 powers x 3 = 294 heroes to learn from. Three other powers are held
    # out: the loss on these 42 says whether the model learns more than the heroes themselves.
    train = write_file(superhero_grid(), "script_train")
    validation = write_file(superhero_grid(VALIDATION_POWERS, repeats=1), "script_validation")

    earlier = find_job(client, LABELS, base_model=settings.base_model)
    made = earlier or create_job(client, train, validation)
    for job, events in watch(client, made.id, on_trouble=print):
        if events:
            print(f"  {job.status}: {events[-1].message}", flush=True)
    if job.status != "succeeded":
        raise SystemExit(f"The job is {job.status}. {job.error.message if job.error else ''}")

    model = model_to_call(PROVIDERS.get(settings.provider, OTHER), client, job)
    print(f"\n{model}, asked {note!r}:\n  {ask(client, model, note)}")


def ask(client: OpenAI, model: str, note: str) -> str:
    """What a model answers to a bare note, with no instruction around it."""
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": note}],
        temperature=0.7,
        max_completion_tokens=200,
        **settings.options_for(model),
    )
    return (answer.choices[0].message.content or "").strip()


def write_file(grid: pd.DataFrame, name: str) -> Path:
    """Ask the generator for a description of each hero, many at a time; make a JSONL file."""

    async def ask_all() -> pd.DataFrame:
        path, model = my(f"{name}.csv"), settings.generator_model
        async with connect_async() as client:
            return await ask_many(client, grid, path, model=model, agree=agree)

    heroes = asyncio.run(ask_all())
    path = write_jsonl(my(f"{name}.jsonl"), to_chat(heroes))
    report = check_file(path, settings=settings)
    print(f"{report}\n")
    if not report.ok:
        raise SystemExit(f"Remove such rows from {name}.rows.jsonl in data/my, and run this again.")
    return path


def create_job(client: OpenAI, train: Path, validation: Path) -> FineTuningJob:
    """Upload both files and create the job; a lost answer does not become a second job."""
    agree(estimate_training(train, settings.base_model, None, provider=settings.provider))
    return create_once(
        client,
        model=settings.base_model,
        training_file=upload(client, train).id,
        validation_file=upload(client, validation).id,
        suffix="SuperHero",  # and the server chooses the hyperparameters
        metadata=LABELS,
        **settings.job_options,
    )


if __name__ == "__main__":
    try:
        main(" ".join(sys.argv[1:]) or NOTE)
    except NotAgreed as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("\nStopped. Nothing is lost: run it again to go on.")
        sys.exit(130)
