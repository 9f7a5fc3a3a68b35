"""Facts about heroes as passages, questions about them, practice in reading, marks for answers."""

from __future__ import annotations

import random
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import pandas as pd

from helpers.data import DATA

Mark = Literal["right", "no idea", "invented"]
DO_NOT_KNOW = "I do not know."

_LISTS = tomllib.loads((DATA / "facts.toml").read_text(encoding="utf-8"))
PROMPT: str = _LISTS["prompt"].strip()
QUESTIONS: dict[str, str] = _LISTS["questions"]
OTHER_WORDS: dict[str, str] = _LISTS["other_words"]
UNSAID: dict[str, str] = _LISTS["unsaid"]
RIDDLES: dict[str, str] = _LISTS["riddles"]
STRANGERS: list[str] = _LISTS["names"]["strangers"]
PRACTICE: dict[str, list[str]] = _LISTS["practice"]
_NO_IDEA = re.compile(
    r"\bno (?:passage|facts|information|mention)\b|\bcannot\b|\bunknown\b"
    r"|(?:\bnot|n't|n’t) (?:know|have|say|sure|contain|mention|provide|specif|state|possible)",
    re.IGNORECASE,
)
# Of a practice row: how many passages, and whether one of them answers the question.
_KINDS = [(1, True)] * 9 + [(1, False)] * 4 + [(3, True)] * 5 + [(3, False)] * 2


def passage_text(hero: Mapping[str, Any]) -> str:
    """The passage about a hero, in two sentences."""
    age = int(hero["age"])
    an = "an" if age in (8, 11, 18) or 80 <= age <= 89 else "a"
    return (
        "{name} is {an} {age}-year-old {gender} from {home}. "
        "{name} works as {work} and has the power of {power}."
    ).format_map({**hero, "age": age, "an": an})


def questions(heroes: pd.DataFrame, wordings: Mapping[str, str] = QUESTIONS) -> pd.DataFrame:
    """One row for each hero and wording: name, field, question, answer, value.

    Its index is that of `heroes`, so that each question knows its passage. Where the field is not
    known, the answer is "I do not know." and the value None.
    """
    rows, index = [], []
    for number, hero in zip(heroes.index, heroes.to_dict("records"), strict=True):
        for field, wording in wordings.items():
            value = str(hero[field]) if field in hero else None
            answer = DO_NOT_KNOW if value is None else short_answer(hero["name"], value)
            rows.append([hero["name"], field, wording.format(**hero), answer, value])
            index.append(number)
    return pd.DataFrame(rows, index=index, columns=["name", "field", "question", "answer", "value"])


def short_answer(name: str, value: object) -> str:
    """The house style: the name, a colon, the value, a full stop."""
    return f"{name}: {value}."


def mark(answer: str, field: str, value: str | None) -> Mark:
    """Whether an answer gives this value, admits to know nothing, or invents something.

    Where there is no value, every answer but the admission is invented. No two heroes share an age
    or a power, so a right value is not asked to come with the name.
    """
    text = answer.casefold()
    if value is None:
        told = False
    elif field == "age":
        told = set(re.findall(r"\d+", text)) == {value}
    else:
        told = value.casefold() in text
    if told:
        return "right"
    return "no idea" if _NO_IDEA.search(answer) else "invented"


def marks(answers: Iterable[str], asked: pd.DataFrame) -> list[Mark]:
    """`mark` for a list of answers to the rows of `questions`."""
    rows = asked[["field", "value"]].itertuples(index=False, name=None)
    return [
        mark(answer, field, None if pd.isna(value) else value)
        for answer, (field, value) in zip(answers, rows, strict=True)
    ]


def tally(marked: Iterable[Mark]) -> str:
    """The marks, counted: "58 right, 0 no idea, 2 invented"."""
    counts = Counter(marked)
    return ", ".join(f"{counts[kind]} {kind}" for kind in get_args(Mark))


def bullets(passages: Sequence[str]) -> str:
    """Passages as a list, a line each, as the prompt shows them."""
    return "\n".join(f"- {passage}" for passage in passages)


def practice(n: int, seed: int = 0) -> pd.DataFrame:
    """`n` questions to practise reading on: prompt, answer, field, value, passages.

    The heroes are made up from PRACTICE for this one row, so only a model that reads can be right.
    Of 20 rows, 13 show one passage and 7 three; in 6 no passage is about the hero asked for, and
    the right answer is "I do not know."
    """
    rng = random.Random(seed)
    rows = []
    for number in range(n):
        shown, told = _KINDS[number % len(_KINDS)]
        columns = {key: rng.sample(values, shown + 1) for key, values in PRACTICE.items()}
        columns |= {"age": rng.sample(range(16, 100), shown + 1)}
        columns |= {"gender": [rng.choice(["woman", "man"]) for _ in range(shown + 1)]}
        heroes = pd.DataFrame(columns).to_dict("records")
        about, others = (heroes[0], heroes[1:shown]) if told else (heroes[0], heroes[1:])
        passages = [passage_text(hero) for hero in ([about, *others] if told else others)]
        rng.shuffle(passages)
        field = rng.choice(list(QUESTIONS))
        value = str(about[field]) if told else None
        question = QUESTIONS[field].format(**about)
        prompt = PROMPT.format(passages=bullets(passages), question=question)
        answer = short_answer(about["name"], value) if told else DO_NOT_KNOW
        rows.append([prompt, answer, field, value, shown])
    rng.shuffle(rows)
    return pd.DataFrame(rows, columns=["prompt", "answer", "field", "value", "passages"])


def example_messages(seed: int = 5) -> list[dict[str, str]]:
    """Three practice rows as messages to put in front of a prompt: an age, a power, a refusal."""
    rows = practice(40, seed=seed).query("passages == 1")
    told, refused = rows[rows["value"].notna()], rows[rows["value"].isna()]
    chosen = [told.query("field == 'age'"), told.query("field == 'power'"), refused]
    return [
        {"role": role, "content": text}
        for row in pd.concat(kind.head(1) for kind in chosen).itertuples()
        for role, text in (("user", row.prompt), ("assistant", row.answer))
    ]
