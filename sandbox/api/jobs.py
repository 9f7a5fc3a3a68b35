"""/v1/fine_tuning/jobs: create, list, retrieve, cancel, pause, resume, events, checkpoints."""

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool

from sandbox.api import wire
from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, no_body
from sandbox.api.catalog import find_model
from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import BadRequest, FileNotFound, JobNotFound
from sandbox.api.job_request import LARGEST_SEED, JobRequest, merge_hyperparameters
from sandbox.api.paging import check_query, envelope, read_after, read_limit
from sandbox.store import MissingFile, Store, checkpoints, events, files, jobs
from sandbox.store.jobs import JobRow, NewJob

router = APIRouter(prefix="/fine_tuning/jobs", tags=["fine-tuning"], route_class=JsonRoute)
LARGEST_PAGE = 1000
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
    return wire.job_object(row)


@router.get("")
def list_jobs(request: Request, project: Project, context: ContextOf) -> dict[str, Any]:
    """The project's jobs in pages, newest first: `after`, `limit`, `metadata[key]=value`."""
    page = jobs.list_jobs(
        context.store,
        project,
        metadata=_metadata_filter(request),
        after=read_after(request),
        limit=read_limit(request, 20, LARGEST_PAGE),
    )
    return envelope([wire.job_object(row) for row in page.rows], page.has_more)


@router.get("/{job_id}")
def retrieve_job(job_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """One job by its id."""
    return wire.job_object(_find(context, project, job_id))


@router.get("/{job_id}/events")
def list_events(
    job_id: str, request: Request, project: Project, context: ContextOf
) -> dict[str, Any]:
    """What happened to a job, in pages, newest first: `after`, `limit`."""
    check_query(request, "after", "limit")
    _find(context, project, job_id)
    limit = read_limit(request, 20, LARGEST_PAGE)
    page = events.list_events(context.store, job_id, after=read_after(request), limit=limit)
    return envelope([wire.event_object(row) for row in page.rows], page.has_more)


@router.get("/{job_id}/checkpoints")
def list_checkpoints(
    job_id: str, request: Request, project: Project, context: ContextOf
) -> dict[str, Any]:
    """The models a job has saved on its way, in pages, newest first: `after`, `limit`."""
    check_query(request, "after", "limit")
    _find(context, project, job_id)
    page = checkpoints.list_checkpoints(
        context.store,
        job_id,
        after=read_after(request),
        limit=read_limit(request, 10, LARGEST_PAGE),
    )
    rows = [wire.checkpoint_object(row) for row in page.rows]
    return envelope(rows, page.has_more, ends=True)


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
    if request.integrations:
        raise BadRequest(
            "The sandbox has no integrations: leave 'integrations' out.", param="integrations"
        )
    numbers = merge_hyperparameters(request)
    find_model(context, project, request.model)
    _check_file(context, project, "training_file", request.training_file)
    if request.validation_file is not None:
        _check_file(context, project, "validation_file", request.validation_file)
    new = NewJob(
        project=project,
        model=request.model,
        training_file=request.training_file,
        validation_file=request.validation_file,
        suffix=request.suffix,
        seed=_seed(context, request),
        method={"type": "supervised"},
        hyperparameters=numbers,
        metadata=request.metadata,
        fault=fault,
    )
    try:
        return jobs.create_job(context.store, new)
    except MissingFile as error:
        raise FileNotFound(error.file_id, "training_file") from error


def _check_file(context: Context, project: str, param: str, file_id: str) -> None:
    row = files.get_file(context.store, project, file_id)
    if row is None:
        raise FileNotFound(file_id, param)
    if row.purpose != "fine-tune":
        raise BadRequest(
            f"The file {file_id} has the purpose '{row.purpose}'. Upload it again with "
            "purpose='fine-tune'.",
            param=param,
        )


def _seed(context: Context, request: JobRequest) -> int:
    if request.seed is not None:
        return request.seed
    if context.settings.seed is not None:
        return context.settings.seed % (LARGEST_SEED + 1)
    return secrets.randbelow(LARGEST_SEED + 1)


def _find(context: Context, project: str, job_id: str) -> JobRow:
    row = jobs.get_job(context.store, project, job_id)
    if row is None:
        raise JobNotFound(job_id)
    return row


def _metadata_filter(request: Request) -> dict[str, str] | None:
    wanted: dict[str, str] = {}
    none_wanted = False
    for name, value in request.query_params.multi_items():
        pair = re.fullmatch(r"metadata\[(.*)\]", name, re.DOTALL)
        if pair:
            wanted[pair[1]] = value
        elif name == "metadata" and value == "null":
            none_wanted = True
        elif name not in ("after", "limit"):
            raise BadRequest(
                f"Unknown query parameter: '{name}'. Known here: after, limit, metadata[key].",
                param=name,
                code="unknown_parameter",
            )
    return wanted if wanted or none_wanted else None


async def _ask(
    context: Context,
    project: str,
    job_id: str,
    wish: Callable[[Store, str], JobRow],
) -> dict[str, Any]:
    """Ask something of a job and give its trainer a moment to do it."""
    await run_in_threadpool(_find, context, project, job_id)
    row = await run_in_threadpool(wish, context.store, job_id)
    if context.trainers is not None:
        await run_in_threadpool(context.trainers.ask, job_id)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while row.requested is not None and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        row = await run_in_threadpool(_find, context, project, job_id)
    return wire.job_object(row)
