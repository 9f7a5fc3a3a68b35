"""Responses with background=true: they are answered whether or not their client waits."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from openai import BaseModel
from starlette.concurrency import run_in_threadpool

from sandbox.api.body import dump
from sandbox.api.catalog import find_model
from sandbox.api.context import Context
from sandbox.api.errors import told
from sandbox.api.response_answer import Items, conversation, find_response, open_answer
from sandbox.api.response_request import ResponseRequest
from sandbox.api.response_shape import ResponseShape
from sandbox.api.streaming import Broadcast
from sandbox.store import answers
from sandbox.store.errors import StorageError

log = logging.getLogger(__name__)
MOST_ENDED = 20  # whose events are kept in memory, for streams that begin late
RETRY_SECONDS = 5.0  # while the state folder cannot be written


async def start(context: Context, project: str, asked: ResponseRequest) -> dict[str, Any]:
    """Store a response as queued and begin to answer it. Raises ApiError."""
    await run_in_threadpool(find_model, context, project, asked.model)
    items = await run_in_threadpool(conversation, context, project, asked)
    shape = ResponseShape(asked)
    queued = dump(shape.response("queued"))
    await run_in_threadpool(answers.add_answer, context.store, project, items, queued)
    _run(context, project, items, shape)
    return queued


async def cancel(context: Context, project: str, response_id: str) -> dict[str, Any]:
    """Stop a response and return it; one that has ended stays as it is. Raises NotFound."""
    if run := context.runs.get(response_id):
        await run.stop()
    row = await run_in_threadpool(find_response, context, project, response_id)
    cancelled = row.answer | {"status": "cancelled"}
    await run_in_threadpool(answers.move_on, context.store, cancelled)
    return (await run_in_threadpool(find_response, context, project, response_id)).answer


async def run_responses(context: Context) -> None:
    """Begin anew with the responses that a stop of the server left; end all when cancelled."""
    try:
        for row in await run_in_threadpool(answers.list_unfinished, context.store):
            shape = ResponseShape(ResponseRequest.of_answer(row.answer, row.items))
            shape.id, shape.created = row.id, row.created_at
            _run(context, row.project, row.items, shape)
        await asyncio.Event().wait()
    finally:
        await asyncio.gather(*(run.stop() for run in context.runs.values()))


def _run(context: Context, project: str, items: Items, shape: ResponseShape) -> None:
    ended = [response_id for response_id, run in context.runs.items() if run.ended]
    for response_id in ended[:-MOST_ENDED]:
        del context.runs[response_id]
    context.runs[shape.id] = Broadcast(_events(context, project, items, shape))


async def _events(
    context: Context, project: str, items: Items, shape: ResponseShape
) -> AsyncGenerator[BaseModel, None]:
    """Yield the events of an answer; each response in them is stored before it is shown."""
    for event in shape.queued():
        yield event
    try:
        answer = await open_answer(context, project, items, shape, True)
        async with aclosing(answer.chunks()) as events:
            async for event in events:
                await _keep(context, event)
                yield event
    except Exception as error:  # noqa: BLE001 - the response tells of it
        event = shape.failed(told(error, shape.id))
        await _keep(context, event)
        yield event


async def _keep(context: Context, event: BaseModel) -> None:
    """Store the response that an event carries, if it carries one, as soon as there is room."""
    while response := getattr(event, "response", None):
        try:
            await run_in_threadpool(answers.move_on, context.store, dump(response))
            return
        except StorageError as error:
            log.error("%s waits: %s", response.id, error)
            await asyncio.sleep(RETRY_SECONDS)
