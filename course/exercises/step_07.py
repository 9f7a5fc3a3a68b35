"""The exercises of notebook 07."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from openai import OpenAI

from course.exercise import Expectations, exercise, expect, expect_job_on, is_number

HEALER = (40, "woman", "healing")
FIRST = "Ada is a 40-year-old woman with the power of healing."
HEALS = "Every morning she heals the broken wings of sparrows at her kitchen table."
WAITS = "The birds wait for her on the roof, and she knows each of them by its song."
CATS = (
    "Lin is a 40-year-old woman with the power of talking to cats. The cats of her street tell her"
)
TEXTS = (
    ("names the power and uses it", f"{FIRST} {HEALS} {WAITS}", HEALER, True),
    (
        "names one word of the power twice",
        f"{CATS} every secret, and she keeps them all in a large green book.",
        (40, "woman", "talking to cats"),
        True,
    ),
    ("says the same sentence twice", f"{FIRST} {HEALS} {WAITS} {HEALS}", HEALER, False),
    (
        "says the same sentence twice, once in capitals",
        f"{FIRST} {HEALS} {WAITS} {HEALS.upper()}",
        HEALER,
        False,
    ),
    ("names the power once and forgets it", f"{FIRST} {WAITS} {WAITS[:-1]} too.", HEALER, False),
    ("states another age", f"{FIRST} {HEALS} {WAITS}", (41, "woman", "healing"), False),
)
ROWS = 80


@exercise("7.1")
def stricter_judge(judge: Callable[..., Sequence[str]]) -> Expectations:
    yield expect(callable(judge), "a function", type(judge).__name__)
    for what, text, hero, passes in TEXTS:
        reasons = judge(text, *hero)
        yield expect(isinstance(reasons, list), "a list of reasons", type(reasons).__name__)
        wanted = "no reason against" if passes else "a reason against"
        seen = "; ".join(map(str, reasons)) or "an empty list"
        yield expect(bool(reasons) != passes, f"{wanted} a text that {what}", seen)


@exercise("7.2")
def one_change(plain: Any, heroes: Any, client: OpenAI) -> Expectations:
    for right, most in ((plain, 20), (heroes, 40)):
        fits = is_number(right, int) and 0 <= right <= most
        yield expect(fits, f"a number from 0 to {most}", repr(right))
    yield expect_job_on(ROWS, client)
