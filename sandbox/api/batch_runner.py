"""Working through batches: line by line, many at once, behind the requests somebody waits for."""

import asyncio
import json
import logging
import time
from contextlib import suppress
from typing import Any

from starlette.concurrency import run_in_threadpool

from sandbox.api.batch_file import BatchLine, check_file, read_lines
from sandbox.api.batches import ENDPOINTS
from sandbox.api.body import parse, without_nulls
from sandbox.api.catalog import find_model
from sandbox.api.context import Context
from sandbox.api.errors import (
    ApiError,
    EngineUnavailable,
    NotFound,
    UnsupportedParameter,
    told,
)
from sandbox.api.generation import Answer
from sandbox.api.race import Stopped, unless
from sandbox.store import batches, files, ids
from sandbox.store.batches import LineResult
from sandbox.store.errors import StorageError, StoreError
from sandbox.store.tables import UNFINISHED_BATCH, BatchRow

log = logging.getLogger(__name__)
# Requests of all batches together. Each batch asks for one place at a time, and places are given
# in the order of asking: so several batches share them evenly.
PLACES = 64
# How often a line is tried while the sampler's process dies and comes back.
ATTEMPTS = 3
RETRY_SECONDS = 5.0  # while the state folder cannot be written
EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}


async def run_batches(context: Context) -> None:
    """Run every batch that has not ended, also those that a stop of the server left.

    Ends only when it is cancelled; what is unfinished then goes on at the next start.
    """
    places = asyncio.Semaphore(PLACES)
    running: dict[str, _Run] = {}
    for row in await run_in_threadpool(batches.list_unfinished, context.store):
        context.new_batches.put_nowait(row.id)
    async with asyncio.TaskGroup() as group:
        while True:
            batch_id = await context.new_batches.get()
            if batch_id in running:
                # It is known, so its cancelling is what is new.
                running[batch_id].cancelled.set()
                continue
            running[batch_id] = run = _Run(context, places, batch_id)
            task = group.create_task(run.until_the_end(), name=batch_id)
            task.add_done_callback(lambda task: running.pop(task.get_name()))


class _Run:
    """One batch, from where it stands to its end."""

    def __init__(self, context: Context, places: asyncio.Semaphore, batch_id: str) -> None:
        self.context, self.store = context, context.store
        self.places = places
        self.cancelled = asyncio.Event()
        self.id = batch_id

    async def until_the_end(self) -> None:
        """Check the file, answer the lines, write the output. Never raises but when cancelled.

        While the state folder cannot be written, it is tried again and again.
        """
        while True:
            try:
                row = batches.get_batch(self.store, None, self.id)
                if row is None or row.status not in UNFINISHED_BATCH:
                    return
                await self._go_on(row)
            except* StorageError as errors:
                log.error("%s waits: %s", self.id, errors.exceptions)
                await asyncio.sleep(RETRY_SECONDS)
            except* Exception as errors:
                log.error("%s could not be run", self.id, exc_info=errors)
                await self._fail(errors.exceptions[0])

    async def _go_on(self, row: BatchRow) -> None:
        """Take the batch from the state that it is in to the next."""
        match row.status:
            case "validating":
                await run_in_threadpool(self._validate, row)
            case "in_progress":
                await self._answer_lines(row)
            case "finalizing":
                await run_in_threadpool(batches.finish, self.store, self.id, "completed")
            case "cancelling":
                await run_in_threadpool(batches.finish, self.store, self.id, "cancelled")

    async def _fail(self, error: Exception) -> None:
        message = f"The sandbox could not run the batch ({type(error).__name__})."
        fault = {"code": "server_error", "line": None, "message": message, "param": None}
        try:
            await run_in_threadpool(batches.fail, self.store, self.id, [fault])
        except StoreError as problem:
            log.error("%s could not be failed: %s", self.id, problem)
            await asyncio.sleep(RETRY_SECONDS)

    def _validate(self, row: BatchRow) -> None:
        def knows(name: str) -> bool:
            with suppress(NotFound):
                find_model(self.context, row.project, name)
                return True
            return False

        summary = check_file(files.file_path(self.store, row.input_file), row.endpoint, knows)
        if summary.errors:
            batches.fail(self.store, row.id, summary.errors)
        else:
            batches.start(self.store, row.id, summary.total, summary.model)

    async def _answer_lines(self, row: BatchRow) -> None:
        """Answer the lines until the end, the batch's cancelling, or its time is over."""
        left = row.expires_at - time.time()
        try:
            await unless(self.cancelled.wait(), self._all_lines(row), timeout=left)
            await run_in_threadpool(batches.mark_finalizing, self.store, self.id)
        except Stopped:
            if not self.cancelled.is_set():
                await run_in_threadpool(self._expire, row)

    def _expire(self, row: BatchRow) -> None:
        answered = batches.answered_lines(self.store, self.id)
        for line in read_lines(files.file_path(self.store, row.input_file)):
            if line.number not in answered:
                content = _content(line, None, EXPIRED)
                batches.add_result(self.store, self.id, LineResult(line.number, False, content))
        batches.finish(self.store, self.id, "expired")

    async def _all_lines(self, row: BatchRow) -> None:
        answered = await run_in_threadpool(batches.answered_lines, self.store, self.id)
        async with asyncio.TaskGroup() as group:
            for line in read_lines(files.file_path(self.store, row.input_file)):
                if line.number in answered:
                    if self.context.settings.seed is not None:
                        # For the seed it took: the next request like it gets the next.
                        await self._prepare(row, line)
                    continue
                await self.places.acquire()
                try:
                    # In the order of the lines: requests that are alike get different seeds.
                    answer = await self._prepare(row, line)
                except BaseException:
                    self.places.release()
                    raise
                group.create_task(self._answer(line, answer))

    async def _prepare(self, row: BatchRow, line: BatchLine) -> Answer | ApiError:
        body = without_nulls(line.body)
        try:
            if body.get("stream"):
                raise UnsupportedParameter("stream", "A batch gives whole answers.")
            kind, prepare = ENDPOINTS[row.endpoint]
            return await prepare(self.context, row.project, parse(kind, body), True)
        except ApiError as error:
            return error

    async def _answer(self, line: BatchLine, answer: Answer | ApiError) -> None:
        """Wait for the answer to a line and keep it."""
        try:
            status, body = await self._wait(answer)
            response = {"status_code": status, "request_id": ids.request_id(), "body": body}
            usage = body.get("usage", {})
            result = LineResult(
                line.number,
                status == 200,
                _content(line, response, None),
                usage.get("prompt_tokens", usage.get("input_tokens", 0)),
                usage.get("completion_tokens", usage.get("output_tokens", 0)),
            )
            await run_in_threadpool(batches.add_result, self.store, self.id, result)
        finally:
            self.places.release()

    async def _wait(self, answer: Answer | ApiError) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of an answer, or of the error that it comes to."""
        if isinstance(answer, ApiError):
            return answer.status, answer.body()
        try:
            for _ in range(ATTEMPTS - 1):
                with suppress(EngineUnavailable):
                    return 200, await answer.whole()
            return 200, await answer.whole()
        except Exception as problem:  # noqa: BLE001 - it is the line's answer
            error = told(problem, f"A line of {self.id}")
            return error.status, error.body()


def _content(line: BatchLine, response: dict[str, Any] | None, error: dict[str, str] | None) -> str:
    """Return a line of an output file."""
    head = {"id": ids.batch_request_id(), "custom_id": line.custom_id}
    return json.dumps({**head, "response": response, "error": error})
