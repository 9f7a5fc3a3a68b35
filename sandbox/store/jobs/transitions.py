"""The steps of a job's life, each one transaction together with its event."""

import base64
import json
import sqlite3
import time
from typing import Any

from sandbox.store import checkpoints, events, files, ids, models
from sandbox.store.database import Store
from sandbox.store.errors import JobStateError, LeaseLost
from sandbox.store.jobs.requests import set_cancelled, set_paused
from sandbox.store.jobs.rows import JobRow, require_job

RESULT_FILENAME = "step_metrics.csv"
RESULT_PURPOSE = "fine-tune-results"


def mark_queued(store: Store, job_id: str) -> JobRow:
    """Move a validated job to the queue (or to paused, if that was asked for meanwhile).

    A job that has left ``validating_files`` meanwhile, cancelled for instance, is left alone.
    """
    with store.write() as db:
        job = require_job(db, job_id)
        if job.status != "validating_files":
            return job
        db.execute("UPDATE jobs SET status = 'queued' WHERE id = ?", (job_id,))
        events.insert_event(db, job_id, "Files validated, moving job to queued state")
        if job.requested == "pause":
            set_paused(db, job_id)
        return require_job(db, job_id)


def mark_running(
    store: Store,
    job_id: str,
    owner: str,
    *,
    hyperparameters: dict[str, Any],
    estimated_finish: int | None = None,
) -> JobRow:
    """Record that training goes on, with the numbers "auto" has become. May be repeated, to
    write a better ``estimated_finish``; only the first time appends the event.

    Raises LeaseLost.
    """
    with store.write() as db:
        job = _require_lease(db, job_id, owner)
        db.execute(
            "UPDATE jobs SET status = 'running', started_at = COALESCE(started_at, ?), "
            "hyperparameters = ?, estimated_finish = ? WHERE id = ?",
            (int(time.time()), json.dumps(hyperparameters), estimated_finish, job_id),
        )
        if job.started_at is None:
            events.insert_event(db, job_id, "Fine-tuning job started")
        return require_job(db, job_id)


def finish_succeeded(
    store: Store,
    job_id: str,
    owner: str,
    *,
    model: models.NewModel,
    metrics: dict[str, Any],
    trained_tokens: int,
    result_csv: str,
) -> JobRow:
    """End a job well: its model, last checkpoint, result file and last events, all or nothing.

    ``metrics`` are those of the last step. The result file's content is the CSV in base64, as
    the hosted API serves it. Raises LeaseLost.
    """
    file_id = ids.file_id()
    size = files.place_content(store, file_id, base64.b64encode(result_csv.encode("utf-8")))
    with store.write() as db:
        job = _require_lease(db, job_id, owner)
        files.insert_file(db, file_id, job.project, RESULT_FILENAME, RESULT_PURPOSE, size)
        models.insert_model(db, model)
        checkpoints.insert_checkpoint(db, job_id, model.step, model.name, metrics)
        db.execute(
            "UPDATE jobs SET status = 'succeeded', finished_at = ?, fine_tuned_model = ?, "
            "trained_tokens = ?, result_files = ?, estimated_finish = NULL, requested = NULL, "
            "lease_owner = NULL, lease_until = NULL WHERE id = ?",
            (int(time.time()), model.name, trained_tokens, json.dumps([file_id]), job_id),
        )
        events.insert_event(db, job_id, f"New fine-tuned model created: {model.name}")
        events.insert_event(db, job_id, "The job has successfully completed")
        return require_job(db, job_id)


def finish_failed(
    store: Store,
    job_id: str,
    *,
    code: str,
    message: str,
    param: str | None = None,
    owner: str | None = None,
) -> JobRow:
    """End a job badly. A trainer gives its name as ``owner`` (and may get LeaseLost).

    Without an owner it is the validation that failed; a job that has left ``validating_files``
    meanwhile is left alone.
    """
    with store.write() as db:
        if owner is not None:
            _require_lease(db, job_id, owner)
        else:
            job = require_job(db, job_id)
            if job.status != "validating_files":
                return job
        error = {"code": code, "message": message, "param": param}
        db.execute(
            "UPDATE jobs SET status = 'failed', finished_at = ?, error = ?, requested = NULL, "
            "estimated_finish = NULL, lease_owner = NULL, lease_until = NULL WHERE id = ?",
            (int(time.time()), json.dumps(error), job_id),
        )
        events.insert_event(db, job_id, message, level="error", data=error)
        return require_job(db, job_id)


def finish_cancelled(store: Store, job_id: str, owner: str) -> JobRow:
    """End a job because it was asked for. Raises LeaseLost."""
    with store.write() as db:
        _require_lease(db, job_id, owner)
        set_cancelled(db, job_id)
        return require_job(db, job_id)


def mark_paused(store: Store, job_id: str, owner: str) -> JobRow:
    """Record that training has stopped, to go on later. Raises LeaseLost."""
    with store.write() as db:
        _require_lease(db, job_id, owner)
        set_paused(db, job_id)
        return require_job(db, job_id)


def _require_lease(db: sqlite3.Connection, job_id: str, owner: str) -> JobRow:
    job = require_job(db, job_id)
    if job.lease_owner != owner:
        raise LeaseLost(f"{owner} does not hold {job_id} any more.")
    if job.status not in ("queued", "running"):
        raise JobStateError(job_id, job.status, "changed by a trainer")
    return job
