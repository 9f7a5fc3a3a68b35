"""The exercises of notebook 10."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from course.exercise import Expectations, exercise, expect, is_number
from course.facts import card_text
from helpers.data import find

FIELDS = ("name", "age", "gender", "power", "home", "work")


@exercise("10.1")
def retrieval_prompt(hero: Mapping[str, Any], prompt: str) -> Expectations:
    yield expect(isinstance(hero, Mapping), "a dict about your hero", type(hero).__name__)
    lacking = [field for field in FIELDS if not hero.get(field)]
    yield expect(not lacking, f"the fields {', '.join(FIELDS)}", f"no {', no '.join(lacking)}")
    name = str(hero["name"])
    taken = set(pd.read_csv(find("hero_facts.csv"))["name"])
    yield expect(name not in taken, "a name that is on no card yet", name)
    yield expect(isinstance(prompt, str), "the prompt as text", type(prompt).__name__)
    yield expect(prompt.startswith("Facts:"), "a prompt that begins with the facts", prompt[:30])
    cards = [line for line in prompt.splitlines() if line.startswith("- ")]
    yield expect(len(cards) == 1, "one card in the prompt", f"{len(cards)} cards")
    yield expect(cards[0] == f"- {card_text(hero)}", "your hero's own card", cards[0])
    question = prompt.splitlines()[-1]
    about = question.endswith("?") and name in question
    yield expect(about, "a question about your hero at the end", question)


@exercise("10.2")
def break_even(
    calls: float, training: float, retrieval_call: float, tuned_call: float
) -> Expectations:
    yield expect(calls is not None, "a number of calls", "nothing yet")
    yield expect(is_number(calls) and calls > 0, "a number above zero", calls)
    equal = abs(calls * (retrieval_call - tuned_call) - training) <= 0.01 * training
    seen = f"bills that differ for {calls:,.0f}"
    yield expect(equal, "as many calls as make both bills equal", seen)
