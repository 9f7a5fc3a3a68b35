"""Notebook 07 in short: four ways to get a hero, each with a score, an interval and a price.

python scripts/07_evaluation.py --heroes 60
"""

from __future__ import annotations

import argparse
import asyncio
import random

import pandas as pd

from course.grid import AGES, GENDERS, PROMPT
from course.judge import pass_rate, reason_counts, score
from course.powers import power_names
from helpers.connect import connect, connect_async
from helpers.data import find
from helpers.follow import follow
from helpers.jobs import ensure_job
from helpers.jsonl import read_jsonl
from helpers.prices import usage_cost
from helpers.reciting import NEAR_COPY, copied
from helpers.settings import load_settings

HOSTED = "gpt-4.1-mini"  # whose prices are shown, since the sandbox has none


async def ask_all(model: str, chats: list[list[dict[str, str]]]) -> pd.DataFrame:
    """The answers, many at a time: a table with text, tokens_in, tokens_out."""
    settings = load_settings()
    at_once = asyncio.Semaphore(settings.concurrency)
    async with connect_async() as client:

        async def ask(chat: list[dict[str, str]]) -> tuple[str, int, int]:
            options = {"max_completion_tokens": 200, **settings.options_for(model)}
            async with at_once:
                reply = await client.chat.completions.create(
                    model=model, messages=chat, temperature=0.7, **options
                )
            used = reply.usage
            return reply.choices[0].message.content, used.prompt_tokens, used.completion_tokens

        answers = await asyncio.gather(*map(ask, chats))
    return pd.DataFrame(answers, columns=["text", "tokens_in", "tokens_out"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heroes", type=int, default=60, help="so many questions in the exam")
    size, chance = parser.parse_args().heroes, random.Random(2026)
    choices = {"age": AGES, "gender": GENDERS, "power": power_names(in_data_set=False)}
    exam = [{name: chance.choice(of) for name, of in choices.items()} for _ in range(size)]

    client, base = connect(), load_settings().base_model
    tuned = follow(client, ensure_job(client, load_settings(), "chat").id).fine_tuned_model
    rows = [row["messages"] for row in read_jsonl(find("train.jsonl"))]
    shown = [m for row in sorted(rows, key=lambda row: len(row[1]["content"]))[:2] for m in row]
    notes = [{"role": "user", "content": "{age}, {gender}, {power} ->".format(**h)} for h in exam]
    requests = [{"role": "user", "content": PROMPT.format(**hero)} for hero in exam]
    ways = {
        "base, note": (base, HOSTED, [[note] for note in notes]),
        "base, two examples": (base, HOSTED, [[*shown, note] for note in notes]),
        "base, long prompt": (base, HOSTED, [[request] for request in requests]),
        "tuned, note": (tuned, f"ft:{HOSTED}", [[note] for note in notes]),
    }
    for name, (model, priced, chats) in ways.items():
        answers = asyncio.run(ask_all(model, chats))
        table = score(answers["text"], exam)
        sent, written = answers["tokens_in"].mean(), answers["tokens_out"].mean()
        shares = copied(answers["text"].tolist(), [row[1]["content"] for row in rows])
        print(f"\n{name}: {pass_rate(table)}")
        print("  refused for:", reason_counts(table).to_dict())
        print(f"  {sent:.0f} tokens in, {written:.0f} out; on {priced}, a thousand such calls")
        print(f"  would cost ${1000 * usage_cost(priced, sent, written):.2f}")
        print("  near-copies of training rows:", sum(share >= NEAR_COPY for share in shares))


if __name__ == "__main__":
    main()
