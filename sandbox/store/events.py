"""What happened to a job, line by line, in order."""

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from sandbox.store import ids
from sandbox.store.database import Store
from sandbox.store.paging import Page, select_page


@dataclass(frozen=True)
class EventRow:
    """One event. ``type`` is "message" or "metrics", ``level`` is "info", "warn" or "error"."""

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
    """Append one event to a job."""
    with store.write() as db:
        return insert_event(db, job_id, message, level=level, type=type, data=data)


def append_metrics(
    store: Store, job_id: str, step: int, message: str, data: dict[str, Any]
) -> bool:
    """Append the metrics of a training step; do nothing and return False if it has them.

    A job that goes on from a checkpoint repeats steps that were already reported.
    """
    with store.write() as db:
        return insert_metrics(db, job_id, step, message, data)


def list_events(
    store: Store, job_id: str, *, after: str | None = None, limit: int = 20
) -> Page[EventRow]:
    """Return one page of a job's events, newest first. Raises InvalidCursor."""
    with store.read() as db:
        rows, more = select_page(db, "events", "job_id = ?", (job_id,), after=after, limit=limit)
    return Page([_row(row) for row in rows], more)


def list_metrics(store: Store, job_id: str) -> list[EventRow]:
    """Return all metrics events of a job in the order of their steps."""
    with store.read() as db:
        rows = db.execute(
            "SELECT * FROM events WHERE job_id = ? AND step IS NOT NULL ORDER BY step", (job_id,)
        ).fetchall()
    return [_row(row) for row in rows]


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
    """Append an event inside a transaction."""
    event = EventRow(ids.event_id(), job_id, int(time.time()), level, type, message, data)
    db.execute(
        "INSERT INTO events (id, job_id, created_at, level, type, message, data, step) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (event.id, job_id, event.created_at, level, type, message, _dump(data), step),
    )
    return event


def insert_metrics(
    db: sqlite3.Connection, job_id: str, step: int, message: str, data: dict[str, Any]
) -> bool:
    """Append the metrics of a step inside a transaction, once only."""
    known = db.execute(
        "SELECT 1 FROM events WHERE job_id = ? AND step = ?", (job_id, step)
    ).fetchone()
    if known is None:
        insert_event(db, job_id, message, type="metrics", data=data, step=step)
    return known is None


def _dump(data: dict[str, Any] | None) -> str | None:
    return None if data is None else json.dumps(data, allow_nan=False)


def _row(row: sqlite3.Row) -> EventRow:
    fields = {field: row[field] for field in EventRow.__dataclass_fields__}
    fields["data"] = json.loads(row["data"]) if row["data"] else None
    return EventRow(**fields)
