"""Notebook 09 in short: look facts up, or learn them by heart? The same questions both ways.

python scripts/09_retrieval_or_fine_tuning.py
"""

from __future__ import annotations

import asyncio

import pandas as pd
from openai import OpenAI

from course.facts import card_text, marks, questions, tally
from helpers.connect import connect, connect_async
from helpers.data import find, my
from helpers.follow import follow
from helpers.jobs import upload
from helpers.jsonl import write_jsonl
from helpers.retrieval import cosine_scores, found, top, word_scores
from helpers.settings import load_settings

SETTINGS = load_settings()


def message(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


async def ask_all(model: str, prompts: list[str]) -> list[str]:
    """Many questions, some of them side by side, each in a chat of its own."""
    answers, most = [], SETTINGS.concurrency
    call = {"model": model, "temperature": 0, "max_completion_tokens": 40}
    call |= SETTINGS.options_for(model)
    async with connect_async() as client:
        create = client.chat.completions.create
        for part in (prompts[start : start + most] for start in range(0, len(prompts), most)):
            calls = [create(messages=[message("user", prompt)], **call) for prompt in part]
            answers += [reply.choices[0].message.content for reply in await asyncio.gather(*calls)]
    return answers


def learn(client: OpenAI, asked: pd.DataFrame) -> str:
    """A model that learns the answers by heart; its name comes back when it is trained."""
    pairs = asked[["question", "answer"]].to_numpy()
    rows = [{"messages": [message("user", q), message("assistant", a)]} for q, a in pairs]
    numbers = {"n_epochs": 12, "batch_size": 8, "learning_rate_multiplier": 2}
    job = client.with_options(max_retries=0).fine_tuning.jobs.create(
        model=SETTINGS.base_model,
        training_file=upload(client, write_jsonl(my("script_by_heart.jsonl"), rows)).id,
        suffix="by-heart",
        method={"type": "supervised", "supervised": {"hyperparameters": numbers}},
        **SETTINGS.job_options,
    )
    return follow(client, job.id).fine_tuned_model


def main() -> None:
    client, base = connect(), SETTINGS.base_model
    heroes = pd.read_csv(find("hero_facts.csv"))
    cards = [card_text(hero) for hero in heroes.to_dict("records")]
    asked = questions(heroes)
    texts = asked["question"].tolist()
    scores = {"words": word_scores(cards, texts)}
    if model := SETTINGS.embedding_model:
        made = client.embeddings.create(model=model, input=cards + texts).data
        vectors = [each.embedding for each in made]
        scores["embeddings"] = cosine_scores(vectors[: len(cards)], vectors[len(cards) :])
    for way, table in scores.items():
        print(f"By {way}, {sum(found(table, list(asked.index)))} of {len(texts)} cards are found.")

    best = top(scores["words"])[:, 0]
    helped = [f"Facts:\n- {cards[n]}\n\nQuestion: {q}" for n, q in zip(best, texts, strict=True)]
    old = (heroes["added"] == "before training")[asked.index].to_numpy()
    heart = learn(client, asked[old])
    ways = {"base alone": (base, texts), "retrieval": (base, helped), "by heart": (heart, texts)}
    for way, (model, prompts) in ways.items():
        marked = pd.Series(marks(asyncio.run(ask_all(model, prompts)), asked))
        print(f"{way}: facts before the training: {tally(marked[old])}")
        print(f"{way}: facts added afterwards:    {tally(marked[~old])}")


if __name__ == "__main__":
    main()
