"""The exercises of notebook 11."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import openai
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from course.exercise import Expectations, exercise, expect
from course.practice import clear_faults, set_fault
from helpers.jsonl import read_jsonl, write_jsonl

REQUEST = httpx2.Request("POST", "http://sandbox/v1/chat/completions")
SECONDS = 1.5  # the answer comes later than its client waits
# What it is, the status and the code of the answer, and whether the same call may work later.
CASES = (
    ("too many calls (429)", 429, "rate_limit_exceeded", True),
    ("a failing server (500)", 500, None, True),
    ("an overloaded server (503)", 503, None, True),
    ("a timeout", None, None, True),
    ("a lost connection", None, None, True),
    ("a wrong key (401)", 401, "invalid_api_key", False),
    ("training that is not available (403)", 403, "training_not_available", False),
    ("an unknown model (404)", 404, "model_not_found", False),
    ("a mistake in the request (400)", 400, None, False),
    ("money that is used up (429)", 429, "insufficient_quota", False),
)
KINDS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
}


def _error(name: str, status: int | None, code: str | None) -> openai.APIError:
    """The error that the openai package raises in this case."""
    if status is None:
        kind = openai.APITimeoutError if name == "a timeout" else openai.APIConnectionError
        return kind(request=REQUEST)
    answer = httpx2.Response(status, request=REQUEST)
    body = {"message": "…", "code": code, "type": None, "param": None}
    raised = KINDS.get(status, openai.InternalServerError)
    return raised(f"Error code: {status}", response=answer, body=body)


@exercise("11.1")
def retryable(may_work: Callable[[Exception], object]) -> Expectations:
    yield expect(callable(may_work), "a function", type(may_work).__name__)
    for name, status, code, wanted in CASES:
        answer = may_work(_error(name, status, code))
        seen = "nothing" if answer is None else answer
        yield expect(answer in (True, False), f"True or False for {name}", seen)
        yield expect(bool(answer) is wanted, f"{wanted} for {name}", answer)


@exercise("11.2")
def create_once(
    create: Callable[[OpenAI, dict[str, Any]], object], client: OpenAI, request: dict[str, Any]
) -> Expectations:
    yield expect(callable(create), "a function", type(create).__name__)

    def jobs_made() -> list[FineTuningJob]:
        return list(client.fine_tuning.jobs.list(metadata=request["metadata"]))

    before = len(jobs_made())
    set_fault(client, "timeout", seconds=SECONDS)
    try:
        # A client that gives up before the answer comes, and would send the request again.
        job = create(client.with_options(timeout=SECONDS * 0.8, max_retries=1), request)
    finally:
        clear_faults(client)
    jobs = jobs_made()
    for each in jobs:
        with suppress(openai.BadRequestError):  # it may have ended by now
            client.fine_tuning.jobs.cancel(each.id)
    count = len(jobs) - before
    yield expect(count > 0, "the job on the server", "no job")
    yield expect(count == 1, "one job for one order", f"{count} jobs")
    yield expect(isinstance(job, FineTuningJob), "the job as the answer", type(job).__name__)
    yield expect(job.id == jobs[0].id, "the job that was made", "another one")


def job_request(client: OpenAI, model: str, examples: Path, folder: Path) -> dict[str, Any]:
    """A small request for exercise 11.2: its file is uploaded, and its label is unique."""
    path = write_jsonl(folder / "order.jsonl", read_jsonl(examples)[:12])
    file = client.files.create(file=path, purpose="fine-tune")
    return {
        "model": model,
        "training_file": file.id,
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
        "metadata": {"order": file.id},
    }
