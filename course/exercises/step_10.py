"""The exercises of notebook 10: to choose the right answer to an error, and to order only once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import openai
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from course.exercise import Exercise, Expectation, expect
from course.practice import clear_faults, set_fault
from helpers.jsonl import read_jsonl, write_jsonl

ADDRESS = "http://sandbox/v1/chat/completions"
SECONDS = 1.5  # the order is answered later than its sender waits


def _answered(kind: type[openai.APIStatusError], status: int, code: str | None) -> Exception:
    """An error as the openai package raises it for an answer with this status and code."""
    response = httpx2.Response(status, request=httpx2.Request("POST", ADDRESS))
    body = {"message": "…", "code": code, "type": None, "param": None}
    return kind(f"Error code: {status}", response=response, body=body)


def bad_days() -> list[tuple[str, Exception, bool]]:
    """Errors with their names, and whether the same call may work if it is sent again later."""
    request = httpx2.Request("POST", ADDRESS)
    return [
        (
            "too many calls (429)",
            _answered(openai.RateLimitError, 429, "rate_limit_exceeded"),
            True,
        ),
        ("a failing server (500)", _answered(openai.InternalServerError, 500, None), True),
        ("an overloaded server (503)", _answered(openai.InternalServerError, 503, None), True),
        ("a timeout", openai.APITimeoutError(request=request), True),
        ("a lost connection", openai.APIConnectionError(request=request), True),
        ("a wrong key (401)", _answered(openai.AuthenticationError, 401, "invalid_api_key"), False),
        (
            "training that is not available (403)",
            _answered(openai.PermissionDeniedError, 403, "training_not_available"),
            False,
        ),
        (
            "an unknown model (404)",
            _answered(openai.NotFoundError, 404, "model_not_found"),
            False,
        ),
        ("a mistake in the request (400)", _answered(openai.BadRequestError, 400, None), False),
        (
            "money that is used up (429)",
            _answered(openai.RateLimitError, 429, "insufficient_quota"),
            False,
        ),
    ]


def _again(may_work: Callable[[Exception], object]) -> Iterator[Expectation]:
    yield expect(callable(may_work), "a function", type(may_work).__name__)
    for name, error, wanted in bad_days():
        answer = may_work(error)
        yield expect(
            answer in (True, False),
            f"True or False for {name}",
            "nothing" if answer is None else answer,
        )
        yield expect(bool(answer) is wanted, f"{wanted} for {name}", answer)


def _once(
    order: Callable[[OpenAI, dict[str, Any]], object], client: OpenAI, request: dict[str, Any]
) -> Iterator[Expectation]:
    yield expect(callable(order), "a function", type(order).__name__)
    label = request["metadata"]

    def made() -> list[FineTuningJob]:
        return list(client.fine_tuning.jobs.list(metadata=label))

    before = len(made())
    set_fault(client, "timeout", seconds=SECONDS)
    try:
        # A client that gives up before the answer comes, and would send the order again.
        hasty = client.with_options(timeout=SECONDS * 0.8, max_retries=1)
        job = order(hasty, request)
    finally:
        clear_faults(client)
    jobs = made()
    for each in jobs:
        with suppress(openai.BadRequestError):  # it may have ended by now
            client.fine_tuning.jobs.cancel(each.id)
    count = len(jobs) - before
    yield expect(count > 0, "the job on the server", "no job")
    yield expect(count == 1, "one job for one order", f"{count} jobs")
    yield expect(isinstance(job, FineTuningJob), "the job as the answer", type(job).__name__)
    yield expect(job.id == jobs[0].id, "the job that was made", "another one")


def an_order(client: OpenAI, model: str, examples: Path, folder: Path) -> dict[str, Any]:
    """A small order for exercise 10.2: its file is uploaded, and its label is like no other."""
    path = write_jsonl(folder / "order.jsonl", read_jsonl(examples)[:12])
    file = client.files.create(file=path, purpose="fine-tune")
    numbers = {"n_epochs": 1}
    return {
        "model": model,
        "training_file": file.id,
        "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
        "metadata": {"order": file.id},
    }


again = Exercise(
    "10.1",
    "try again, or stop?",
    _again,
    (
        "Ask yourself for each error of this notebook: is the same call right a minute later?",
        "`isinstance(error, openai.InternalServerError)` tells the class; RateLimitError, "
        "APIConnectionError (a timeout is one of them) and InternalServerError pass by themselves.",
        "One of them has two faces: a RateLimitError whose `error.code` is insufficient_quota "
        "does not go away. Handle it first.",
    ),
)

once = Exercise(
    "10.2",
    "order only once",
    _once,
    (
        "Section 5.3 does all of it, in two steps: no retries, then a look into the list.",
        "`client.with_options(max_retries=0)` orders without repeating. Which exception comes "
        "when the answer is late?",
        "Put the call into a try. In `except openai.APITimeoutError`, return the first job of "
        '`client.fine_tuning.jobs.list(metadata=request["metadata"])`.',
    ),
)
