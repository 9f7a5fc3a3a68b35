"""/v1/batches: create, list, retrieve, cancel."""

import asyncio
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from openai.types import Batch
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from sandbox.api import chat, completions, embeddings, response_answer
from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, Strict, no_body, shown
from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import BadRequest, FileNotFound, NotFound
from sandbox.api.files import find_file
from sandbox.api.generation import Prepare
from sandbox.api.metadata import Metadata
from sandbox.api.paging import PageToHundred, envelope
from sandbox.api.uploads import LONGEST_LIFE, SHORTEST_LIFE
from sandbox.store import batches
from sandbox.store.errors import MissingFile, StateError
from sandbox.store.tables import BatchRow

router = APIRouter(prefix="/batches", tags=["batches"], route_class=JsonRoute)
# How long the answer to a cancel waits for the batch to end.
PATIENCE_SECONDS = 2.0
# What the body of a batch's line must be, and what answers it.
ENDPOINTS: dict[str, tuple[type[Strict], Prepare]] = {
    "/v1/chat/completions": (chat.ChatRequest, chat.prepare),
    "/v1/completions": (completions.CompletionRequest, completions.prepare),
    "/v1/responses": (response_answer.ResponseRequest, response_answer.prepare),
    "/v1/embeddings": (embeddings.EmbeddingRequest, embeddings.prepare),
}


class OutputExpiresAfter(Strict):
    """How long the output files live, counted from their creation."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=SHORTEST_LIFE, le=LONGEST_LIFE)]


class BatchRequest(Strict):
    """The parameters of a new batch."""

    input_file_id: str
    endpoint: Literal[*ENDPOINTS]
    completion_window: Literal["24h"]
    metadata: Metadata | None = None
    output_expires_after: OutputExpiresAfter | None = None


@router.post("")
async def create_batch(asked: BatchRequest, project: Project, context: ContextOf) -> dict[str, Any]:
    """Have the requests of a file answered. The file is checked after this answer is out."""
    row = await run_in_threadpool(_create, context, project, asked)
    context.new_batches.put_nowait(row.id)
    return batch_object(row)


@router.get("")
def list_batches(query: PageToHundred, project: Project, context: ContextOf) -> dict[str, Any]:
    """The project's batches in pages, newest first."""
    return envelope(batches.list_batches(context.store, project, **query.place), batch_object)


@router.get("/{batch_id}")
def retrieve_batch(batch_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """One batch by its id."""
    return batch_object(_find(context, project, batch_id))


@router.post("/{batch_id}/cancel", dependencies=[Depends(no_body)])
async def cancel_batch(batch_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """Stop a batch. The lines that have been answered are in its output file."""
    await run_in_threadpool(_find, context, project, batch_id)
    try:
        await run_in_threadpool(batches.request_cancel, context.store, batch_id)
    except StateError as error:
        raise BadRequest(
            f"Cannot cancel a batch with status '{error.status}'.", code="invalid_batch_state"
        ) from error
    context.new_batches.put_nowait(batch_id)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        row = await run_in_threadpool(_find, context, project, batch_id)
        if row.status != "cancelling" or time.monotonic() > deadline:
            return batch_object(row)
        await asyncio.sleep(0.05)


def _create(context: Context, project: str, asked: BatchRequest) -> BatchRow:
    find_file(context, project, asked.input_file_id, "input_file_id", "batch")
    life = asked.output_expires_after
    new = BatchRow(
        project=project,
        endpoint=asked.endpoint,
        input_file=asked.input_file_id,
        completion_window=asked.completion_window,
        output_seconds=life.seconds if life else None,
        metadata=asked.metadata,
    )
    try:
        return batches.create_batch(context.store, new)
    except MissingFile as error:
        raise FileNotFound(error.file_id, "input_file_id") from error


def _find(context: Context, project: str, batch_id: str) -> BatchRow:
    row = batches.get_batch(context.store, project, batch_id)
    if row is None:
        raise NotFound(f"No batch found with id '{batch_id}'.", param="batch_id")
    return row


def batch_object(row: BatchRow) -> dict[str, Any]:
    """Return a batch as the API shows it, the times it has not reached as nulls."""
    batch = shown(
        Batch,
        row,
        object="batch",
        input_file_id=row.input_file,
        output_file_id=row.output_file,
        error_file_id=row.error_file,
        errors={"object": "list", "data": row.errors} if row.errors else None,
        request_counts={"total": row.total, "completed": row.completed, "failed": row.failed},
        usage={
            "input_tokens": row.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": row.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": row.input_tokens + row.output_tokens,
        },
    )
    if row.model is None:  # it is known when the file has been read
        del batch["model"]
    return batch
