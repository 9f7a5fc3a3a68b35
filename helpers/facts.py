"""Step 09: hero cards, questions about them, practice for reading, and marks for the answers."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import pandas as pd

Mark = Literal["right", "no idea", "invented"]

# What is asked: the way of training, the same in other words, and the answer.
QUESTIONS = {"age": "How old is {name}?", "power": "What is the power of {name}?"}
OTHER_WORDS = {"age": "Tell me the age of {name}.", "power": "Which gift does {name} have?"}
ANSWERS = {"age": "{name} is {age} years old.", "power": "{name} has the power of {power}."}
NO_CARD = "no card"

_NO_IDEA = re.compile(
    r"\bno card\b|\bno (?:facts|information)\b|\b(?:not|n't|n’t) (?:know|have|say|sure|contain|mention)"
    r"|\bcannot\b|\bunknown\b",
    re.IGNORECASE,
)


def card_text(hero: Mapping[str, Any]) -> str:
    """What a hero's card says, in two sentences."""
    age = int(hero["age"])
    an = "an" if age in (8, 11, 18) or 80 <= age <= 89 else "a"
    name = hero["name"]
    return (
        f"{name} is {an} {age}-year-old {hero['gender']} from {hero['home']}. "
        f"{name} works as {hero['work']} and has the power of {hero['power']}."
    )


def questions(heroes: pd.DataFrame, wordings: Mapping[str, str] = QUESTIONS) -> pd.DataFrame:
    """One row for each hero and wording: name, field, question, answer, value, text (the card).

    Its index is that of `heroes`, so that each question knows its card.
    """
    rows, index = [], []
    for number, hero in zip(heroes.index, heroes.to_dict("records"), strict=True):
        for field, wording in wordings.items():
            index.append(number)
            rows.append(
                {
                    "name": hero["name"],
                    "field": field,
                    "question": wording.format(**hero),
                    "answer": ANSWERS[field].format(**hero),
                    "value": str(hero[field]),
                    "text": card_text(hero),
                }
            )
    return pd.DataFrame(rows, index=index)


def short_answer(name: str, value: object) -> str:
    """The house style: the name, a colon, the value, a full stop."""
    return f"{name}: {value}."


def mark(answer: str, name: str, field: str, value: str) -> Mark:
    """Whether an answer gives this hero's value, admits to know nothing, or invents something."""
    text = answer.casefold()
    if field == "age":
        told = set(re.findall(r"\d+", text)) == {value}
    else:
        told = value.casefold() in text
    if told and name.casefold() in text:
        return "right"
    return "no idea" if _NO_IDEA.search(answer) else "invented"


def marks(answers: Iterable[str], asked: pd.DataFrame) -> list[Mark]:
    """`mark` for a list of answers to the rows of `questions`."""
    rows = asked[["name", "field", "value"]].itertuples(index=False, name=None)
    return [mark(answer, *row) for answer, row in zip(answers, rows, strict=True)]


def practice_heroes(heroes: pd.DataFrame, n: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Heroes that do not exist: each column drawn by itself, and names joined from two halves.

    Nothing about them can be known by heart, so a model can only be right by reading.
    """
    rng = random.Random(seed)
    columns = {name: list(heroes[name]) for name in ("age", "gender", "power", "home", "work")}
    names = list(heroes["name"])
    taken = set(names)
    for _ in range(n):
        while (name := _joined(rng.choice(names), rng.choice(names))) in taken:
            continue
        yield {"name": name, **{column: rng.choice(pool) for column, pool in columns.items()}}


def _joined(first: str, second: str) -> str:
    """The first half of one name and the second half of another."""
    return first[: (len(first) + 1) // 2] + second[len(second) // 2 :].lower()


def practice(
    heroes: pd.DataFrame, prompt: Any, n: int, seed: int = 0, wrong: float = 0.4, none: int = 30
) -> list[tuple[str, str]]:
    """`n` pairs (what the model is asked, what it should say) that train reading.

    `prompt(question, card)` builds what is asked. In a share `wrong` of the pairs the card is
    about somebody else, and `none` more come without any card: there, the answer is "no card".
    """
    rng = random.Random(seed)
    pairs = []
    drawn = list(practice_heroes(heroes, n + none, seed))
    for number, hero in enumerate(drawn):
        field = rng.choice(list(QUESTIONS))
        asked, answer = hero, short_answer(hero["name"], hero[field])
        if number >= n or rng.random() < wrong:
            answer = NO_CARD
            asked = rng.choice([other for other in drawn if other["name"] != hero["name"]])
        card = card_text(hero) if number < n else None
        pairs.append((prompt(QUESTIONS[field].format(**asked), card), answer))
    rng.shuffle(pairs)
    return pairs
