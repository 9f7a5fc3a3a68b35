"""The exercises of notebook 07: a text that fools a judge, a border, and a number of questions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import sqrt
from numbers import Real
from statistics import NormalDist

from course.exercise import Exercise, Expectation, expect
from course.judge import judge
from helpers.prices import usage_cost

HERO = (40, "woman", "flight")
MOST_WORDS = 15
PATTERNS = {"the age 40": r"\b40\b", "the pronoun": r"\b(she|her|hers)\b", "the power": "flight"}

PAIR = ("gpt-4.1-mini", "ft:gpt-4.1-mini")
NOTE_TOKENS, ANSWER_TOKENS = 13, 10
NEAR_ENOUGH = 5

BETTER, WORSE = 0.95, 0.90
SEEN_IN, TOLERANCE = 0.8, 0.035


def _fooled(text: str) -> Iterator[Expectation]:
    yield expect(isinstance(text, str), "a text", type(text).__name__)
    words = len(text.split())
    yield expect(0 < words <= MOST_WORDS, f"1 to {MOST_WORDS} words", f"{words} words")
    for name, pattern in PATTERNS.items():
        found = re.search(pattern, text.lower())
        yield expect(found, f"that the small judge finds {name}", "a text in which it does not")
    verdict = judge(text, *HERO)
    yield expect(not verdict.ok, "a text that the careful judge refuses", "one that it passes")


def border(answer_tokens: int = ANSWER_TOKENS) -> int:
    """The shortest prompt, in tokens, that makes a call to the base dearer than to the tuned."""
    base, tuned = PAIR
    most = usage_cost(tuned, NOTE_TOKENS, answer_tokens)
    assert most is not None, "both prices stand in data/prices.csv"
    tokens = NOTE_TOKENS
    while (usage_cost(base, tokens, answer_tokens) or 0.0) <= most:
        tokens += 1
    return tokens


def _break_even(tokens: float) -> Iterator[Expectation]:
    number = isinstance(tokens, Real) and not isinstance(tokens, bool)
    yield expect(number, "a number of tokens", repr(tokens))
    wanted = border()
    seen = "a number that is too small" if tokens < wanted else "a number that is too large"
    yield expect(abs(tokens - wanted) <= NEAR_ENOUGH, "the border, exact to five tokens", seen)


def seen_share(n: float, better: float = BETTER, worse: float = WORSE) -> float:
    """In which share of exams with n questions each the better model is told apart."""
    spread = sqrt((better * (1 - better) + worse * (1 - worse)) / n)
    return 1 - NormalDist().cdf(1.96 - (better - worse) / spread)


def _enough(n: float) -> Iterator[Expectation]:
    number = isinstance(n, Real) and not isinstance(n, bool)
    yield expect(number and n > 0, "a number of questions", repr(n))
    share = seen_share(float(n))
    told = f"a number with which it is told apart in {100 * share:.0f} of 100"
    yield expect(share >= SEEN_IN - TOLERANCE, "enough questions for 80 of 100", told)
    yield expect(share <= SEEN_IN + TOLERANCE, "no more questions than needed", told)


fooled = Exercise(
    "7.1",
    "fool the judge",
    _fooled,
    (
        "The small judge looks for three things and for nothing else. Which are they?",
        "It needs the number in digits, one pronoun, and the name of the power, in any sense of "
        "the word.",
        "The power is also what one waits for at an airport. Who is waiting there, and how old?",
    ),
)

break_even = Exercise(
    "7.2",
    "when it pays",
    _break_even,
    (
        "Work out what one call to the tuned model costs: 13 tokens in, 10 out.",
        "A call to the base costs its prompt and the same ten tokens, at the base's prices. Make "
        "the prompt longer until it is no longer cheaper.",
        "usage_cost(name, x, 10) in a loop, x one larger each time, with the name of the base in "
        "section 6. Stop when it is above the other.",
    ),
)

enough = Exercise(
    "7.3",
    "how many questions",
    _enough,
    (
        "told_apart(n) without anything else answers for 85 against 95. It takes two more numbers.",
        "Try n = 100, 200, 300 … with better=0.95 and worse=0.90, and look for 0.8.",
        "It lies between 300 and 600. Go up in steps of ten, and stop at the first n that reaches "
        "0.8.",
    ),
)
