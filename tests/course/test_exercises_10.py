"""The exercises of notebook 10: the solutions pass, and the usual wrong turns do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from course.exercises import step_10 as exercises
from helpers.data import find
from tests.support.live_sandbox import LiveSandbox, live_model, live_sandbox

__all__ = ["live_model", "live_sandbox"]


def good(error: Exception) -> bool:
    if isinstance(error, openai.RateLimitError):
        return error.code != "insufficient_quota"
    return isinstance(error, openai.APIConnectionError | openai.InternalServerError)


def test_the_solution_tells_bad_luck_from_mistakes() -> None:
    verdict = exercises.again.verdict(good)
    assert verdict, verdict.problem
    assert verdict.met == 1 + 2 * len(exercises.bad_days())


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda error: True, "False for a wrong key (401)"),
        (lambda error: False, "True for too many calls (429)"),
        (lambda error: None, "True or False for too many calls (429), saw nothing"),
        (lambda error: isinstance(error, openai.RateLimitError), "True for a failing server (500)"),
        (
            lambda error: isinstance(
                error,
                openai.RateLimitError | openai.APIConnectionError | openai.InternalServerError,
            ),
            "False for money that is used up (429)",
        ),
        (3, "a function"),
        (..., "Nothing was handed in"),
    ],
)
def test_a_wrong_turn_is_named(function: Any, problem: str) -> None:
    verdict = exercises.again.verdict(function)
    assert not verdict
    assert problem in (verdict.problem or "")


@pytest.fixture
def client(live_sandbox: LiveSandbox) -> Iterator[OpenAI]:
    with live_sandbox.client(max_retries=0) as made:
        yield made


@pytest.fixture
def request_(client: OpenAI, live_model: str, tmp_path: Path) -> dict[str, Any]:
    return exercises.an_order(client, live_model, find("train.jsonl"), tmp_path)


def order_once(client: OpenAI, request: dict[str, Any]) -> Any:
    once = client.with_options(max_retries=0)
    try:
        return once.fine_tuning.jobs.create(**request)
    except openai.APITimeoutError:
        return client.fine_tuning.jobs.list(metadata=request["metadata"], limit=1).data[0]


def order_blindly(client: OpenAI, request: dict[str, Any]) -> Any:
    return client.fine_tuning.jobs.create(**request)


def order_and_give_up(client: OpenAI, request: dict[str, Any]) -> Any:
    return client.with_options(max_retries=0).fine_tuning.jobs.create(**request)


def order_and_forget(client: OpenAI, request: dict[str, Any]) -> Any:
    order_once(client, request)


def test_the_solution_orders_once(client: OpenAI, request_: dict[str, Any]) -> None:
    for _ in range(2):  # the check may be run again
        verdict = exercises.once.verdict(order_once, client, request_)
        assert verdict, verdict.problem


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        (order_blindly, "one job for one order, saw 2 jobs"),
        (order_and_give_up, "could not be read: APITimeoutError"),
        (order_and_forget, "the job as the answer, saw NoneType"),
        (lambda client, request: None, "the job on the server, saw no job"),
        (..., "Nothing was handed in"),
    ],
)
def test_other_orders_do_not_pass(
    client: OpenAI, request_: dict[str, Any], order: Callable[..., Any], problem: str
) -> None:
    verdict = exercises.once.verdict(order, client, request_)
    assert not verdict
    assert problem in (verdict.problem or "")
    assert client.get("/sandbox/faults", cast_to=object)["data"] == []  # type: ignore[index]
