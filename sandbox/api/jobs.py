"""/v1/fine_tuning/jobs: create, list, retrieve, cancel, pause, resume, events, checkpoints."""

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from pydantic import ConfigDict
from starlette.concurrency import run_in_threadpool

from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, dump, no_body
from sandbox.api.catalog import find_model
from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import BadRequest, FileNotFound, NotFound
from sandbox.api.files import find_file
from sandbox.api.job_request import LARGEST_SEED, JobRequest, merge_hyperparameters
from sandbox.api.metadata import MOST_PAIRS
from sandbox.api.paging import AnyPage, PageOfTen, PageQuery, envelope
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


class JobsQuery(PageQuery):
    """Which page of the jobs. What else comes is to be a filter: metadata[key]=value."""

    model_config = ConfigDict(extra="allow")

    def metadata(self) -> dict[str, str] | None:
        """Return the pairs to filter by; {} for no metadata at all, None for any. BadRequest."""
        wanted: dict[str, str] = {}
        given = self.model_extra or {}
        for name, value in given.items():
            pair = re.fullmatch(r"metadata\[(.*)\]", name, re.DOTALL)
            if pair:
                wanted[pair[1]] = value
            elif (name, value) != ("metadata", "null"):
                raise BadRequest(
                    f"Unknown query parameter: '{name}'. Known here: after, limit, metadata[key].",
                    param=name,
                    code="unknown_parameter",
                )
        if len(wanted) > MOST_PAIRS:
            raise BadRequest(
                f"Invalid 'metadata': no job has more than {MOST_PAIRS} pairs.", param="metadata"
            )
        return wanted if given else None


@router.get("")
def list_jobs(
    query: Annotated[JobsQuery, Query()], project: Project, context: ContextOf
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
    context: Context, project: str, request: JobRequest, fault: dict[str, Any] | None
) -> JobRow:
    numbers = merge_hyperparameters(request)
    integrations = [each.model_dump(exclude_none=True) for each in request.integrations]
    find_model(context, project, request.model)
    find_file(context, project, request.training_file, "training_file", "fine-tune")
    if request.validation_file is not None:
        find_file(context, project, request.validation_file, "validation_file", "fine-tune")
    new = JobRow(
        project=project,
        model=request.model,
        training_file=request.training_file,
        validation_file=request.validation_file,
        suffix=request.suffix,
        seed=_seed(context, request),
        method={"type": "supervised", "integrations": integrations},
        hyperparameters=numbers,
        metadata=request.metadata,
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


def _seed(context: Context, request: JobRequest) -> int:
    if request.seed is not None:
        return request.seed
    if context.settings.seed is not None:
        return context.settings.seed % (LARGEST_SEED + 1)
    return secrets.randbelow(LARGEST_SEED + 1)


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
    numbers = {
        name: row.hyperparameters.get(name, "auto")
        for name in ("n_epochs", "batch_size", "learning_rate_multiplier")
    }
    fields: dict[str, Any] = {
        "object": "fine_tuning.job",
        "id": row.id,
        "model": row.model,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "fine_tuned_model": row.fine_tuned_model,
        "organization_id": ORGANIZATION,
        "result_files": row.result_files,
        "status": row.status,
        "validation_file": row.validation_file,
        "training_file": row.training_file,
        "hyperparameters": numbers,
        "trained_tokens": row.trained_tokens,
        "error": row.error,
        "user_provided_suffix": row.suffix,
        "seed": row.seed,
        "estimated_finish": row.estimated_finish,
        "integrations": row.method.get("integrations", []),
        "metadata": row.metadata,
        "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
    }
    # Unchecked: the SDK's type lacks the status "paused", which the hosted API has.
    return dump(FineTuningJob.construct(**fields))


def event_object(row: EventRow) -> dict[str, Any]:
    """Return an event as the API shows it."""
    return dump(
        FineTuningJobEvent(
            object="fine_tuning.job.event",
            id=row.id,
            created_at=row.created_at,
            level=row.level,
            message=row.message,
            data=row.data or {},
            type=row.type,
        )
    )


def checkpoint_object(row: CheckpointRow) -> dict[str, Any]:
    """Return a checkpoint as the API shows it, with the numbers that were measured."""
    metrics = {"step": row.step} | {k: v for k, v in row.metrics.items() if v is not None}
    return dump(
        FineTuningJobCheckpoint(
            object="fine_tuning.job.checkpoint",
            id=row.id,
            created_at=row.created_at,
            fine_tuned_model_checkpoint=row.model,
            fine_tuning_job_id=row.job_id,
            step_number=row.step,
            metrics=metrics,
        )
    )
