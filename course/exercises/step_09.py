"""The exercises of notebook 09: a prompt and a sum, with three hints each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from course.exercise import Exercise, Expectation, expect
from course.facts import card_text
from helpers.data import find

FIELDS = ("name", "age", "gender", "power", "home", "work")
HEADING = "Facts:"


def _own_card(hero: Mapping[str, Any], prompt: str) -> Iterator[Expectation]:
    yield expect(isinstance(hero, Mapping), "a dict about your hero", type(hero).__name__)
    lacking = [field for field in FIELDS if not hero.get(field)]
    yield expect(not lacking, f"the fields {', '.join(FIELDS)}", f"no {', no '.join(lacking)}")
    taken = {line.split(",")[1] for line in find("hero_facts.csv").read_text("utf-8").splitlines()}
    name = str(hero["name"])
    yield expect(name not in taken, "a name that is on no card yet", name)
    yield expect(isinstance(prompt, str), "the prompt as text", type(prompt).__name__)
    yield expect(prompt.startswith(HEADING), "a prompt that begins with the facts", prompt[:30])
    cards = [line for line in prompt.splitlines() if line.startswith("- ")]
    yield expect(len(cards) == 1, "one card in the prompt", f"{len(cards)} cards")
    yield expect(cards[0] == f"- {card_text(hero)}", "your hero's own card", cards[0])
    question = prompt.splitlines()[-1]
    about = question.endswith("?") and name in question
    yield expect(about, "a question about your hero at the end", question)


def _break_even(
    calls: float, training: float, retrieval_call: float, tuned_call: float
) -> Iterator[Expectation]:
    yield expect(calls is not None, "a number of calls", "nothing yet")
    yield expect(isinstance(calls, int | float), "a number of calls", type(calls).__name__)
    yield expect(calls > 0, "a number above zero", calls)
    saved = retrieval_call - tuned_call
    bill = "bills that differ" if abs(calls * saved - training) > 0.01 * training else ""
    yield expect(not bill, "as many calls as make both bills equal", f"{bill} for {calls:,.0f}")


own_card = Exercise(
    "9.1",
    "a card of your own",
    _own_card,
    (
        "Section 4 puts a card and a question together. Which function did that?",
        "`card_text(my_hero)` makes the card; the question must name your hero.",
        "Call `with_card` with the question and the text of the card, and store what it returns.",
    ),
)

break_even = Exercise(
    "9.2",
    "when training pays",
    _break_even,
    (
        "Every call to the tuned model saves a little. How often must that happen?",
        "What is saved per call is the difference of the two prices of a call.",
        "Divide the price of the training by what one call saves.",
    ),
)
