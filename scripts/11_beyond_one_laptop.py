"""Notebook 11 in short: hundreds of prompts as one batch, and what a large plan would cost.

python scripts/11_beyond_one_laptop.py --rows 294
"""

from __future__ import annotations

import argparse
import json
import time

from openai import OpenAI
from openai.types import Batch

from course.grid import superhero_grid
from course.judge import pass_rate, score
from helpers.connect import connect
from helpers.data import my
from helpers.money import estimate_generation
from helpers.prices import money, shutdown_note
from helpers.settings import load_settings

ENDED = ("completed", "failed", "expired", "cancelled")
CHAT = "/v1/chat/completions"


def line(number: int, prompt: str) -> str:
    """One request of a batch. Answers come in any order, so each has an id of its own."""
    settings = load_settings()
    messages = [{"role": "user", "content": prompt}]
    call = {"model": settings.generator_model, "messages": messages, "max_completion_tokens": 300}
    body = {**call, **settings.chat_options}
    request = {"custom_id": f"row-{number}", "method": "POST", "url": CHAT, "body": body}
    return json.dumps(request) + "\n"


def wait(client: OpenAI, batch: Batch) -> Batch:
    """Look again and again; hosted providers promise an answer within a day."""
    while batch.status not in ENDED:
        time.sleep(1)
        batch = client.batches.retrieve(batch.id)
        print(f"  {batch.status}: {batch.request_counts.completed} are done", flush=True)
    return batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=294, help="so many of the 294 prompts")
    grid = superhero_grid().head(parser.parse_args().rows)
    client = connect()

    path = my("script_batch.jsonl")
    lines = [line(number, prompt) for number, prompt in enumerate(grid["prompt"])]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    file = client.files.create(file=path, purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    print(f"Sent as one batch: {batch.id}")
    batch = wait(client, batch)
    if batch.status != "completed":
        raise SystemExit(f"The batch is {batch.status}: {batch.errors}")

    found = {}
    for answer in client.files.content(batch.output_file_id).text.splitlines():
        row = json.loads(answer)
        number = int(row["custom_id"].removeprefix("row-"))
        found[number] = row["response"]["body"]["choices"][0]["message"]["content"]
    heroes = grid.loc[sorted(found)]
    texts = [found[number] for number in heroes.index]
    print(f"{len(found)} of {len(grid)} rows were answered.")
    print("The judge passes", pass_rate(score(texts, heroes)))

    for model in ("gpt-4.1-mini", "gpt-6-luna"):
        print()
        for way, cheap in (("one by one", False), ("as batches", True)):
            usd = estimate_generation(grid, model, batch=cheap).usd or 0
            print(f"{1000 * len(grid):,} such rows with {model}, {way}: {money(1000 * usd)}")
        print(shutdown_note(model) or "No date is known on which this model ends.")


if __name__ == "__main__":
    main()
