"""Notebook 09 in short: look a fact up, by words or by embeddings, and put it into the prompt.

python scripts/09_retrieval_or_fine_tuning.py "What is the power of Pilar?"
"""

from __future__ import annotations

import argparse

import pandas as pd
from openai import OpenAI

from helpers.artefacts import find
from helpers.endpoint import connect
from helpers.facts import card_text, marks, questions, tally
from helpers.retrieval import Scores, cosine_scores, found, top, word_scores
from helpers.settings import load_settings


def vectors(client: OpenAI, texts: list[str]) -> list[list[float]]:
    """An embedding for each text: texts about the same thing get similar numbers."""
    reply = client.embeddings.create(model=load_settings().base_model, input=texts)
    return [item.embedding for item in reply.data]


def ask(client: OpenAI, question: str, card: str | None = None) -> str:
    """A question, with the card above it if there is one."""
    prompt = f"Facts:\n- {card}\n\nQuestion: {question}" if card else question
    model = load_settings().base_model
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": prompt}],
        temperature=0,
        max_completion_tokens=40,
        **load_settings().options_for(model),
    )
    return answer.choices[0].message.content


def recall(name: str, scores: Scores, right: list[int]) -> None:
    """How often the right card is the first, and among the first three."""
    first, three = (sum(found(scores, right, k)) for k in (1, 3))
    print(f"{name:<11} right card first: {first} of {len(right)}, among three: {three}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question", nargs="?", default="What is the power of Pilar?")
    question = parser.parse_args().question

    client = connect()
    heroes = pd.read_csv(find("hero_facts.csv"))
    cards = [card_text(hero) for hero in heroes.to_dict("records")]
    shelf = vectors(client, cards)

    print(f"\n{len(cards)} cards. The question: {question}")
    by_words = word_scores(cards, [question])
    by_meaning = cosine_scores(shelf, vectors(client, [question]))
    for name, scores in (("by words", by_words), ("embeddings", by_meaning)):
        print(f"  {name:<11}", cards[top(scores)[0][0]])

    asked = questions(heroes)
    texts, right = asked["question"].tolist(), list(asked.index)
    print(f"\nAll {len(asked)} questions:")
    words = word_scores(cards, texts)
    recall("by words", words, right)
    recall("embeddings", cosine_scores(shelf, vectors(client, texts)), right)

    some = asked.iloc[::4]
    best = [cards[number] for number in top(words)[::4, 0]]
    alone = [ask(client, text) for text in some["question"]]
    helped = [ask(client, text, card) for text, card in zip(some["question"], best, strict=True)]
    print(f"\n{len(some)} answers without a card: {tally(marks(alone, some))}")
    print(f"{len(some)} answers with the card:    {tally(marks(helped, some))}")
    print(f"\nYour question alone:     {ask(client, question)}")
    print(f"Your question with card: {ask(client, question, cards[top(by_words)[0][0]])}")


if __name__ == "__main__":
    main()
