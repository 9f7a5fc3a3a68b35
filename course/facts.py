"""Facts about heroes as passages, questions about them, practice in reading, marks for answers."""

from __future__ import annotations

import random
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args

import pandas as pd

from helpers.data import DATA

Mark = Literal["right", "no idea", "invented"]
NO_CARD = "no card"

_LISTS = tomllib.loads((DATA / "facts.toml").read_text(encoding="utf-8"))
QUESTIONS: dict[str, str] = _LISTS["questions"]
OTHER_WORDS: dict[str, str] = _LISTS["other_words"]
RIDDLES: dict[str, str] = _LISTS["riddles"]
STRANGERS: list[str] = _LISTS["names"]["strangers"]
PRACTICE_NAMES: list[str] = _LISTS["names"]["practice"]
_NO_IDEA = re.compile(
    r"\bno card\b|\bno (?:facts|information)\b|\bcannot\b|\bunknown\b"
    r"|(?:\bnot|n't|n’t) (?:know|have|say|sure|contain|mention)",
    re.IGNORECASE,
)


def card_text(hero: Mapping[str, Any]) -> str:
    """The passage about a hero, in two sentences."""
    age = int(hero["age"])
    an = "an" if age in (8, 11, 18) or 80 <= age <= 89 else "a"
    return (
        "{name} is {an} {age}-year-old {gender} from {home}. "
        "{name} works as {work} and has the power of {power}."
    ).format_map({**hero, "age": age, "an": an})


def questions(heroes: pd.DataFrame, wordings: Mapping[str, str] = QUESTIONS) -> pd.DataFrame:
    """One row for each hero and wording: name, field, question, answer, value.

    Its index is that of `heroes`, so that each question knows its passage. For heroes of whom only
    the name is given, answer and value are None: no one can know them.
    """
    rows, index = [], []
    for number, hero in zip(heroes.index, heroes.to_dict("records"), strict=True):
        for field, wording in wordings.items():
            known = field in hero
            answer = _LISTS["answers"][field].format(**hero) if known else None
            value = str(hero[field]) if known else None
            rows.append([hero["name"], field, wording.format(**hero), answer, value])
            index.append(number)
    return pd.DataFrame(rows, index=index, columns=["name", "field", "question", "answer", "value"])


def short_answer(name: str, value: object) -> str:
    """The house style: the name, a colon, the value, a full stop."""
    return f"{name}: {value}."


def mark(answer: str, name: str, field: str, value: str | None) -> Mark:
    """Whether an answer gives this hero's value, admits to know nothing, or invents something.

    Where there is no value, every answer but the admission is invented.
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


def tally(marked: Iterable[Mark]) -> str:
    """The marks, counted: "58 right, 0 no idea, 2 invented"."""
    counts = Counter(marked)
    return ", ".join(f"{counts[kind]} {kind}" for kind in get_args(Mark))


def practice(
    heroes: pd.DataFrame, prompt: Callable[[str, str | None], str], n: int, seed: int = 0
) -> list[tuple[str, str]]:
    """Pairs (what the model is asked, what it should say) that train reading, in house style.

    `prompt(question, passage)` builds what is asked. The heroes do not exist: their facts come
    from five others each, so only a model that reads can be right. About 35 % of the `n` pairs
    have a passage about another hero, and 30 more have none: the right answer is "no card".
    """
    rng = random.Random(seed)
    names = [*heroes["name"], *PRACTICE_NAMES]
    pairs = []
    for number in range(n + 30):
        hero: dict[str, Any] = {"name": names[number % len(names)]}
        for column in ("age", "gender", "power", "home", "work"):
            hero[column] = rng.choice(list(heroes[column]))
        field = rng.choice(list(QUESTIONS))
        asked, answer = hero["name"], short_answer(hero["name"], hero[field])
        if number >= n or rng.random() < 0.35:
            asked, answer = rng.choice([name for name in names if name != hero["name"]]), NO_CARD
        question = QUESTIONS[field].format(name=asked)
        pairs.append((prompt(question, card_text(hero) if number < n else None), answer))
    rng.shuffle(pairs)
    return pairs
