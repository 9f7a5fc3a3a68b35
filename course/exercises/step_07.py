"""The exercises of notebook 07."""

from __future__ import annotations

import re
from math import sqrt
from statistics import NormalDist

from course.exercise import Expectations, exercise, expect, is_number
from course.judge import judge
from helpers.prices import usage_cost

HERO = (40, "woman", "flight")
MOST_WORDS = 15
PATTERNS = {"the age 40": r"\b40\b", "the pronoun": r"\b(she|her|hers)\b", "the power": "flight"}

BASE, TUNED = "gpt-4.1-mini", "ft:gpt-4.1-mini"
PROMPT_TOKENS, ANSWER_TOKENS = 13, 10
NEAR_ENOUGH = 5

BETTER, WORSE = 0.95, 0.90
SHARE, TOLERANCE = 0.8, 0.035


@exercise("7.1")
def fool_the_judge(text: str) -> Expectations:
    yield expect(isinstance(text, str), "a text", type(text).__name__)
    words = len(text.split())
    yield expect(0 < words <= MOST_WORDS, f"1 to {MOST_WORDS} words", f"{words} words")
    for name, pattern in PATTERNS.items():
        found = re.search(pattern, text.lower())
        yield expect(found, f"that the small judge finds {name}", "a text in which it does not")
    passes = judge(text, *HERO).ok
    yield expect(not passes, "a text that the careful judge refuses", "one that it passes")


def break_even_tokens(answer_tokens: int = ANSWER_TOKENS) -> int:
    """The shortest prompt, in tokens, with which a call to the base costs more than to the tuned.

    Raises ValueError if data/prices.csv has no price of one of the two.
    """
    most = usage_cost(TUNED, PROMPT_TOKENS, answer_tokens)
    if most is None or usage_cost(BASE, PROMPT_TOKENS, answer_tokens) is None:
        raise ValueError(f"data/prices.csv has no price of {BASE} or {TUNED}. Add a row for it.")
    tokens = PROMPT_TOKENS
    while (usage_cost(BASE, tokens, answer_tokens) or 0.0) <= most:
        tokens += 1
    return tokens


@exercise("7.2")
def break_even(tokens: float) -> Expectations:
    yield expect(is_number(tokens), "a number of tokens", repr(tokens))
    wanted = break_even_tokens()
    seen = "a number that is too small" if tokens < wanted else "a number that is too large"
    yield expect(abs(tokens - wanted) <= NEAR_ENOUGH, "the border, exact to five tokens", seen)


def power_of_test(n: float, better: float = BETTER, worse: float = WORSE) -> float:
    """The share of test sets of n questions each on which the better model is told apart."""
    spread = sqrt((better * (1 - better) + worse * (1 - worse)) / n)
    return 1 - NormalDist().cdf(1.96 - (better - worse) / spread)


@exercise("7.3")
def sample_size(n: float) -> Expectations:
    yield expect(is_number(n) and n > 0, "a number of questions", repr(n))
    share = power_of_test(float(n))
    told = f"a number with which it is told apart in {100 * share:.0f} of 100"
    yield expect(share >= SHARE - TOLERANCE, "enough questions for 80 of 100", told)
    yield expect(share <= SHARE + TOLERANCE, "no more questions than needed", told)
