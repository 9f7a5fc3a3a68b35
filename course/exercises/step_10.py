"""The exercises of notebook 10."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from course.exercise import Expectations, exercise, expect
from course.facts import DO_NOT_KNOW, passage_text
from helpers.data import find

FIELDS = ("name", "age", "gender", "power", "home", "work")
SAID = re.compile(r"\b(old|age|power|superpower|live|lives|home|work|works|job)\b", re.IGNORECASE)
WORDS = np.array([[0.0, 0.1, 2.5], [0.2, 0.0, 0.1], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
COSINES = np.array([[0.9, 0.1, 0.2], [0.1, 0.8, 0.3], [0.1, 0.2, 0.3], [0.2, 0.3, 0.1]])
MOST, KINDS = 20, 3


def _passages(prompt: str) -> list[str]:
    return [line[2:] for line in prompt.splitlines() if line.startswith("- ")]


def _question(prompt: str) -> str:
    lines = [line for line in prompt.splitlines() if line.startswith("Question: ")]
    return lines[-1].removeprefix("Question: ") if lines else ""


@exercise("10.1")
def combined_search(search: Callable[..., Sequence[int]]) -> Expectations:
    yield expect(callable(search), "a function", type(search).__name__)
    places = [int(place) for place in search(WORDS, COSINES, 1.0)]
    yield expect(len(places) == len(WORDS), "a place for each question", f"{len(places)} places")
    for number, (right, why) in enumerate(
        (
            (2, "where a word score reaches the limit, the best by words"),
            (1, "where no word score reaches the limit, the best by embeddings"),
            (2, "where no word is shared, the best by embeddings"),
            (0, "the best by words where the word score is exactly the limit"),
        )
    ):
        yield expect(places[number] == right, why, f"place {places[number]} instead of {right}")
    low, high = ([int(place) for place in search(WORDS, COSINES, limit)] for limit in (0.05, 9.0))
    yield expect(
        low == [2, 0, 2, 0] and high == [0, 1, 2, 1], "another limit to matter", [low, high]
    )


@exercise("10.2")
def own_hero(hero: Mapping[str, Any], prompt: str) -> Expectations:
    yield expect(isinstance(hero, Mapping), "a dict about your hero", type(hero).__name__)
    lacking = [field for field in FIELDS if not hero.get(field)]
    yield expect(not lacking, f"the fields {', '.join(FIELDS)}", f"no {', no '.join(lacking)}")
    name = str(hero["name"])
    taken = set(pd.read_csv(find("hero_facts.csv"))["name"])
    yield expect(name not in taken, "a name that is in no passage yet", name)
    yield expect(isinstance(prompt, str), "the prompt as text", type(prompt).__name__)
    passages = _passages(prompt)
    yield expect(len(passages) == 3, "three passages in the prompt", f"{len(passages)}")
    yield expect(passage_text(hero) in passages, "your hero's passage among them", passages)
    own = sum(name in passage for passage in passages)
    yield expect(own == 1, "the two others to be about other heroes", f"{own} about {name}")
    question = _question(prompt)
    about = question.endswith("?") and name in question
    yield expect(about, "a question about your hero behind 'Question: '", question)


@exercise("10.3")
def missing_facts(rows: pd.DataFrame) -> Expectations:
    yield expect(isinstance(rows, pd.DataFrame), "a DataFrame", type(rows).__name__)
    lacking = {"prompt", "answer"} - set(rows)
    yield expect(not lacking, "the columns prompt and answer", f"no {' and '.join(lacking)}")
    yield expect(len(rows) >= MOST, f"{MOST} rows or more", f"{len(rows)} rows")
    taken = set(pd.read_csv(find("hero_facts.csv"))["name"])
    asked = set()
    for row in rows.itertuples():
        question = _question(row.prompt)
        names = [passage.split(" is ")[0] for passage in _passages(row.prompt)]
        about = [name for name in names if name in question]
        yield expect(about, "a passage about the hero of the question", row.prompt)
        used = sorted(taken & set(names))
        yield expect(not used, "no hero of hero_facts.csv", ", ".join(used))
        yield expect(not SAID.search(question), "a question that no passage answers", question)
        yield expect(row.answer == DO_NOT_KNOW, f"the answer {DO_NOT_KNOW!r}", row.answer)
        asked.add(question.replace(about[0], "…"))
    seen = f"{len(asked)} kinds"
    yield expect(len(asked) >= KINDS, f"{KINDS} kinds of questions or more", seen)
