"""The exercises of notebook 11."""

from __future__ import annotations

import copy
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
from helpers.check_file import check_file
from helpers.data import find
from helpers.jsonl import read_jsonl

Messages = list[dict[str, str]]

REQUEST = httpx2.Request("POST", "http://sandbox/v1/chat/completions")
SECONDS = 1.5  # the answer comes later than its client waits
EXAMPLES, UNANSWERED = 12, 6  # of the colleague's file: how many, and the place of the bad one
TOO_MANY = "Too many requests."
# What it is, the status and the code of the answer, and whether the same request may work later.
CASES = (
    ("too many requests (429)", 429, "rate_limit_exceeded", True),
    ("a failing server (500)", 500, None, True),
    ("an overloaded server (503)", 503, None, True),
    ("a timeout", None, None, True),
    ("a lost connection", None, None, True),
    ("a wrong key (401)", 401, "invalid_api_key", False),
    ("training that is not available (403)", 403, "training_not_available", False),
    ("an unknown model (404)", 404, "model_not_found", False),
    ("a mistake in the request (400)", 400, None, False),
    ("credit that is used up (429)", 429, "insufficient_quota", False),
)
# What is behind a "Connection error.", and which mistake it shows.
CAUSES = (
    (httpx2.ConnectError("All connection attempts failed"), "network"),
    (httpx2.UnsupportedProtocol("Request URL is missing a protocol."), "address"),
    (httpx2.LocalProtocolError("Illegal header value"), "key"),
    (httpx2.ReadError("The connection was closed."), "network"),
)
KINDS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
}
SYSTEM = {"role": "system", "content": "You are a hero."}
TALK = [
    {"role": role, "content": text}
    for role, text in (
        ("user", "Who are you?"),
        ("assistant", "I am Rosa, and I fly."),
        ("user", "How fast?"),
        ("assistant", "As fast as a swallow, and faster downhill."),
        ("user", "And against the wind?"),
        ("assistant", "I walk."),
        ("user", "Thank you, Rosa."),
    )
]


@exercise("11.1")
def install(command: str, python: str) -> Expectations:
    yield expect(isinstance(command, str), "a command as text", type(command).__name__)
    words = command.replace("'", " ").replace('"', " ").split()
    yield expect("openai" in words, "the package openai in the command", repr(command))
    first = words[0]
    yield expect(first == python, f"a command that {python} runs", f"one that {first} runs")
    right = words[1:4] == ["-m", "pip", "install"]
    yield expect(right, "that Python to run pip, as a module", repr(command))


@exercise("11.2")
def right_key(client: OpenAI, key: str) -> Expectations:
    yield expect(isinstance(key, str) and key, "a key", type(key).__name__)
    try:
        client.with_options(api_key=key).models.list()
        status = 200
    except openai.AuthenticationError as error:
        status = error.status_code
    yield expect(status == 200, "a key that the server knows", f"the answer {status}")


@exercise("11.3")
def diagnose(cause_of: Callable[[Exception], object]) -> Expectations:
    yield expect(callable(cause_of), "a function", type(cause_of).__name__)
    for cause, wanted in CAUSES:
        error = openai.APIConnectionError(request=REQUEST)
        error.__cause__ = cause
        answer = cause_of(error)
        yield expect(answer == wanted, f"{wanted!r} for {type(cause).__name__}", repr(answer))


@exercise("11.4")
def old_script(hero: Callable[[OpenAI, str], object], client: OpenAI, model: str) -> Expectations:
    yield expect(callable(hero), "a function", type(hero).__name__)
    text = hero(client, model)
    yield expect(isinstance(text, str) and text, "the text of the answer", type(text).__name__)
    yield expect(text != TOO_MANY, "the text of the answer", "the words for too many requests")
    set_fault(client, "rate_limit")
    try:
        told = hero(client.with_options(max_retries=0), model)
    finally:
        clear_faults(client)
    yield expect(told == TOO_MANY, f"{TOO_MANY!r} at a rate limit", repr(told))


def _error(name: str, status: int | None, code: str | None) -> openai.APIError:
    """The error that the openai package raises in this case."""
    if status is None:
        kind = openai.APITimeoutError if name == "a timeout" else openai.APIConnectionError
        return kind(request=REQUEST)
    answer = httpx2.Response(status, request=REQUEST)
    body = {"message": "…", "code": code, "type": None, "param": None}
    raised = KINDS.get(status, openai.InternalServerError)
    return raised(f"Error code: {status}", response=answer, body=body)


@exercise("11.5")
def retryable(may_retry: Callable[[Exception], object]) -> Expectations:
    yield expect(callable(may_retry), "a function", type(may_retry).__name__)
    for name, status, code, wanted in CASES:
        answer = may_retry(_error(name, status, code))
        seen = "nothing" if answer is None else answer
        yield expect(answer in (True, False), f"True or False for {name}", seen)
        yield expect(bool(answer) is wanted, f"{wanted} for {name}", answer)


@exercise("11.6")
def training_file(path: str | Path) -> Expectations:
    report = check_file(path)
    errors = [problem for problem in report.problems if problem.severity == "error"]
    seen = errors[0].message.rstrip(".") if errors else ""
    yield expect(report.ok, "a file that a job accepts", seen)
    good = read_jsonl(find("train.jsonl"))[:EXAMPLES]
    del good[UNANSWERED]
    handed_in = read_jsonl(path)
    lost = sum(example not in handed_in for example in good)
    yield expect(not lost, "every example that was in order", f"{lost} of them changed or missing")
    count = len(handed_in)
    yield expect(count <= EXAMPLES, f"no more than {EXAMPLES} examples", count)


@exercise("11.7")
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
        with suppress(openai.BadRequestError):  # it has ended by now
            client.fine_tuning.jobs.cancel(each.id)
    count = len(jobs) - before
    yield expect(count > 0, "the job on the server", "no job")
    yield expect(count == 1, "one job for one request", f"{count} jobs")
    yield expect(isinstance(job, FineTuningJob), "the job to be returned", type(job).__name__)
    yield expect(job.id == jobs[0].id, "the job that was created", "another one")


def job_request(client: OpenAI, model: str) -> dict[str, Any]:
    """A small request for exercise 11.7: its file is uploaded, and its label is unique."""
    lines = find("train.jsonl").read_bytes().splitlines(keepends=True)[:EXAMPLES]
    file = client.files.create(file=("request.jsonl", b"".join(lines)), purpose="fine-tune")
    return {
        "model": model,
        "training_file": file.id,
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
        "metadata": {"request": file.id},
    }


@exercise("11.8")
def conversation_limit(shorten: Callable[[Messages, int], Messages]) -> Expectations:
    yield expect(callable(shorten), "a function", type(shorten).__name__)
    for messages, limit, kept in (
        ([SYSTEM, *TALK], 100, 7),
        ([SYSTEM, *TALK], 30, 5),
        ([SYSTEM, *TALK], 20, 3),
        ([SYSTEM, *TALK], 9, 1),
        (TALK, 20, 5),
        ([SYSTEM, *TALK], 4, 0),
    ):
        given = copy.deepcopy(messages)
        answer = shorten(given, limit)
        case = f"for {len(messages)} messages and a limit of {limit} words"
        yield expect(isinstance(answer, list), f"a list {case}", type(answer).__name__)
        yield expect(given == messages, "the list that was handed in to stay as it was")
        system = [message for message in messages if message["role"] == "system"]
        first, talk = answer[: len(system)], answer[len(system) :]
        yield expect(first == system, f"the system message first {case}", first)
        size = sum(len(message["content"].split()) for message in answer)
        yield expect(size <= limit, f"{limit} words at most {case}", f"{size} words")
        begins = not talk or talk[0]["role"] == "user"
        yield expect(begins, f"the user to speak first {case}", "another role")
        newest = talk == TALK[len(TALK) - len(talk) :]
        yield expect(newest, f"the newest messages, in their order {case}", f"{len(talk)} others")
        seen = f"{len(talk)} of the conversation"
        yield expect(len(talk) == kept, f"as many messages as fit {case}", seen)
