"""Fine-tuning jobs: one state machine, each step one transaction together with its event.

                        ┌──────────── paused ◀───────────┐
                        ▼     resume            pause    │
    validating_files ─▶ queued ──────────────▶ running ──┼─▶ succeeded
            │             │                              ├─▶ failed
            └─▶ failed    └─▶ cancelled, paused          └─▶ cancelled

The API creates jobs and asks for a cancel, pause or resume; validation moves them out of
``validating_files``. One parent process hands the queued ones to its trainers: it asks for the
``next_job``, starts it, and records how it ends. A job that is running obeys a cancel or pause
when its trainer stops (``requested`` says what is wanted); every other job obeys at once, and
a trainer that was about to train it gets a StateError.
"""

import base64
import json
import sqlite3
from collections.abc import Collection
from typing import Any

from sandbox.store import checkpoints, events, files, models, rows
from sandbox.store.database import Store
from sandbox.store.errors import StateError
from sandbox.store.rows import Page, now
from sandbox.store.tables import FINISHED, CheckpointRow, JobRow, ModelRow

RESULT_FILE = {"filename": "step_metrics.csv", "purpose": "fine-tune-results"}
ACTIVE = ("queued", "running")
UNHELD = f"status IN {ACTIVE} AND id NOT IN (SELECT value FROM json_each(:held))"
# Fair: next is the project that has waited longest since one of its jobs was last taken up,
# and of its jobs the oldest. A job that was interrupted goes first: it has started already.
FAIR = """
    status = 'running' DESC,
    (SELECT COALESCE(MAX(turn), 0) FROM jobs AS other WHERE other.project = jobs.project),
    n
"""


def create_job(store: Store, new: JobRow) -> JobRow:
    """Record a new job with its first two events. Raises MissingFile when a file is not there."""
    with store.write() as db:
        for file_id in filter(None, (new.training_file, new.validation_file)):
            files.require_file(db, new.project, file_id)
        job = rows.insert(db, new)
        events.insert_event(db, job.id, f"Created fine-tuning job: {job.id}")
        text = f"Validating training file: {new.training_file}"
        if new.validation_file:
            text += f" and validation file: {new.validation_file}"
        events.insert_event(db, job.id, text)
        return job


def get_job(store: Store, project: str | None, job_id: str) -> JobRow | None:
    """Return a job, or None. The project None means any: for the engine only."""
    where = "id = :id AND (:project IS NULL OR project = :project)"
    with store.read() as db:
        return rows.one(db, JobRow, where, id=job_id, project=project)


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
    filters = "1" if metadata is None else rows.has_pairs("metadata")
    if metadata == {}:
        filters = "(metadata IS NULL OR metadata = '{}')"
    values = {"project": project, "wanted": json.dumps(metadata)}
    with store.read() as db:
        scope = "project = :project"
        return rows.page(db, JobRow, scope, after=after, limit=limit, filters=filters, **values)


def list_jobs_in(store: Store, status: str) -> list[JobRow]:
    """Return the jobs of all projects that are in this state, oldest first."""
    with store.read() as db:
        return rows.many(db, JobRow, "status = :status", status=status)


# Steps on the way from its creation to its end.


def mark_queued(store: Store, job_id: str) -> JobRow:
    """Move a validated job to the queue (or to paused, if that was asked for meanwhile).

    A job that has left ``validating_files`` meanwhile, cancelled for instance, is left alone.
    """
    with store.write() as db:
        job = rows.require(db, JobRow, job_id)
        if job.status != "validating_files":
            return job
        job = rows.update(db, JobRow, job_id, status="queued")
        events.insert_event(db, job_id, "Files validated, moving job to queued state")
        return _settle(db, job)


def next_job(store: Store, held: Collection[str]) -> JobRow | None:
    """Return the job that is to be trained next, or None. ``held`` are those being trained.

    A cancel or pause that was asked of a job that nobody trains (any more) is done first.
    Each call counts as a turn of the job's project.
    """
    with store.write() as db:
        held_ids = json.dumps(list(held))
        for job in rows.many(db, JobRow, f"requested IS NOT NULL AND {UNHELD}", held=held_ids):
            _settle(db, job)
        found = rows.one(db, JobRow, UNHELD, order=FAIR, held=held_ids)
        if found is None:
            return None
        # Counted, not read from the clock, which may jump.
        [turn] = db.execute("SELECT COALESCE(MAX(turn), 0) + 1 FROM jobs").fetchone()
        return rows.update(db, JobRow, found.id, turn=turn)


def start(
    store: Store,
    job_id: str,
    *,
    hyperparameters: dict[str, Any],
    estimated_finish: int | None = None,
    how: str | None = None,
) -> JobRow:
    """Record that training goes on, with the numbers "auto" has become. May be repeated, to
    write a better ``estimated_finish``; only the first time appends the event, and ``how`` as one
    more.

    Raises StateError when the job is not queued or running (any more).
    """
    with store.write() as db:
        job = _require_active(db, job_id)
        if job.started_at is None:
            events.insert_event(db, job_id, "Fine-tuning job started")
            if how is not None:
                events.insert_event(db, job_id, how)
        return rows.update(
            db,
            JobRow,
            job_id,
            status="running",
            started_at=job.started_at or now(),
            hyperparameters=hyperparameters,
            estimated_finish=estimated_finish,
        )


def finish_succeeded(
    store: Store,
    job_id: str,
    *,
    model: ModelRow,
    metrics: dict[str, Any],
    trained_tokens: int,
    result_csv: str,
) -> JobRow:
    """End a job well: its model, last checkpoint, result file and last events, all or nothing.

    ``metrics`` are those of the last step. The result file's content is the CSV in base64, as
    the hosted API serves it. Raises StateError when the job is not queued or running.
    """
    content = base64.b64encode(result_csv.encode("utf-8"))
    last = CheckpointRow(job_id=job_id, step=model.step, model=model.name, metrics=metrics)
    placed = files.placed(store, content, project=model.project, **RESULT_FILE)
    with placed as result, store.write() as db:
        _require_active(db, job_id)
        rows.insert(db, result)
        models.insert_model(db, model)
        checkpoints.insert_checkpoint(db, last)
        events.insert_event(db, job_id, f"New fine-tuned model created: {model.name}")
        events.insert_event(db, job_id, "The job has successfully completed")
        return _leave(
            db,
            job_id,
            "succeeded",
            finished_at=now(),
            fine_tuned_model=model.name,
            result_files=[result.id],
            trained_tokens=trained_tokens,
        )


def finish_failed(
    store: Store, job_id: str, *, code: str, message: str, param: str | None = None
) -> JobRow:
    """End a job badly, whether its files are bad or its training went wrong.

    A job that has ended or been paused meanwhile is left alone.
    """
    with store.write() as db:
        job = rows.require(db, JobRow, job_id)
        if job.status not in ("validating_files", *ACTIVE):
            return job
        error = {"code": code, "message": message, "param": param}
        events.insert_event(db, job_id, message, level="error", data=error)
        return _leave(db, job_id, "failed", finished_at=now(), error=error)


def release(store: Store, job_id: str) -> JobRow:
    """Do what was asked of a job, now that its trainer has stopped.

    A job of which nothing was asked goes on later; one that has ended meanwhile is left alone.
    """
    with store.write() as db:
        job = rows.require(db, JobRow, job_id)
        return _settle(db, job) if job.status in ACTIVE else job


def count_crash(store: Store, job_id: str) -> int:
    """Count a death of the job's trainer; return how many there were since the last saved state."""
    with store.write() as db:
        crashes = rows.require(db, JobRow, job_id).crashes + 1
        return rows.update(db, JobRow, job_id, crashes=crashes).crashes


def reset_crashes(store: Store, job_id: str) -> None:
    """Record that the job has got further: its state was saved."""
    with store.write() as db:
        rows.update(db, JobRow, job_id, crashes=0)


# What a client asks of a job. Each raises KeyError when there is none of this id.


def request_cancel(store: Store, job_id: str) -> JobRow:
    """Cancel a job. Raises StateError when it has finished."""
    with store.write() as db:
        job = rows.require(db, JobRow, job_id)
        if job.status in FINISHED:
            raise StateError(job_id, job.status, "cancelled")
        job = rows.update(db, JobRow, job_id, requested="cancel")
        return job if job.status == "running" else _settle(db, job)


def request_pause(store: Store, job_id: str) -> JobRow:
    """Pause a job. Raises StateError when it has finished, is paused or being cancelled."""
    with store.write() as db:
        job = rows.require(db, JobRow, job_id)
        if job.status in (*FINISHED, "paused"):
            raise StateError(job_id, job.status, "paused")
        if job.requested == "cancel":
            raise StateError(job_id, "being cancelled", "paused")
        job = rows.update(db, JobRow, job_id, requested="pause")
        # A pause during validation waits for its end: a file's faults should show at once.
        return job if job.status in ("running", "validating_files") else _settle(db, job)


def resume_job(store: Store, job_id: str) -> JobRow:
    """Put a paused job back into the queue, or take back a pause that was only asked for.

    Raises StateError for any other job.
    """
    with store.write() as db:
        job = rows.require(db, JobRow, job_id)
        if job.status == "paused":
            text = "The job has been resumed, moving job to queued state"
            events.insert_event(db, job_id, text)
            return rows.update(db, JobRow, job_id, requested=None, status="queued", crashes=0)
        if job.requested == "pause":
            return rows.update(db, JobRow, job_id, requested=None)
        raise StateError(job_id, job.status, "resumed")


def _settle(db: sqlite3.Connection, job: JobRow) -> JobRow:
    """Do what is asked of a job that nobody trains; return the job."""
    match job.requested:
        case "cancel":
            events.insert_event(db, job.id, "The job has been cancelled")
            return _leave(db, job.id, "cancelled", finished_at=now())
        case "pause":
            events.insert_event(db, job.id, "The job has been paused")
            return _leave(db, job.id, "paused")
    return job


def _leave(db: sqlite3.Connection, job_id: str, status: str, **values: Any) -> JobRow:
    """Move a job to a state in which nobody works on it."""
    cleared = {"requested": None, "estimated_finish": None}
    return rows.update(db, JobRow, job_id, status=status, **cleared, **values)


def _require_active(db: sqlite3.Connection, job_id: str) -> JobRow:
    job = rows.require(db, JobRow, job_id)
    if job.status not in ACTIVE:
        raise StateError(job_id, job.status, "trained")
    return job
