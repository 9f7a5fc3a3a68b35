"""Let a client's paid calls pass by the diary of spending: before they leave, and after.

The openai package hands its HTTP client every call, and an HTTP client has a place for hooks. So
each call is counted, from a notebook's cell as from a command, and none leaves that a ceiling
forbids. The client itself stays a plain one.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import openai

from helpers.costs import estimate_training_size, usage_cost
from helpers.spending import BudgetExceeded, Diary, Entry, ceiling, diary
from helpers.tokens import most_tokens

# The end of a path that costs money, and what to call it.
PAID = {
    "/chat/completions": "chat",
    "/completions": "completion",
    "/embeddings": "embeddings",
    "/responses": "response",
    "/fine_tuning/jobs": "training",
}
FILES = re.compile(r"/files(/[^/]+)?$")
LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
# Without a limit: the shortest one for plain completions is fixed by the API, and no model that
# has a price in our table writes longer answers than this.
SHORT_ANSWER, LONGEST_ANSWER = 16, 128_000
NOTE = "heroes.spending"

# The sizes of uploaded files, as the server told them: what training on one costs follows from it.
_sizes: dict[str, int] = {}


class NotAnApi(openai.OpenAIError):
    """A web page answered instead of an API."""


def sync_hooks() -> dict[str, list[Callable[..., Any]]]:
    """`event_hooks` for the HTTP client of an `OpenAI` client."""

    def before(request: httpx2.Request) -> None:
        if what := _paid(request):
            request.read()
            _set_aside(request, what)

    def after(response: httpx2.Response) -> None:
        meter = _meter(response)
        if isinstance(meter, Meter) and _is_stream(response):
            response.stream = _Tap(response.stream, meter)
        elif meter:
            response.read()
            meter.whole(response.content)

    return {"request": [before], "response": [after]}


def async_hooks() -> dict[str, list[Callable[..., Any]]]:
    """`event_hooks` for the HTTP client of an `AsyncOpenAI` client."""

    async def before(request: httpx2.Request) -> None:
        if what := _paid(request):
            await request.aread()
            _set_aside(request, what)

    async def after(response: httpx2.Response) -> None:
        meter = _meter(response)
        if isinstance(meter, Meter) and _is_stream(response):
            response.stream = _AsyncTap(response.stream, meter)
        elif meter:
            await response.aread()
            meter.whole(response.content)

    return {"request": [before], "response": [after]}


def worst_case(what: str, body: dict[str, Any], size: int) -> tuple[int, int]:
    """The most tokens in and out that a call with this body of `size` bytes can be billed for."""
    if what == "embeddings":
        return size, 0
    limit = next((body[name] for name in LIMITS if body.get(name)), None)
    longest = limit or (SHORT_ANSWER if what == "completion" else LONGEST_ANSWER)
    prompts = body.get("prompt")
    # A list of texts, or of lists of token ids, is several prompts; a list of ids is one.
    several = isinstance(prompts, list) and prompts and not isinstance(prompts[0], int)
    answers = max(body.get("n") or 1, body.get("best_of") or 1) * (len(prompts) if several else 1)
    return size, int(longest) * int(answers)


class Meter:
    """Finds the usage in an answer, and writes down what it cost."""

    def __init__(self, book: Diary, entry: Entry) -> None:
        self._book, self._entry = book, entry
        self._rest, self._usage = b"", None

    def whole(self, content: bytes) -> None:
        """An answer in one piece."""
        self._usage = _usage_in(content)
        self.end()

    def chunk(self, data: bytes) -> None:
        """A piece of a streamed answer."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if b'"usage"' in line:
                self._usage = _usage_in(line.removeprefix(b"data:")) or self._usage

    def end(self) -> None:
        """Without a word about usage, what was set aside stays: the call may have cost it."""
        if not self._usage:
            return
        usage, self._usage = self._usage, None
        tokens_in = usage.get("prompt_tokens", usage.get("input_tokens")) or 0
        tokens_out = usage.get("completion_tokens", usage.get("output_tokens")) or 0
        details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
        cached = details.get("cached_tokens") or 0
        usd = usage_cost(self._entry.model, tokens_in, tokens_out, cached=cached)
        self._book.settle(self._entry, usd, tokens_in, tokens_out)


class JobMeter:
    """Notes for which job the money is set aside; `settle_job` writes down what it did cost."""

    def __init__(self, book: Diary, entry: Entry) -> None:
        self._book, self._entry = book, entry

    def whole(self, content: bytes) -> None:
        """The answer to the creation of a job."""
        if job_id := _parsed(content).get("id"):
            self._book.belongs_to(self._entry, str(job_id))


class FileMeter:
    """Remembers the sizes of files."""

    def whole(self, content: bytes) -> None:
        """A file, or a list of them."""
        answer = _parsed(content)
        for file in answer.get("data") or [answer]:
            if isinstance(file, dict) and isinstance(file.get("bytes"), int):
                _sizes[str(file.get("id"))] = file["bytes"]


class _Tap(httpx2.SyncByteStream):
    """Passes a stream on and lets the meter see it."""

    def __init__(self, stream: Any, meter: Meter) -> None:
        self._stream, self._meter = stream, meter

    def __iter__(self) -> Iterator[bytes]:
        for data in self._stream:
            self._meter.chunk(data)
            yield data

    def close(self) -> None:
        self._meter.end()
        self._stream.close()


class _AsyncTap(httpx2.AsyncByteStream):
    """The same, with await."""

    def __init__(self, stream: Any, meter: Meter) -> None:
        self._stream, self._meter = stream, meter

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._stream:
            self._meter.chunk(data)
            yield data

    async def aclose(self) -> None:
        self._meter.end()
        await self._stream.aclose()


def _paid(request: httpx2.Request) -> str | None:
    if request.method != "POST":
        return None
    return next((what for end, what in PAID.items() if request.url.path.endswith(end)), None)


def _set_aside(request: httpx2.Request, what: str) -> None:
    """Raise BudgetExceeded if the call could break a ceiling; it has not left yet."""
    try:
        body = json.loads(request.content)
        model = str(body["model"])
    except (ValueError, KeyError, TypeError):
        return  # the server refuses it, and bills nothing
    if what == "training":
        usd = _training_cost(model, body)
    else:
        usd = usage_cost(model, *worst_case(what, body, most_tokens(request.content)))
    book = diary()
    request.extensions[NOTE] = (book, book.reserve(what, model, usd))


def _training_cost(model: str, body: dict[str, Any]) -> float | None:
    """An estimate: nobody can tell before how many tokens the server will count."""
    method = body.get("method") or {}
    options = method.get(method.get("type") or "supervised") or {}
    numbers = options.get("hyperparameters") or body.get("hyperparameters") or {}
    epochs = numbers.get("n_epochs")
    size = _sizes.get(file_id := str(body.get("training_file")))
    if size is None and ceiling() is not None:
        raise BudgetExceeded(
            f"How large {file_id} is, and so what training would cost, is not known yet. Look at "
            f"it first, client.files.retrieve({file_id!r}), and try again. Nothing was called."
        )
    if size is None:
        return None
    return estimate_training_size(size, model, epochs if isinstance(epochs, int) else None).usd


def _meter(response: httpx2.Response) -> Meter | JobMeter | FileMeter | None:
    """The meter for a paid answer; a refused call is struck out."""
    if response.is_success and "text/html" in response.headers.get("content-type", ""):
        raise NotAnApi(
            f"{response.request.url.host} answers with a web page, which is no API. Look at "
            "OPENAI_BASE_URL: it usually ends in /v1."
        )
    if (noted := response.request.extensions.pop(NOTE, None)) is None:
        is_file = response.is_success and FILES.search(response.request.url.path)
        return FileMeter() if is_file and response.request.method in ("GET", "POST") else None
    book, entry = noted
    if response.is_success:
        return JobMeter(book, entry) if entry.what == "training" else Meter(book, entry)
    book.void(entry)
    return None


def _is_stream(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")


def _usage_in(data: bytes) -> dict[str, Any] | None:
    found = _parsed(data)
    return found.get("usage") or (found.get("response") or {}).get("usage")


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
