"""/v1/fine_tuning/jobs: create, list, retrieve, cancel, pause, resume, events, checkpoints."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from starlette.concurrency import run_in_threadpool

from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, no_body, shown
from sandbox.api.catalog import find_model
from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import BadRequest, FileNotFound, NotFound
from sandbox.api.files import find_file
from sandbox.api.job_request import (
    LARGEST_SEED,
    Hyperparameters,
    JobRequest,
    merge_hyperparameters,
)
from sandbox.api.paging import AnyPage, FilteredQuery, PageOfTen, envelope
from sandbox.config import ORGANIZATION
from sandbox.store import checkpoints, events, jobs
from sandbox.store.database import Store
from sandbox.store.errors import MissingFile
from sandbox.store.tables import CheckpointRow, EventRow, JobRow

router = APIRouter(prefix="/fine_tuning/jobs", tags=["fine-tuning"], route_class=JsonRoute)
# How long an answer to cancel or pause waits for the trainer to have done it.
PATIENCE_SECONDS = 5.0


@router.post("")
async def create_job(
    asked: JobRequest, request: Request, project: Project, context: ContextOf
) -> dict[str, Any]:
    """Create a supervised fine-tuning job. The files are checked after the answer is out."""
    fault = getattr(request.state, "job_fault", None)
    row = await run_in_threadpool(_create, context, project, asked, fault)
    context.new_jobs.put_nowait(row.id)
    return job_object(row)


@router.get("")
def list_jobs(
    query: Annotated[FilteredQuery, Query()], project: Project, context: ContextOf
) -> dict[str, Any]:
    """The project's jobs in pages, newest first; also those with `metadata[key]=value` only."""
    page = jobs.list_jobs(context.store, project, metadata=query.metadata(), **query.place)
    return envelope(page, job_object)


@router.get("/{job_id}")
def retrieve_job(job_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """One job by its id."""
    return job_object(_find(context, project, job_id))


@router.get("/{job_id}/events")
def list_events(
    job_id: str, query: AnyPage, project: Project, context: ContextOf
) -> dict[str, Any]:
    """What happened to a job, in pages, newest first."""
    _find(context, project, job_id)
    return envelope(events.list_events(context.store, job_id, **query.place), event_object)


@router.get("/{job_id}/checkpoints")
def list_checkpoints(
    job_id: str, query: PageOfTen, project: Project, context: ContextOf
) -> dict[str, Any]:
    """The models a job has saved on its way, in pages, newest first."""
    _find(context, project, job_id)
    page = checkpoints.list_checkpoints(context.store, job_id, **query.place)
    return envelope(page, checkpoint_object)


@router.post("/{job_id}/cancel", dependencies=[Depends(no_body)])
async def cancel_job(job_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """Cancel a job that has not finished."""
    return await _ask(context, project, job_id, jobs.request_cancel)


@router.post("/{job_id}/pause", dependencies=[Depends(no_body)])
async def pause_job(job_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """Pause a job: its training stops after a step and can be resumed from there."""
    return await _ask(context, project, job_id, jobs.request_pause)


@router.post("/{job_id}/resume", dependencies=[Depends(no_body)])
async def resume_job(job_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """Put a paused job back into the queue."""
    return await _ask(context, project, job_id, jobs.resume_job)


def _create(
    context: Context, project: str, asked: JobRequest, fault: dict[str, Any] | None
) -> JobRow:
    numbers = merge_hyperparameters(asked)
    integrations = [each.model_dump(exclude_none=True) for each in asked.integrations]
    if find_model(context, project, asked.model).base.embeds:
        raise BadRequest(f"Model {asked.model} is not available for fine-tuning.", param="model")
    for name in ("training_file", "validation_file"):
        if (file_id := getattr(asked, name)) is not None:
            find_file(context, project, file_id, name, "fine-tune")
    seed = asked.seed if asked.seed is not None else context.settings.seed
    if seed is None:
        seed = secrets.randbelow(LARGEST_SEED + 1)
    new = JobRow(
        project=project,
        model=asked.model,
        training_file=asked.training_file,
        validation_file=asked.validation_file,
        suffix=asked.suffix,
        seed=seed % (LARGEST_SEED + 1),
        method={"type": "supervised", "integrations": integrations},
        hyperparameters=numbers,
        metadata=asked.metadata,
        fault=fault,
    )
    try:
        row = jobs.create_job(context.store, new)
    except MissingFile as error:
        raise FileNotFound(error.file_id, "training_file") from error
    if integrations:
        message = "The sandbox works offline: nothing is sent to Weights & Biases."
        events.append_event(context.store, row.id, message, level="warn")
    return row


def _find(context: Context, project: str, job_id: str) -> JobRow:
    row = jobs.get_job(context.store, project, job_id)
    if row is None:
        message = f"Could not find fine tune: {job_id}"
        raise NotFound(message, param="fine_tune_id", code="fine_tune_not_found")
    return row


async def _ask(
    context: Context,
    project: str,
    job_id: str,
    request: Callable[[Store, str], JobRow],
) -> dict[str, Any]:
    """Ask something of a job and give its trainer a moment to do it."""
    await run_in_threadpool(_find, context, project, job_id)
    row = await run_in_threadpool(request, context.store, job_id)
    if context.trainers is not None:
        await run_in_threadpool(context.trainers.ask, job_id)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while row.requested is not None and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        row = await run_in_threadpool(_find, context, project, job_id)
    return job_object(row)


def job_object(row: JobRow) -> dict[str, Any]:
    """Return a job as the API shows it."""
    numbers = {name: row.hyperparameters.get(name, "auto") for name in Hyperparameters.model_fields}
    return shown(
        FineTuningJob,
        row,
        object="fine_tuning.job",
        organization_id=ORGANIZATION,
        hyperparameters=numbers,
        user_provided_suffix=row.suffix,
        integrations=row.method.get("integrations", []),
        method={"type": "supervised", "supervised": {"hyperparameters": numbers}},
    )


def event_object(row: EventRow) -> dict[str, Any]:
    """Return an event as the API shows it."""
    return shown(FineTuningJobEvent, row, object="fine_tuning.job.event", data=row.data or {})


def checkpoint_object(row: CheckpointRow) -> dict[str, Any]:
    """Return a checkpoint as the API shows it, with the numbers that were measured."""
    metrics = {"step": row.step} | {k: v for k, v in row.metrics.items() if v is not None}
    return shown(
        FineTuningJobCheckpoint,
        row,
        object="fine_tuning.job.checkpoint",
        fine_tuned_model_checkpoint=row.model,
        fine_tuning_job_id=row.job_id,
        step_number=row.step,
        metrics=metrics,
    )
