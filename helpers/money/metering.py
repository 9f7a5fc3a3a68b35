"""Let a client's paid calls pass by the diary of spending: before they leave, and after.

The openai package hands its HTTP client every call, and an HTTP client has a place for hooks. So
each call is counted, from a notebook's cell as from a command, and none leaves that a ceiling
forbids. The client itself stays a plain one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import openai

from helpers.money.meters import AsyncTap, Meter, Tap, look_at_run, note_run, parsed
from helpers.money.spending import BudgetExceeded, Entry, ceiling, diary
from helpers.money.worst_case import batch_cost, call_cost, kind_of, training_cost_of

JOBS, BATCHES = "/fine_tuning/jobs", "/batches"
RUN = re.compile(rf"({JOBS}|{BATCHES})/[^/]+(/cancel)?$")
FILE = re.compile(r"/files(/[^/]+)?$")
LARGEST_UPLOAD = 2**28  # bytes; a larger one is not looked at
NOTE, UPLOAD = "heroes.spending", "heroes.upload"

# What the server and the uploads told about files: training and batches are paid by them.
_sizes: dict[str, int] = {}
_batches: dict[str, tuple[str, float | None]] = {}


class NotAnApi(openai.OpenAIError):
    """A web page answered instead of an API."""


def sync_hooks() -> dict[str, list[Callable[..., Any]]]:
    """`event_hooks` for the HTTP client of an `OpenAI` client."""

    def before(request: httpx2.Request) -> None:
        if _is_of_interest(request):
            request.read()
            _before(request)

    def after(response: httpx2.Response) -> None:
        _refuse_pages(response)
        meter = _stream_meter(response)
        if meter:
            response.stream = Tap(response.stream, meter)
        elif _is_told_of(response):
            response.read()
            _after(response)

    return {"request": [before], "response": [after]}


def async_hooks() -> dict[str, list[Callable[..., Any]]]:
    """`event_hooks` for the HTTP client of an `AsyncOpenAI` client."""

    async def before(request: httpx2.Request) -> None:
        if _is_of_interest(request):
            await request.aread()
            _before(request)

    async def after(response: httpx2.Response) -> None:
        _refuse_pages(response)
        meter = _stream_meter(response)
        if meter:
            response.stream = AsyncTap(response.stream, meter)
        elif _is_told_of(response):
            await response.aread()
            _after(response)

    return {"request": [before], "response": [after]}


def _is_of_interest(request: httpx2.Request) -> bool:
    """Must the body be read? For what is paid, and for what is uploaded."""
    if request.method != "POST":
        return False
    path = request.url.path
    if path.endswith("/files"):
        return int(request.headers.get("content-length", LARGEST_UPLOAD)) < LARGEST_UPLOAD
    return kind_of(path) is not None or path.endswith((JOBS, BATCHES))


def _before(request: httpx2.Request) -> None:
    """Set aside what the call can cost, or raise BudgetExceeded: it has not left yet."""
    path, body = request.url.path, parsed(request.content)
    if path.endswith("/files"):
        request.extensions[UPLOAD] = batch_cost(request.content)
        return
    if path.endswith(BATCHES):
        entry = _reserve_batch(str(body.get("input_file_id")))
    elif "model" not in body:
        return  # the server refuses it, and bills nothing
    elif path.endswith(JOBS):
        entry = _reserve_training(body)
    else:
        what = kind_of(path) or "call"
        usd = call_cost(what, body, len(request.content))
        entry = diary().reserve(what, str(body["model"]), usd)
    request.extensions[NOTE] = entry


def _reserve_training(body: dict[str, Any]) -> Entry:
    size = _sizes.get(file_id := str(body.get("training_file")))
    if size is None and ceiling() is not None:
        raise BudgetExceeded(
            f"How large {file_id} is, and so what training would cost, is not known yet. Look at "
            f"it first, client.files.retrieve({file_id!r}), and try again. Nothing was called."
        )
    usd = None if size is None else training_cost_of(body, size)
    return diary().reserve("training", str(body["model"]), usd)


def _reserve_batch(file_id: str) -> Entry:
    model, usd = _batches.get(file_id, ("(batch)", None))
    if file_id not in _batches and ceiling() is not None:
        raise BudgetExceeded(
            f"What the batch in {file_id} can cost is not known, since another program uploaded "
            "it. Upload it again here, so that the ceiling can be kept. Nothing was called."
        )
    return diary().reserve("batch", model, usd)


def _refuse_pages(response: httpx2.Response) -> None:
    if response.is_success and "text/html" in response.headers.get("content-type", ""):
        raise NotAnApi(
            f"{response.request.url.host} answers with a web page, which is no API. Look at "
            "OPENAI_BASE_URL: it usually ends in /v1."
        )


def _stream_meter(response: httpx2.Response) -> Meter | None:
    """The meter for a paid answer that is streamed."""
    streams = response.headers.get("content-type", "").startswith("text/event-stream")
    entry = response.request.extensions.get(NOTE)
    return Meter(diary(), entry) if entry and streams and response.is_success else None


def _is_told_of(response: httpx2.Response) -> bool:
    """Does the answer say something about money?"""
    path = response.request.url.path
    about_files = response.request.method in ("GET", "POST") and FILE.search(path)
    return NOTE in response.request.extensions or bool(about_files or RUN.search(path))


def _after(response: httpx2.Response) -> None:
    request, content = response.request, response.content
    entry = request.extensions.pop(NOTE, None)
    if not response.is_success:
        if entry:
            diary().void(entry)
    elif entry and entry.what in ("training", "batch"):
        note_run(diary(), entry, content)
    elif entry:
        Meter(diary(), entry).whole(content)
    elif RUN.search(request.url.path):
        look_at_run(content)
    else:
        _remember_files(request, parsed(content))


def _remember_files(request: httpx2.Request, answer: dict[str, Any]) -> None:
    for file in answer.get("data") or [answer]:
        if isinstance(file, dict) and isinstance(file.get("bytes"), int):
            _sizes[str(file.get("id"))] = file["bytes"]
    if cost := request.extensions.pop(UPLOAD, None):
        _batches[str(answer.get("id"))] = cost
