"""/v1/batches: create, list, retrieve, cancel."""

import asyncio
import time
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool

from sandbox.api import wire
from sandbox.api.auth import Project
from sandbox.api.batch_request import BatchRequest
from sandbox.api.body import JsonRoute, no_body
from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import BadRequest, BatchNotFound, FileNotFound
from sandbox.api.paging import check_query, envelope, read_after, read_limit
from sandbox.store import BatchStateError, MissingFile, batches, files
from sandbox.store.batches import BatchRow, NewBatch

router = APIRouter(prefix="/batches", tags=["batches"], route_class=JsonRoute)
LARGEST_PAGE = 100
# How long the answer to a cancel waits for the batch to end.
PATIENCE_SECONDS = 2.0


@router.post("")
async def create_batch(asked: BatchRequest, project: Project, context: ContextOf) -> dict[str, Any]:
    """Have the requests of a file answered. The file is checked after this answer is out."""
    row = await run_in_threadpool(_create, context, project, asked)
    context.new_batches.put_nowait(row.id)
    return wire.batch_object(row)


@router.get("")
def list_batches(request: Request, project: Project, context: ContextOf) -> dict[str, Any]:
    """The project's batches in pages, newest first: `after`, `limit`."""
    check_query(request, "after", "limit")
    limit = read_limit(request, 20, LARGEST_PAGE)
    page = batches.list_batches(context.store, project, after=read_after(request), limit=limit)
    return envelope([wire.batch_object(row) for row in page.rows], page.has_more, ends=True)


@router.get("/{batch_id}")
def retrieve_batch(batch_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """One batch by its id."""
    return wire.batch_object(_find(context, project, batch_id))


@router.post("/{batch_id}/cancel", dependencies=[Depends(no_body)])
async def cancel_batch(batch_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """Stop a batch. The lines that have been answered are in its output file."""
    await run_in_threadpool(_find, context, project, batch_id)
    try:
        await run_in_threadpool(batches.request_cancel, context.store, batch_id)
    except BatchStateError as error:
        raise BadRequest(
            f"Cannot cancel a batch with status '{error.status}'.", code="invalid_batch_state"
        ) from error
    context.new_batches.put_nowait(batch_id)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        row = await run_in_threadpool(_find, context, project, batch_id)
        if row.status != "cancelling" or time.monotonic() > deadline:
            return wire.batch_object(row)
        await asyncio.sleep(0.05)


def _create(context: Context, project: str, asked: BatchRequest) -> BatchRow:
    row = files.get_file(context.store, project, asked.input_file_id)
    if row is None:
        raise FileNotFound(asked.input_file_id, "input_file_id")
    if row.purpose != "batch":
        raise BadRequest(
            f"The file {row.id} has the purpose '{row.purpose}'. Upload it again with "
            "purpose='batch'.",
            param="input_file_id",
        )
    life = asked.output_expires_after
    new = NewBatch(
        project,
        asked.endpoint,
        asked.input_file_id,
        asked.completion_window,
        life.seconds if life else None,
        asked.metadata,
    )
    try:
        return batches.create_batch(context.store, new)
    except MissingFile as error:
        raise FileNotFound(error.file_id, "input_file_id") from error


def _find(context: Context, project: str, batch_id: str) -> BatchRow:
    row = batches.get_batch(context.store, project, batch_id)
    if row is None:
        raise BatchNotFound(batch_id)
    return row
