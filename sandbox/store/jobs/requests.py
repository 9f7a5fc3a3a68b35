"""What a client may ask of a job: cancel, pause, resume.

A job that nobody works on obeys at once. For one that a trainer holds, the wish is noted in
``requested``; the trainer reads it when it renews its lease.
"""

import sqlite3
import time

from sandbox.store import events
from sandbox.store.database import Store
from sandbox.store.errors import JobStateError
from sandbox.store.jobs.rows import FINISHED, JobRow, require_job

CANCELLED = "The job has been cancelled"
PAUSED = "The job has been paused"
RESUMED = "The job has been resumed, moving job to queued state"


def request_cancel(store: Store, job_id: str) -> JobRow:
    """Cancel a job. Raises JobStateError when it has finished, KeyError when there is none."""
    with store.write() as db:
        job = require_job(db, job_id)
        if job.status in FINISHED:
            raise JobStateError(job_id, job.status, "cancelled")
        return _ask(db, job, "cancel")


def request_pause(store: Store, job_id: str) -> JobRow:
    """Pause a job. Raises JobStateError when it has finished, is paused or being cancelled."""
    with store.write() as db:
        job = require_job(db, job_id)
        if job.status in (*FINISHED, "paused"):
            raise JobStateError(job_id, job.status, "paused")
        if job.requested == "cancel":
            raise JobStateError(job_id, "being cancelled", "paused")
        return _ask(db, job, "pause")


def resume_job(store: Store, job_id: str) -> JobRow:
    """Put a paused job back into the queue, or take back a pause that was only asked for.

    Raises JobStateError for any other job.
    """
    with store.write() as db:
        job = require_job(db, job_id)
        if job.status == "paused":
            db.execute(
                "UPDATE jobs SET status = 'queued', requested = NULL, attempt = 0 WHERE id = ?",
                (job_id,),
            )
            events.insert_event(db, job_id, RESUMED)
        elif job.requested == "pause":
            db.execute("UPDATE jobs SET requested = NULL WHERE id = ?", (job_id,))
        else:
            raise JobStateError(job_id, job.status, "resumed")
        return require_job(db, job_id)


def settle_request(db: sqlite3.Connection, job: JobRow) -> None:
    """Do what is asked of a job that nobody works on."""
    if job.requested == "cancel":
        set_cancelled(db, job.id)
    elif job.requested == "pause":
        set_paused(db, job.id)


def set_cancelled(db: sqlite3.Connection, job_id: str) -> None:
    """Write the cancelled state and its event inside a transaction."""
    db.execute(
        "UPDATE jobs SET status = 'cancelled', finished_at = ?, estimated_finish = NULL, "
        "requested = NULL, lease_owner = NULL, lease_until = NULL WHERE id = ?",
        (int(time.time()), job_id),
    )
    events.insert_event(db, job_id, CANCELLED)


def set_paused(db: sqlite3.Connection, job_id: str) -> None:
    """Write the paused state and its event inside a transaction."""
    db.execute(
        "UPDATE jobs SET status = 'paused', estimated_finish = NULL, "
        "requested = NULL, lease_owner = NULL, lease_until = NULL WHERE id = ?",
        (job_id,),
    )
    events.insert_event(db, job_id, PAUSED)


def _ask(db: sqlite3.Connection, job: JobRow, wish: str) -> JobRow:
    db.execute("UPDATE jobs SET requested = ? WHERE id = ?", (wish, job.id))
    held = job.lease_until is not None and job.lease_until > time.time()
    # A pause during validation waits for its end: a file's faults should show at once.
    waits = held or (wish == "pause" and job.status == "validating_files")
    if not waits:
        settle_request(db, require_job(db, job.id))
    return require_job(db, job.id)
