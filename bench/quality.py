"""How good is a base model, before and after the course's own fine-tuning job?

`python -m bench.quality` asks the sandbox for 200 heroes in each setting, through the API, and
lets a judge count the right ones: the course's own for superhero-mini, the fair one for any other
(`--base smollm2-135m-instruct`). The heroes and the seeds of the answers are fixed, so the same
weights give the same table. For mini the other powers are those of `unheard_powers.toml`, which
it has never read, and the ages run from 1 to 120. `--seeds 1 2 3` trains three times; `--rows 60`
on the first 60 rows; `--learning-rate-multiplier` and `--epochs` try other recipes.
SANDBOX_PRECISION=float32 shows what the precision does.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from openai import AsyncOpenAI, omit
from openai.types.chat.chat_completion import Choice

from course.experiments import finished
from course.grid import AGES, GENDERS, POWERS, PROMPT
from course.judge import fair, reason_counts, score
from helpers.connect import connect, connect_async
from helpers.data import DATA
from helpers.jsonl import SUB_PROMPT
from helpers.settings import load_settings
from helpers.statistics import pass_rate

SAMPLES = 200
SEED = 2026
MINI = "superhero-mini"
UNHEARD = Path(__file__).with_name("unheard_powers.toml")
# Neither in the file nor used when rate and epochs of a base were chosen.
OTHER_POWERS = (
    *("talking to cats", "healing", "super strength", "time travel", "juggling knives"),
    *("solving crosswords", "moving furniture", "predicting rain", "throwing lightning"),
    *("running on water", "repairing clocks", "cooking soup", "reading maps", "lifting trucks"),
    *("swimming with sharks", "changing colours", "sleeping standing up", "stopping trains"),
    *("waking volcanoes", "remembering names"),
)
Hero = tuple[int, str, str]


def heroes(ages: Sequence[int], powers: Sequence[str], seed: int, n: int = SAMPLES) -> list[Hero]:
    """`n` heroes (age, gender, power) drawn with a fixed seed."""
    rng = random.Random(seed)
    return [(rng.choice(ages), rng.choice(GENDERS), rng.choice(powers)) for _ in range(n)]


async def answers(
    client: AsyncOpenAI, model: str, prompts: Sequence[str], temperature: float
) -> list[Choice]:
    """One answer to each prompt; answer i has the seed SEED + i."""

    async def one(index: int, prompt: str) -> Choice:
        reply = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": prompt}],
            temperature=temperature,
            max_completion_tokens=300,
            seed=SEED + index,
        )
        return reply.choices[0]

    return await asyncio.gather(*(one(i, prompt) for i, prompt in enumerate(prompts)))


def judged(choices: Sequence[Choice], wanted: list[Hero], strict: bool) -> pd.DataFrame:
    """The table of `score`, by the course's own judge (strict: it knows mini) or the fair one."""
    texts = [choice.message.content or "" for choice in choices]
    frame = score(texts, wanted)
    if strict:
        return frame
    verdicts = [
        fair(text, *hero, finished=choice.finish_reason == "stop")
        for text, hero, choice in zip(texts, wanted, choices, strict=True)
    ]
    return frame.assign(
        ok=[v.ok for v in verdicts], reasons=["; ".join(v.reasons) for v in verdicts]
    )


def measure(
    name: str,
    model: str,
    wanted: list[Hero],
    template: str,
    temperature: float,
    *,
    strict: bool,
    show: int = 0,
) -> None:
    """Ask, judge and print one row; `show` refused answers follow with their reasons."""
    prompts = [template.format(age=a, gender=g, power=p) for a, g, p in wanted]

    async def ask() -> list[Choice]:
        async with connect_async() as client:
            return await answers(client, model, prompts, temperature)

    frame = judged(asyncio.run(ask()), wanted, strict)
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
    lines: Sequence[bytes] | None = None,
    validate: bool = True,
) -> tuple[str, float]:
    """The course's own job on the shipped rows, or the first ``rows``; its model and its seconds.

    ``base`` is the one of the settings if none is named; ``lines`` are other rows to train on.
    """
    client = connect(announce=False).with_options(max_retries=0)
    files: dict[str, str] = {}
    for name in ("train", "validation") if validate else ("train",):
        shipped = (DATA / f"{name}.jsonl").read_bytes().splitlines(keepends=True)
        content = b"".join(shipped if name == "validation" else lines or shipped[:rows])
        made = client.files.create(file=(f"{name}.jsonl", content), purpose="fine-tune")
        files[name] = made.id
    numbers = {"n_epochs": epochs, "learning_rate_multiplier": multiplier, "batch_size": "auto"}
    started = time.monotonic()
    job = client.fine_tuning.jobs.create(
        model=base or load_settings().base_model,
        training_file=files["train"],
        validation_file=files.get("validation", omit),
        suffix="quality",
        seed=seed,
        method={"type": "supervised", "supervised": {"hyperparameters": numbers}},
    )
    return finished(client, job.id, every=0.5), round(time.monotonic() - started, 1)


def number_or_auto(text: str) -> float | str:
    return text if text == "auto" else float(text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--learning-rate-multiplier", type=number_or_auto, default="auto")
    parser.add_argument("--epochs", default="auto", help="a number, or auto")
    parser.add_argument("--base", default=load_settings().base_model)
    parser.add_argument("--rows", type=int, help="train on the first ones only")
    parser.add_argument("--seeds", type=int, nargs="*", default=[42], help="a job for each")
    parser.add_argument("--temperature", type=float, default=0.7, help="of the short prompts")
    parser.add_argument(
        "--development", action="store_true", help="mini: powers to choose by, not to report"
    )
    parser.add_argument("--show", type=int, default=0, help="refused answers to print per row")
    parser.add_argument("--skip-base", action="store_true", help="measure the tuned model only")
    options = parser.parse_args()
    base, at, strict = options.base, options.temperature, options.base == MINI

    unheard = tomllib.loads(UNHEARD.read_text(encoding="utf-8"))
    others = unheard["development" if options.development else "test"] if strict else OTHER_POWERS
    ages = range(1, 121) if strict else range(16, 100)
    unseen = [age for age in ages if age not in AGES]
    known = heroes(AGES, POWERS, SEED)
    new_powers = heroes(AGES, others, SEED + 1)
    all_new = heroes(unseen, others, SEED + 2)
    short = SUB_PROMPT + " ->"
    print(f"{base}: {SAMPLES} samples a row, seeds {SEED} to {SEED + SAMPLES - 1}")
    if not options.skip_base:
        spelled = [(age, gender, power.upper()) for age, gender, power in known]
        for name, wanted, template, temperature in (
            ("long prompt, T 1", known, PROMPT, 1.0),
            ("long prompt, new ages, T 1", heroes(unseen, POWERS, SEED + 3), PROMPT, 1.0),
            ("long prompt, in capitals, T 1", spelled, PROMPT, 1.0),
            ("long prompt, new powers and ages, T 1", all_new, PROMPT, 1.0),
            (f"short prompt, T {at}", known, short, at),
            (f"short prompt, new powers and ages, T {at}", all_new, short, at),
        ):
            measure(f"base, {name}", base, wanted, template, temperature, strict=strict)
    epochs = options.epochs if options.epochs == "auto" else int(options.epochs)
    for seed in options.seeds:
        tuned, seconds = fine_tune(
            options.learning_rate_multiplier, epochs, seed, base=base, rows=options.rows
        )
        print(f"fine-tuned on train.jsonl in {seconds} s, seed {seed}")
        for name, wanted in (
            ("the file's powers", known),
            ("other powers", new_powers),
            ("other powers and ages", all_new),
        ):
            name = f"tuned, short prompt, {name}, T {at}"
            measure(name, tuned, wanted, short, at, strict=strict, show=options.show)


if __name__ == "__main__":
    main()
