"""The exercises of notebook 00."""

from __future__ import annotations

import re
from typing import Any

from openai import OpenAI

from course.exercise import Expectations, exercise, expect, expect_job_on, is_number
from course.grid import GENDERS
from course.judge import fair
from helpers.check_example import check_example

NOTE = re.compile(r"([1-9][0-9]{0,2}), (\w+), (\S.*) ->")


@exercise("0.1")
def training_example(example: Any) -> Expectations:
    yield expect(isinstance(example, dict), "a dictionary in braces", type(example).__name__)
    problems = check_example(example)
    yield expect(not problems, "one example as the API wants it", "; ".join(map(str, problems)))
    roles = [message["role"] for message in example.get("messages", [])]
    yield expect(roles == ["user", "assistant"], "a user's message, then an assistant's", roles)
    note, description = (message["content"] for message in example["messages"])
    parts = NOTE.fullmatch(note)
    yield expect(parts, "a note such as 40, woman, Healing ->", repr(note))
    age, gender, power = parts.groups()
    yield expect(int(age) <= 120, "an age of at most 120", age)
    yield expect(gender in GENDERS, f"{' or '.join(GENDERS)} as the second part", repr(gender))
    for reason in fair(description, int(age), gender, power).reasons:
        yield expect(False, "a description that fits its note", f"a problem with its {reason}")


@exercise("0.2")
def half_the_examples(right: Any, client: OpenAI) -> Expectations:
    yield expect(is_number(right, int) and 0 <= right <= 10, "a number from 0 to 10", repr(right))
    yield expect_job_on(30, client)
