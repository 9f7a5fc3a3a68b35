"""What happened to a job, line by line, in order. After a job's end nothing is added."""

import sqlite3
from typing import Any

from sandbox.store import rows
from sandbox.store.database import Store
from sandbox.store.errors import StateError
from sandbox.store.rows import Page
from sandbox.store.tables import FINISHED, EventRow, JobRow


def append_event(store: Store, job_id: str, message: str, **fields: Any) -> EventRow:
    """Append one event to a job; ``fields`` are others of EventRow. Raises StateError.

    The error means that the job has ended.
    """
    with store.write() as db:
        require_unfinished(db, job_id)
        return insert_event(db, job_id, message, **fields)


def append_metrics(
    store: Store, job_id: str, step: int, message: str, data: dict[str, Any]
) -> bool:
    """Append the metrics of a training step; do nothing and return False if it has them.

    A job that goes on from a checkpoint repeats steps that were already reported.
    Raises StateError when the job has ended.
    """
    with store.write() as db:
        require_unfinished(db, job_id)
        known = rows.one(db, EventRow, "job_id = :job AND step = :step", job=job_id, step=step)
        if known is None:
            insert_event(db, job_id, message, type="metrics", data=data, step=step)
        return known is None


def list_events(
    store: Store, job_id: str, *, after: str | None = None, limit: int = 20
) -> Page[EventRow]:
    """Return one page of a job's events, newest first. Raises InvalidCursor."""
    with store.read() as db:
        return rows.page(db, EventRow, "job_id = :job", after=after, limit=limit, job=job_id)


def list_metrics(store: Store, job_id: str) -> list[EventRow]:
    """Return all metrics events of a job in the order of their steps."""
    with store.read() as db:
        where = "job_id = :job AND step IS NOT NULL"
        return rows.many(db, EventRow, where, order="step", job=job_id)


def insert_event(db: sqlite3.Connection, job_id: str, message: str, **fields: Any) -> EventRow:
    """Append an event inside a transaction, which has checked that the job has not ended."""
    return rows.insert(db, EventRow(job_id=job_id, message=message, **fields))


def require_unfinished(db: sqlite3.Connection, job_id: str) -> None:
    """Check inside a transaction that a job has not ended. Raises StateError, KeyError."""
    job = rows.require(db, JobRow, job_id)
    if job.status in FINISHED:
        raise StateError(job_id, job.status, "continued")
