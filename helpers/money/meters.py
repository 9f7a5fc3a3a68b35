"""Read the answers to paid calls: what they did cost goes into the diary of spending."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2

from helpers.money.costs import training_cost, usage_cost
from helpers.money.spending import Diary, Entry, diary

Object = dict[str, Any]


class Meter:
    """Finds the usage in an answer, whole or streamed, and writes down what it cost."""

    def __init__(self, book: Diary, entry: Entry) -> None:
        self._book, self._entry = book, entry
        self._rest = b""
        self._usage: Object | None = None

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
        if self._usage:
            settle(self._book, self._entry, self._usage)
            self._usage = None


def settle(book: Diary, entry: Entry, usage: Object, *, batch: bool = False) -> None:
    """Write down the cost of this usage, whichever of the API's names it uses."""
    tokens_in = usage.get("prompt_tokens", usage.get("input_tokens")) or 0
    tokens_out = usage.get("completion_tokens", usage.get("output_tokens")) or 0
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    cached = details.get("cached_tokens") or 0
    usd = usage_cost(entry.model, tokens_in, tokens_out, cached=cached, batch=batch)
    book.settle(entry, usd, tokens_in, tokens_out)


def note_run(book: Diary, entry: Entry, content: bytes) -> None:
    """The answer to the creation of a job or a batch: the money is set aside for this one."""
    if run_id := parsed(content).get("id"):
        book.belongs_to(entry, str(run_id))


def look_at_run(content: bytes) -> None:
    """A job or a batch that was looked at: once it has ended, its cost is known."""
    run, book = parsed(content), diary()
    if not run.get("id") or not book.path.is_file():
        return
    for entry in book.entries():
        if entry.state == "open" and entry.run == run["id"]:
            if run.get("status") == "failed":
                book.void(entry)
            elif entry.what == "batch" and run.get("status") != "in_progress" and run.get("usage"):
                settle(book, entry, run["usage"], batch=True)
            elif run.get("status") in ("succeeded", "cancelled") and run.get("trained_tokens"):
                tokens = int(run["trained_tokens"])
                book.settle(entry, training_cost(entry.model, tokens), tokens)


class Tap(httpx2.SyncByteStream):
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


class AsyncTap(httpx2.AsyncByteStream):
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


def _usage_in(data: bytes) -> Object | None:
    found = parsed(data)
    return found.get("usage") or (found.get("response") or {}).get("usage")


def parsed(data: bytes) -> Object:
    """The JSON object in an answer; an empty one if there is none."""
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
