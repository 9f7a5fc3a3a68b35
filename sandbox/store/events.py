"""What happened to a job, line by line, in order. After a job's end nothing is added."""

import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from sandbox.store import ids, rows
from sandbox.store.database import Store
from sandbox.store.errors import JobStateError
from sandbox.store.rows import Page, Row
from sandbox.store.schema import FINISHED


@dataclass(frozen=True)
class EventRow(Row):
    """One event. ``type`` is "message" or "metrics", ``level`` is "info", "warn" or "error"."""

    TABLE = "events"
    JSON = ("data",)

    id: str
    job_id: str
    created_at: int
    level: str
    type: str
    message: str
    data: dict[str, Any] | None


def append_event(
    store: Store,
    job_id: str,
    message: str,
    *,
    level: str = "info",
    type: str = "message",
    data: dict[str, Any] | None = None,
) -> EventRow:
    """Append one event to a job. Raises JobStateError when the job has ended."""
    with store.write() as db:
        require_unfinished(db, job_id)
        return insert_event(db, job_id, message, level=level, type=type, data=data)


def append_metrics(
    store: Store, job_id: str, step: int, message: str, data: dict[str, Any]
) -> bool:
    """Append the metrics of a training step; do nothing and return False if it has them.

    A job that goes on from a checkpoint repeats steps that were already reported.
    Raises JobStateError when the job has ended.
    """
    with store.write() as db:
        require_unfinished(db, job_id)
        known = rows.one(
            db, EventRow, "job_id = :job_id AND step = :step", job_id=job_id, step=step
        )
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


def insert_event(
    db: sqlite3.Connection,
    job_id: str,
    message: str,
    *,
    level: str = "info",
    type: str = "message",
    data: dict[str, Any] | None = None,
    step: int | None = None,
) -> EventRow:
    """Append an event inside a transaction, which has checked that the job has not ended."""
    return rows.insert(
        db,
        EventRow,
        id=ids.event_id(),
        job_id=job_id,
        created_at=int(time.time()),
        level=level,
        type=type,
        message=message,
        data=data,
        step=step,
    )


def require_unfinished(db: sqlite3.Connection, job_id: str) -> None:
    """Check inside a transaction that a job has not ended. Raises JobStateError, KeyError."""
    found = db.execute("SELECT status FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if found is None:
        raise KeyError(job_id)
    if found["status"] in FINISHED:
        raise JobStateError(job_id, found["status"], "continued")
