"""The exercises of notebook 11: the solutions pass, and the usual wrong turns do not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from course.exercises import step_11 as exercises

MODEL = "some-model"


def mended() -> list[dict[str, Any]]:
    lines = exercises.broken_lines(MODEL)
    lines[0]["url"] = "/v1/chat/completions"
    lines[1]["custom_id"] = "hero-2"
    lines[2]["body"]["model"] = MODEL
    return lines


def still_there(shutdown_date: str | None, day: date) -> bool:
    return shutdown_date is None or day < date.fromisoformat(shutdown_date)


def test_the_solutions_pass() -> None:
    for verdict in (
        exercises.lines.verdict(mended(), MODEL),
        exercises.still_there.verdict(still_there),
    ):
        assert verdict, verdict.problem


def change(number: int, **fields: Any) -> Callable[[list[dict[str, Any]]], None]:
    def apply(lines: list[dict[str, Any]]) -> None:
        lines[number].update(fields)

    return apply


@pytest.mark.parametrize(
    ("mistake", "problem"),
    [
        (lambda lines: lines.pop(), "three requests, saw 2"),
        (change(0, url="https://x/v1/chat/completions"), "an address in line 1"),
        (change(0, url="/chat/completions"), "an address in line 1"),
        (change(1, custom_id="hero-1"), "every custom_id once, saw hero-1 twice"),
        (change(2, method="GET"), "POST in line 3"),
        (change(2, body={}), "all four fields in line 3, saw no body"),
        (lambda lines: lines[2]["body"].pop("model"), "a model in the body of line 3"),
        (lambda lines: lines[2]["body"].update(model="other"), "the same model"),
        (
            lambda lines: lines[2]["body"].update(messages=[{"role": "user", "content": "x"}]),
            "the same three heroes",
        ),
    ],
)
def test_a_mistake_in_the_lines_is_named(mistake: Callable[[Any], Any], problem: str) -> None:
    lines = mended()
    mistake(lines)
    verdict = exercises.lines.verdict(lines, MODEL)
    assert not verdict
    assert problem in str(verdict.problem)


def test_the_unsolved_lines_fail() -> None:
    assert not exercises.lines.verdict(exercises.broken_lines(MODEL), MODEL)
    assert not exercises.still_there.verdict(...)


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda end, day: True, "False for a model that ended in September"),
        (lambda end, day: False, "True for a model that ends in eight weeks"),
        (lambda end, day: None, "True or False for a model that ends in eight weeks, saw nothing"),
        (
            lambda end, day: end is None or day <= date.fromisoformat(end),
            "False for a model on the day of its end",
        ),
        (lambda end, day: end is not None and day < date.fromisoformat(end), "without a date"),
        (lambda end, day: day < date.fromisoformat(end), "could not be read"),
        (7, "a function, saw int"),
    ],
)
def test_a_mistake_in_the_function_is_named(function: Any, problem: str) -> None:
    verdict = exercises.still_there.verdict(function)
    assert not verdict
    assert problem in str(verdict.problem)
