"""Run the notebooks up to the superhero for real and show it: `make run`, or this file by itself.

    python tools/run_course.py [--all | --only 03 04] [--model NAME] [--yes] [--publish]

It runs 00 to 06, on the learner's own settings: the sandbox, unless a key for another provider is
configured. The executed notebooks and a summary are left in build/run. `--all` goes on to the
last notebook (`make course`). `--model` fine-tunes that base model: superhero-mini is the fast
lane. `--publish` also writes the measured seconds to docs/measured.json, from which the book makes
a table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import textwrap
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import openai
import pandas as pd
import psutil

from course.grid import superhero_grid
from helpers.connect import connect
from helpers.data import find, my, replace_text
from helpers.money import estimate_generation, estimate_training
from helpers.sandbox import SandboxError
from helpers.settings import Settings, SettingsError, load_settings
from tools.notebooks import ROOT, NotebookFailed, execute, find_notebooks, read, write

RUN = ROOT / "build" / "run"
MEASURED = ROOT / "docs" / "measured.json"
TO_THE_HERO = ("00", "01", "02", "03", "04", "05", "06")
WITH_THE_HERO = TO_THE_HERO[-1]  # the notebook that leaves the model's record behind
CELL_SECONDS = 3600  # a cell may wait for a job on a model a hundred times the usual one
NOTE = "40, woman, Healing ->"
PREDICTION_SEED = 42


class CourseError(RuntimeError):
    """The road was run, but what it should have left behind is not there."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the notebooks; the exit code is 0 if all of them ran to their ends."""
    parser = argparse.ArgumentParser(description="Run the course's notebooks for real.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="all notebooks, not only 00 to 06")
    which.add_argument("--only", nargs="+", default=[], metavar="NN", help="these notebooks")
    parser.add_argument("--model", metavar="NAME", help="the base model to fine-tune")
    parser.add_argument("--yes", action="store_true", help="go ahead where a provider costs money")
    parser.add_argument("--publish", action="store_true", help="store the seconds for the book")
    options = parser.parse_args(arguments)
    # The terminal may know fewer characters than a model can write.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        paths = find_notebooks(options.only or (() if options.all else TO_THE_HERO))
        if options.model:
            os.environ["HEROES_BASE_MODEL"] = options.model  # the notebooks' kernels read it, too
        return run(paths, load_settings(), paid=options.yes, publish=options.publish)
    except KeyboardInterrupt:
        print("\nStopped. What was made so far is kept; run it again to go on.")
        return 130
    except NotebookFailed as error:
        print(failure_text(error))
    except openai.APIError as error:
        print(f"\nThe endpoint answered with an error: {type(error).__name__}: {error}")
    except (SettingsError, SandboxError, CourseError, ValueError, OSError) as error:
        print(f"\n{error}")
    return 1


def run(paths: Sequence[Path], settings: Settings, paid: bool, publish: bool = False) -> int:
    """Run the notebooks in order, then write the summary and show the hero."""
    title = settings.title
    if settings.endpoint == "hosted":
        print(f"A key for {title} is configured, so this run costs money:\n{cost_text(settings)}")
        if not paid:
            print("\nNothing was run. To go ahead: add --yes. To stay free: take the key out of")
            print(".env (and out of the environment), and the sandbox answers instead.")
            return 1
    count = f"{len(paths)} notebook{'s' if len(paths) > 1 else ''}"
    print(f"Running {count} on {title}.\n", flush=True)
    seconds = {path.stem: run_notebook(path) for path in paths}
    print(f"\n{count} in {sum(seconds.values()):.0f} seconds.")
    if publish:
        publish_seconds(seconds)
    if any(name.startswith(WITH_THE_HERO) for name in seconds):
        finish(settings, seconds)
    print(f"The executed notebooks are in {RUN.relative_to(ROOT)}.")
    print("Where to go next: make lab (without make: see README.md)")
    return 0


def cost_text(settings: Settings) -> str:
    """What the road costs on the configured provider, as far as that can be known before."""
    estimates = [estimate_generation(superhero_grid(), settings.generator_model)]
    with suppress(FileNotFoundError):  # then notebook 03, which makes the file, tells the price
        estimates.append(estimate_training(find("train.jsonl"), settings.base_model))
    return "\n".join([*(f"  {each}" for each in estimates), "  and a little for conversations"])


def run_notebook(path: Path) -> float:
    """Run one notebook, keep the executed copy whatever happens, and return the seconds."""
    notebook, started, said = read(path), time.monotonic(), 0.0
    alive = sys.stdout.isatty()

    def on_cell(number: int, count: int) -> None:
        nonlocal said
        seconds = time.monotonic() - started
        line = f"  {path.stem:<28} cell {number:>2} of {count}  {seconds:5.0f} s"
        if alive:
            print(f"\r{line}", end="", flush=True)
        elif seconds - said > 10:  # a log needs no more than a line every ten seconds
            said = seconds
            print(line, flush=True)

    try:
        execute(notebook, path, on_cell, CELL_SECONDS)
    finally:
        write(notebook, RUN / path.name)
        seconds = round(time.monotonic() - started, 1)
        done = sum(cell.get("execution_count") is not None for cell in notebook.cells)
        print(f"{chr(13) * alive}  {path.stem:<28} {done:>2} cells       {seconds:6.1f} s")
    return seconds


def publish_seconds(seconds: dict[str, float]) -> None:
    """Store what was measured for the book: a notebook that was not run keeps its old figure."""
    before = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.is_file() else {}
    cores = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else 0
    measured = {
        "machine": f"{cores or psutil.cpu_count()} cores, {platform.system()} on "
        f"{platform.machine()}, Python {platform.python_version()}, torch {version('torch')}",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "notebooks": dict(sorted({**before.get("notebooks", {}), **seconds}.items())),
    }
    replace_text(MEASURED, json.dumps({**before, **measured}, indent=2) + "\n")


def finish(settings: Settings, seconds: dict[str, float]) -> None:
    """Ask the tuned model for the hero, write the summary, and print the prediction."""
    record = read_record(my("model.json"))
    with connect(announce=False) as client:
        text = predict(client, settings, record["fine_tuned_model"])
        job = client.fine_tuning.jobs.retrieve(record["job_id"])
    summary = {
        "endpoint": settings.endpoint,
        "generator_model": settings.generator_model,
        "base_model": record["base_model"],
        "fine_tuned_model": record["fine_tuned_model"],
        "job_seconds": job.finished_at - job.created_at if job.finished_at else None,
        "rows": len(pd.read_csv(find("superheroes.csv"))),
        "prediction": text,
        "seconds": seconds,
    }
    replace_text(RUN / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    print(hero_text(summary))


def read_record(path: Path) -> dict[str, str]:
    """What notebook 06 saved about the tuned model. Raises CourseError, naming what is wrong."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {name: record[name] for name in ("fine_tuned_model", "base_model", "job_id")}
    except (OSError, ValueError, TypeError, LookupError) as error:
        why = f"{type(error).__name__}: {error}"
        raise CourseError(f"{path.name}: {why}. Notebook 06 writes it; run it again.") from error


def predict(client: openai.OpenAI, settings: Settings, model: str) -> str:
    """The tuned model's answer to the bare note. Raises CourseError if there is none."""
    request: dict[str, Any] = {"temperature": 0.7, "max_completion_tokens": 250}
    request |= settings.options_for(model)
    if settings.seeds:
        request["seed"] = PREDICTION_SEED
    try:
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": NOTE}], **request
        )
    except openai.NotFoundError as error:
        raise CourseError(
            f"The model {model} was deleted. Notebook 05 makes a new one: run this again with "
            "--only 05 06."
        ) from error
    text = (answer.choices[0].message.content or "").strip()
    if not text:
        raise CourseError(f"The model {model} gave an empty answer.")
    return text


def hero_text(summary: dict[str, Any]) -> str:
    """The end of the road, for the terminal."""
    took = f" in {summary['job_seconds']} seconds" if summary["job_seconds"] else ""
    hero = textwrap.fill(summary["prediction"], 84, initial_indent="    ", subsequent_indent="    ")
    return f"""
{summary["rows"]} descriptions written by {summary["generator_model"]}.
{summary["base_model"]} was fine-tuned on them{took}.
The new model is {summary["fine_tuned_model"]}. Asked

    {NOTE}

it writes:

{hero}
"""


def failure_text(error: NotebookFailed) -> str:
    """What went wrong and where; the traceback is in the executed notebook."""
    source = textwrap.indent("\n".join(error.source.strip().splitlines()[:12]), "    ")
    return (
        f"\n{error.path.name} stopped in code cell {error.cell}:\n\n{source}\n\n"
        f"{textwrap.shorten(error.error, 600)}\n\n"
        f"The notebook with the whole error is {(RUN / error.path.name).relative_to(ROOT)}. "
        "`heroes doctor` checks this machine."
    )


if __name__ == "__main__":
    sys.exit(main())
