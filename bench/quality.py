"""How good is superhero-mini, before and after the course's own fine-tuning job?

`python -m bench.quality` asks the sandbox for 200 heroes in each of five settings, through the
API, and lets the course's judge count the right ones. The heroes and the seeds are fixed, so the
same weights give the same table. `--learning-rate-multiplier` and `--epochs` try other recipes.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Sequence

from openai import AsyncOpenAI, omit

from course.grid import AGES, GENDERS, POWERS, PROMPT, VALIDATION_POWERS
from course.judge import reason_counts, score
from course.powers import catalogue
from helpers.connect import connect, connect_async
from helpers.data import DATA
from helpers.jsonl import SUB_PROMPT
from helpers.settings import load_settings
from helpers.statistics import pass_rate

SAMPLES = 200
SEED = 2026
Hero = tuple[int, str, str]


def heroes(ages: Sequence[int], powers: Sequence[str], seed: int, n: int = SAMPLES) -> list[Hero]:
    """`n` heroes (age, gender, power) drawn with a fixed seed."""
    rng = random.Random(seed)
    return [(rng.choice(ages), rng.choice(GENDERS), rng.choice(powers)) for _ in range(n)]


async def answers(
    client: AsyncOpenAI, model: str, prompts: Sequence[str], temperature: float
) -> list[str]:
    """One answer to each prompt; answer i has the seed SEED + i."""

    async def one(index: int, prompt: str) -> str:
        reply = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": prompt}],
            temperature=temperature,
            max_completion_tokens=300,
            seed=SEED + index,
        )
        return reply.choices[0].message.content or ""

    return await asyncio.gather(*(one(i, prompt) for i, prompt in enumerate(prompts)))


def measure(
    name: str, model: str, wanted: list[Hero], template: str, temperature: float, show: int = 0
) -> None:
    """Ask, judge and print one row; `show` refused answers follow with their reasons."""
    prompts = [template.format(age=a, gender=g, power=p) for a, g, p in wanted]

    async def ask() -> list[str]:
        async with connect_async() as client:
            return await answers(client, model, prompts, temperature)

    frame = score(asyncio.run(ask()), wanted)
    counts = ", ".join(f"{kind} {n}" for kind, n in reason_counts(frame).items() if n)
    print(f"{name:<58} {pass_rate(frame)!s:<46} refused for: {counts or 'nothing'}", flush=True)
    for row in frame[~frame["ok"]].head(show).itertuples():
        print(f"    {row.age}, {row.gender}, {row.power}: {row.reasons}\n      {row.text}")


def fine_tune(
    multiplier: float | str,
    epochs: int | str,
    seed: int,
    *,
    base: str | None = None,
    rows: int | None = None,
    validate: bool = True,
) -> tuple[str, int]:
    """The course's own job on the shipped rows, or the first ``rows``; its model and its seconds.

    ``base`` is the one of the settings if none is named.
    """
    client = connect(announce=False).with_options(max_retries=0)
    files: dict[str, str] = {}
    for name in ("train", "validation") if validate else ("train",):
        lines = (DATA / f"{name}.jsonl").read_bytes().splitlines(keepends=True)
        content = b"".join(lines if name == "validation" else lines[:rows])
        made = client.files.create(file=(f"{name}.jsonl", content), purpose="fine-tune")
        files[name] = made.id
    numbers = {"n_epochs": epochs, "learning_rate_multiplier": multiplier, "batch_size": "auto"}
    job = client.fine_tuning.jobs.create(
        model=base or load_settings().base_model,
        training_file=files["train"],
        validation_file=files.get("validation", omit),
        suffix="quality",
        seed=seed,
        method={"type": "supervised", "supervised": {"hyperparameters": numbers}},
    )
    while job.status not in ("succeeded", "failed", "cancelled"):
        asyncio.run(asyncio.sleep(0.5))
        job = client.fine_tuning.jobs.retrieve(job.id)
    if job.status != "succeeded" or job.fine_tuned_model is None or job.finished_at is None:
        raise SystemExit(f"The job ended as {job.status}: {job.error}")
    return job.fine_tuned_model, job.finished_at - job.created_at


def number_or_auto(text: str) -> float | str:
    return text if text == "auto" else float(text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--learning-rate-multiplier", type=number_or_auto, default="auto")
    parser.add_argument("--epochs", default="auto", help="a number, or auto")
    parser.add_argument("--seed", type=int, default=42, help="the job's seed")
    parser.add_argument("--show", type=int, default=0, help="refused answers to print per row")
    parser.add_argument("--skip-base", action="store_true", help="measure the tuned model only")
    options = parser.parse_args()

    held_out = [p for p in catalogue().powers if p not in (*POWERS, *VALIDATION_POWERS)]
    unseen = [age for age in range(16, 100) if age not in AGES]
    known = heroes(AGES, POWERS, SEED)
    new_powers = heroes(AGES, held_out, SEED + 1)
    all_new = heroes(unseen, held_out, SEED + 2)
    short = SUB_PROMPT + " ->"
    print(f"{SAMPLES} samples a row, seeds {SEED} to {SEED + SAMPLES - 1}")
    if not options.skip_base:
        base = load_settings().base_model
        measure("base, long prompt, T 1", base, known, PROMPT, 1.0, options.show)
        measure("base, long prompt, new powers and ages, T 1", base, all_new, PROMPT, 1.0)
        measure("base, short prompt, T 0.7", base, known, short, 0.7)
        measure("base, short prompt, new powers and ages, T 0.7", base, all_new, short, 0.7)
    epochs = options.epochs if options.epochs == "auto" else int(options.epochs)
    tuned, seconds = fine_tune(options.learning_rate_multiplier, epochs, options.seed)
    print(f"fine-tuned on train.jsonl in {seconds} s")
    for name, wanted in (
        ("the file's powers", known),
        ("other powers", new_powers),
        ("other powers and ages", all_new),
    ):
        measure(f"tuned, short prompt, {name}, T 0.7", tuned, wanted, short, 0.7, options.show)


if __name__ == "__main__":
    main()
