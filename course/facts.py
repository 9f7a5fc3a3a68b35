"""Step 09: hero cards, questions about them, practice for reading, and marks for the answers."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import pandas as pd

Mark = Literal["right", "no idea", "invented"]
KINDS: tuple[Mark, ...] = ("right", "no idea", "invented")

# What is asked: the way of training, the same in other words, and the answer.
QUESTIONS = {"age": "How old is {name}?", "power": "What is the power of {name}?"}
OTHER_WORDS = {"age": "Tell me the age of {name}.", "power": "Which gift does {name} have?"}
ANSWERS = {"age": "{name} is {age} years old.", "power": "{name} has the power of {power}."}
# Questions that share no telling word with the card that answers them, by the power asked for.
RIDDLES = {
    "flight": "Who needs no ladder to reach the roof?",
    "talking to animals": "Who knows what a cat wants?",
    "weather control": "Whom should we ask for rain or sun?",
    "healing": "Who mends a broken arm?",
    "invisibility": "Whom can nobody see?",
    "telepathy": "Who sends messages from mind to mind?",
    "time travel": "Who has been to other centuries?",
    "super hearing": "Who notices a whisper across the street?",
    "super strength": "Who lifts a bus with one hand?",
    "ice control": "Who can freeze a lake?",
    "perfect memory": "Who never forgets a birthday?",
    "lightning": "Who throws bolts from the sky?",
    "plant control": "Who makes trees grow in a minute?",
    "night vision": "Who sees in the dark?",
    "immortality": "Who never dies?",
    "teleportation": "Who is here now and elsewhere at once?",
}
NO_CARD = "no card"
# Heroes of whom there is no card, and names for practice that are on no card either.
STRANGERS = (
    "Amara Aiko Ingrid Fatima Lucia Nadia Priya Kofi Lars Omar Wei Diego Cyrus Marek".split()
)
PRACTICE_NAMES = """
Mei Zainab Greta Chiara Hana Noor Wanjiru Ximena Tala Beatriz Anjali Mirela Saoirse Linh Hedda
Imani Thandiwe Ottilie Rukmini Katya Maeve Hiroshi Dmitri Arjun Andrei Otto Pavel Hamid Bjorn
Takeshi Minh Elias Felipe Farid Jabari Sipho Leif Santiago Min-jun Vikram Sergei Declan
""".split()

_NO_IDEA = re.compile(
    r"\bno card\b|\bno (?:facts|information)\b|\bcannot\b|\bunknown\b"
    r"|(?:\bnot|n't|n’t) (?:know|have|say|sure|contain|mention)",
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
    """One row for each hero and wording: name, field, question, answer, value.

    Its index is that of `heroes`, so that each question knows its card. For heroes of whom only
    the name is given, answer and value are None: nobody can know them.
    """
    rows, index = [], []
    for number, hero in zip(heroes.index, heroes.to_dict("records"), strict=True):
        for field, wording in wordings.items():
            known = field in hero
            index.append(number)
            rows.append(
                {
                    "name": hero["name"],
                    "field": field,
                    "question": wording.format(**hero),
                    "answer": ANSWERS[field].format(**hero) if known else None,
                    "value": str(hero[field]) if known else None,
                }
            )
    return pd.DataFrame(rows, index=index)


def short_answer(name: str, value: object) -> str:
    """The house style: the name, a colon, the value, a full stop."""
    return f"{name}: {value}."


def mark(answer: str, name: str, field: str, value: str | None) -> Mark:
    """Whether an answer gives this hero's value, admits to know nothing, or invents something.

    Where there is no value, nothing but the admission is no invention.
    """
    text = answer.casefold()
    if value is None:
        told = False
    elif field == "age":
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


def practice(
    heroes: pd.DataFrame,
    prompt: Callable[[str, str | None], str],
    n: int,
    *,
    wrong: float = 0.35,
    none: int = 30,
    seed: int = 0,
) -> list[tuple[str, str]]:
    """`n` pairs (what the model is asked, what it should say) that train reading, in house style.

    `prompt(question, card)` builds what is asked. The heroes on the cards do not exist: each
    column of `heroes` is drawn by itself, so only who reads can be right. In a share `wrong` of
    the pairs the card is about somebody else, and `none` more come without a card: there, the
    right answer is "no card".
    """
    rng = random.Random(seed)
    names = [*heroes["name"], *PRACTICE_NAMES]
    pairs = []
    for number in range(n + none):
        hero = _mixed(heroes, names[number % len(names)], rng)
        field = rng.choice(list(QUESTIONS))
        asked, answer = hero["name"], short_answer(hero["name"], hero[field])
        if number >= n or rng.random() < wrong:
            asked, answer = rng.choice([name for name in names if name != hero["name"]]), NO_CARD
        question = QUESTIONS[field].format(name=asked)
        pairs.append((prompt(question, card_text(hero) if number < n else None), answer))
    rng.shuffle(pairs)
    return pairs


def _mixed(heroes: pd.DataFrame, name: str, rng: random.Random) -> dict[str, Any]:
    """A hero of this name whose facts come from five others."""
    columns = ("age", "gender", "power", "home", "work")
    return {"name": name, **{column: rng.choice(list(heroes[column])) for column in columns}}


def tally(marked: Iterable[Mark]) -> str:
    """The marks, counted: "58 right, 0 no idea, 2 invented"."""
    counts = Counter(marked)
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
