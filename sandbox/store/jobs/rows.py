"""Job rows: their shape, their creation, and reading them."""

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from sandbox.store import events, files, ids
from sandbox.store.database import Store
from sandbox.store.paging import Page, page_of_project

FINISHED = ("succeeded", "failed", "cancelled")
JSON_FIELDS = ("method", "hyperparameters", "metadata", "error", "result_files", "fault")


@dataclass(frozen=True)
class NewJob:
    """What a client asks for. ``hyperparameters`` holds numbers or "auto"."""

    project: str
    model: str
    training_file: str
    seed: int
    method: dict[str, Any]
    hyperparameters: dict[str, Any]
    validation_file: str | None = None
    suffix: str | None = None
    metadata: dict[str, str] | None = None
    fault: dict[str, Any] | None = None  # for practice: its name and details


@dataclass(frozen=True)
class JobRow:
    """One fine-tuning job; times are Unix seconds."""

    n: int  # order of creation
    id: str
    project: str
    created_at: int
    started_at: int | None  # when training began for the first time
    finished_at: int | None
    model: str
    training_file: str
    validation_file: str | None
    suffix: str | None
    seed: int
    method: dict[str, Any]
    hyperparameters: dict[str, Any]  # "auto" or, once it runs, numbers
    metadata: dict[str, str] | None
    status: str  # validating_files, queued, running, paused, succeeded, failed, cancelled
    error: dict[str, str | None] | None  # code, message, param
    fine_tuned_model: str | None
    trained_tokens: int | None
    estimated_finish: int | None
    result_files: list[str]
    requested: str | None  # "cancel" or "pause": the trainer is to do it soon
    lease_owner: str | None
    lease_until: float | None
    claimed_at: float | None  # when a trainer last took it up
    attempt: int  # how often it was taken up since it last got further
    fault: dict[str, Any] | None  # for practice: what is to happen to it


def create_job(store: Store, new: NewJob) -> JobRow:
    """Record a job as ``validating_files``, with its first two events.

    Raises MissingFile when one of its files is not there.
    """
    job_id = ids.job_id()
    with store.write() as db:
        for file_id in filter(None, (new.training_file, new.validation_file)):
            files.require_file(db, new.project, file_id)
        db.execute(
            "INSERT INTO jobs (id, project, created_at, model, training_file, validation_file, "
            "suffix, seed, method, hyperparameters, metadata, fault, status) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'validating_files')",
            (
                job_id,
                new.project,
                int(time.time()),
                new.model,
                new.training_file,
                new.validation_file,
                new.suffix,
                new.seed,
                json.dumps(new.method),
                json.dumps(new.hyperparameters),
                None if new.metadata is None else json.dumps(new.metadata),
                None if new.fault is None else json.dumps(new.fault),
            ),
        )
        events.insert_event(db, job_id, f"Created fine-tuning job: {job_id}")
        text = f"Validating training file: {new.training_file}"
        if new.validation_file:
            text += f" and validation file: {new.validation_file}"
        events.insert_event(db, job_id, text)
        return require_job(db, job_id)


def get_job(store: Store, project: str | None, job_id: str) -> JobRow | None:
    """Return a job, or None. The project None stands for any: for the engine only."""
    with store.read() as db:
        row = db.execute(
            "SELECT * FROM jobs WHERE id = ? AND (? IS NULL OR project = ?)",
            (job_id, project, project),
        ).fetchone()
    return to_row(row) if row else None


def list_jobs(
    store: Store,
    project: str,
    *,
    after: str | None = None,
    limit: int = 20,
    metadata: dict[str, str] | None = None,
) -> Page[JobRow]:
    """Return one page of a project's jobs, newest first. Raises InvalidCursor.

    ``metadata`` keeps the jobs that have each of its pairs; an empty dict keeps those that have
    no metadata at all.
    """
    filters, values = _metadata_filter(metadata)
    return page_of_project(
        store,
        "jobs",
        project,
        to_row,
        filters=filters,
        filter_values=values,
        after=after,
        limit=limit,
    )


def list_jobs_in(store: Store, status: str) -> list[JobRow]:
    """Return the jobs of all projects that are in this state, oldest first."""
    with store.read() as db:
        rows = db.execute("SELECT * FROM jobs WHERE status = ? ORDER BY n", (status,)).fetchall()
    return [to_row(row) for row in rows]


def require_job(db: sqlite3.Connection, job_id: str) -> JobRow:
    """Return a job inside a transaction. Raises KeyError for an unknown id."""
    row = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise KeyError(job_id)
    return to_row(row)


def to_row(row: sqlite3.Row) -> JobRow:
    """Turn a database row into a JobRow."""
    fields = dict(row)
    for name in JSON_FIELDS:
        fields[name] = json.loads(fields[name]) if fields[name] is not None else None
    return JobRow(**fields)


def _metadata_filter(metadata: dict[str, str] | None) -> tuple[str, tuple[str, ...]]:
    if metadata is None:
        return "1", ()
    if not metadata:
        return "(metadata IS NULL OR metadata = '{}')", ()
    pair = "EXISTS (SELECT 1 FROM json_each(metadata) WHERE key = ? AND value = ?)"
    values = tuple(text for item in metadata.items() for text in item)
    return " AND ".join([pair] * len(metadata)), values
