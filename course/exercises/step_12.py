"""The exercises of notebook 12."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from course.exercise import Expectations, exercise, expect
from course.starters import JUDGES, load_table
from course.wording import words
from helpers.statistics import copied_among

# They pass the judge of the sarcastic table, and nobody would want them.
BAD_ANSWERS = (
    "You: seven.",
    "As an AI language model, I can tell you that the answer is seven.",
    "I am sorry, but I cannot say whether it is seven.",
)
WRONG = "Six, and you have presumably lived through several of them."
ROWS = 8
LARGEST_COPY = 0.5
LEAST_HELD_OUT = 4


@exercise("12.1")
def fooled_judge(answer: str, stricter: Callable[[str, Any], bool]) -> Expectations:
    rows = list(load_table("sarcastic").itertuples())
    row, judge = rows[0], JUDGES["sarcastic"]
    yield expect(isinstance(answer, str), "an answer, a text", type(answer).__name__)
    wanted = f"an answer to {row.prompt!r} that the judge of the sarcastic table accepts"
    yield expect(judge(answer, row), wanted, repr(answer))
    yield expect(answer not in {r.completion for r in rows}, "an answer of your own", "a row")
    yield expect(callable(stricter), "a function", type(stricter).__name__)
    yield expect(not stricter(answer, row), "a judge that refuses your answer", "it accepted it")
    yield expect(not stricter(WRONG, row), "a judge that still wants the right fact", repr(WRONG))
    refused = [r.completion for r in rows if not stricter(r.completion, r)]
    seen = f"{len(refused)} refused, such as {refused[:1]}"
    yield expect(not refused, f"all {len(rows)} completions of the table accepted", seen)
    let_through = [bad for bad in BAD_ANSWERS if stricter(bad, row)]
    wanted = "one of three bad answers of ours refused as well"
    yield expect(len(let_through) < len(BAD_ANSWERS), wanted, "all three accepted")


@exercise("12.2")
def own_rows(rows: Sequence[dict[str, str]]) -> Expectations:
    yield expect(isinstance(rows, list), "a list of dictionaries", type(rows).__name__)
    yield expect(len(rows) == ROWS, f"{ROWS} rows", len(rows))
    for number, row in enumerate(rows, 1):
        for name in ("prompt", "completion", "must"):
            text = row.get(name)
            fits = isinstance(text, str) and text.strip()
            yield expect(fits, f"a text as {name} in row {number}", repr(text))
        found = re.search(rf"(?<!\w)({row['must']})(?!\w)", row["completion"], re.IGNORECASE)
        wanted = f"what must be in the answer of row {number} in its completion"
        yield expect(found, wanted, f"no {row['must']!r}")
    shipped = {text for name in JUDGES for text in load_table(name)["prompt"]}
    taken = [row["prompt"] for row in rows if row["prompt"] in shipped]
    yield expect(not taken, "prompts of your own", taken[:1])
    for name in ("prompt", "completion"):
        texts = [row[name] for row in rows]
        plain = [" ".join(words(text.casefold())) for text in texts]
        twice = [text for text in texts if plain.count(plain[texts.index(text)]) > 1]
        yield expect(not twice, f"every {name} once", twice[:1])
        near = max(copied_among(texts))
        wanted = f"{name}s that are not copies of one another with a word changed"
        yield expect(near <= LARGEST_COPY, wanted, f"{near:.0%} of one in another")


@exercise("12.3")
def without_system(bare: Sequence[str], other: Sequence[str], table: Any) -> Expectations:
    prompts, completions = set(table["prompt"]), set(table["completion"])
    for name, answers in (("bare", bare), ("other", other)):
        answers = list(answers)
        yield expect(len(answers) == len(table), f"{len(table)} answers in {name}", len(answers))
        texts = [text for text in answers if isinstance(text, str) and text.strip()]
        yield expect(len(texts) == len(answers), f"texts in {name}", repr(answers[:1]))
        copied = set(answers) <= prompts or set(answers) <= completions
        yield expect(not copied, f"answers of the model in {name}", "texts of the table")
    yield expect(len(table) >= LEAST_HELD_OUT, "the held-out rows as third argument", len(table))
    yield expect(list(bare) != list(other), "two different requests", "the same answers twice")
