"""How well do the sandbox's embeddings find facts again? Recall@3, beside BM25 and chance.

`python -m bench.retrieval` builds a base of 50 facts about heroes of the course's data set (a
sentence with name, age and power, and one sentence of the description) and asks three kinds of
questions: by name; by age, gender and power in other words; and by the power alone in other
words, where any hero with that power is a right answer. No chance is involved in any of it but
in the sandbox's base model, which is always the same: the same weights give the same table.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import bm25s
import numpy as np
import pandas as pd
from openai import OpenAI

from bench.common import own_sandbox
from course.powers import catalogue
from helpers.connect import connect
from helpers.data import DATA
from helpers.settings import load_settings

FACTS = 50
AT = 3
# Each power twice in other words: after "somebody", and after "who can".
OTHER_WORDS = {
    "invisibility": ("whom nobody can see", "vanish from everybody's eyes"),
    "read in the thoughts": ("who knows what goes on in our heads", "hear what others think"),
    "turning lead into gold": (
        "who makes treasure of cheap metal",
        "change a dull pipe into something precious",
    ),
    "immortality": ("who never dies", "live for ever"),
    "telepathy": ("who speaks without moving the lips", "send messages from mind to mind"),
    "teleport": ("who jumps across the town in a blink", "be here now and elsewhere at once"),
    "flight": ("who soars above the roofs", "rise into the air like a bird"),
    "Super Strength": ("who is as strong as ten horses", "lift a bus with one hand"),
    "Time Travel": ("who visits other centuries", "go back to yesterday"),
    "Talking to Animals": ("who chats with dogs and birds", "understand what a cat says"),
}
BY_NAME = ("What do we know about {}?", "Tell me about {}.", "Who is {}?", "What can {} do?")
PERSON = {"man": "gentleman", "woman": "lady"}


@dataclass(frozen=True)
class Fact:
    """One entry of the base."""

    name: str
    age: int
    gender: str
    power: str
    text: str


@dataclass(frozen=True)
class Question:
    """A question and the numbers of the facts that answer it."""

    kind: str
    text: str
    answers: frozenset[int]


def fact_base(n: int = FACTS) -> list[Fact]:
    """`n` facts, no two about the same name or the same age, gender and power."""
    frame = pd.concat([pd.read_csv(DATA / "superheroes.csv"), pd.read_csv(DATA / "validation.csv")])
    rows = {power: list(group.itertuples()) for power, group in frame.groupby("power", sort=False)}
    facts: list[Fact] = []
    names: set[str] = set()
    while len(facts) < n and any(rows.values()):
        for power, left in rows.items():
            fact = None
            while left and fact is None:
                # Seven is no divisor of the grid's sides: all ages and both genders get their turn.
                fact = _fact(left.pop(7 * len(facts) % len(left)), power)
                if fact and (fact.name in names or _same_hero(fact, facts)):
                    fact = None
            if fact and len(facts) < n:
                facts.append(fact)
                names.add(fact.name)
    return facts


def _fact(row: object, power: str) -> Fact | None:
    text = row.response_txt
    # The name is the capitalised word before ", an 18-year-old man" or the one told most often.
    words = re.findall(r"(?<=[a-z,] )[A-Z][\w'-]+", text)
    counted = [word for word in dict.fromkeys(words) if text.count(word) > 1]
    if not counted:
        return None
    name, phrase = counted[0].removesuffix("'s"), catalogue().powers[power].phrase
    article = "an" if row.age in (18, 80) else "a"
    more = re.split(r"(?<=[.!?]) ", text)[2]
    told = f"{name} is {article} {row.age}-year-old {row.gender} with the power of {phrase}. {more}"
    return Fact(name, row.age, row.gender, power, told)


def _same_hero(fact: Fact, facts: Sequence[Fact]) -> bool:
    known = {(f.age, f.gender, f.power) for f in facts}
    return (fact.age, fact.gender, fact.power) in known


def questions(facts: Sequence[Fact]) -> list[Question]:
    """Two questions about each fact, and two about each power."""
    asked: list[Question] = []
    for number, fact in enumerate(facts):
        somebody, ability = OTHER_WORDS[fact.power]
        person = PERSON[fact.gender]
        by_name = BY_NAME[number % len(BY_NAME)].format(fact.name)
        in_words = (
            f"Do you know the {person} {somebody}, aged {fact.age}?",
            f"I look for somebody who can {ability}: a {person}, {fact.age} years of age.",
        )[number % 2]
        asked.append(Question("by name", by_name, frozenset([number])))
        asked.append(
            Question("age, gender and power in other words", in_words, frozenset([number]))
        )
    for power, (somebody, ability) in OTHER_WORDS.items():
        right = frozenset(n for n, fact in enumerate(facts) if fact.power == power)
        for text in (f"Is there somebody {somebody}?", f"Who can {ability}?"):
            asked.append(Question("the power in other words", text, right))
    return asked


def embed(client: OpenAI, texts: Sequence[str]) -> np.ndarray:
    """One row of unit length for each text."""
    reply = client.embeddings.create(model=load_settings().base_model, input=list(texts))
    return np.array([item.embedding for item in reply.data])


def embedding_scores(facts: Sequence[str], asked: Sequence[str]) -> np.ndarray:
    """Cosine of each question with each fact, [questions, facts]."""
    client = connect(announce=False)
    return embed(client, asked) @ embed(client, facts).T


def bm25_scores(facts: Sequence[str], asked: Sequence[str]) -> np.ndarray:
    """The classic score of shared words, [questions, facts]."""
    index = bm25s.BM25()
    index.index(bm25s.tokenize(list(facts), show_progress=False), show_progress=False)
    words = bm25s.tokenize(list(asked), return_ids=False, show_progress=False)
    return np.stack([index.get_scores(one) for one in words])


def recall(scores: np.ndarray, asked: Sequence[Question], at: int = AT) -> float:
    """The share of questions with a right fact among the best `at`."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :at]
    hits = [bool(question.answers & set(row)) for question, row in zip(asked, best, strict=True)]
    return sum(hits) / len(hits)


def chance(facts: int, asked: Sequence[Question], at: int = AT) -> float:
    """What drawing `at` facts blindly would find."""
    missed = [math.comb(facts - len(q.answers), at) / math.comb(facts, at) for q in asked]
    return 1 - sum(missed) / len(missed)


def table(facts: Sequence[Fact], asked: Sequence[Question]) -> pd.DataFrame:
    """Recall of the three ways, a row for each kind of question."""
    texts, wordings = [fact.text for fact in facts], [question.text for question in asked]
    ways = {"embeddings": embedding_scores(texts, wordings), "BM25": bm25_scores(texts, wordings)}
    rows = []
    for kind in dict.fromkeys(question.kind for question in asked):
        numbers = [n for n, question in enumerate(asked) if question.kind == kind]
        chosen = [asked[n] for n in numbers]
        row: dict[str, object] = {"question": kind, "questions": len(chosen)}
        row |= {name: recall(scores[numbers], chosen) for name, scores in ways.items()}
        rows.append(row | {"chance": chance(len(facts), chosen)})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval", description=__doc__)
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N facts first")
    options = parser.parse_args()
    facts = fact_base()
    asked = questions(facts)
    for fact in facts[: options.show]:
        print(fact.text)
    with own_sandbox():
        print(f"recall@{AT} over {len(facts)} facts")
        print(table(facts, asked).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
