"""The models a job has saved on its way."""

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from sandbox.store import events, ids
from sandbox.store.database import Store
from sandbox.store.paging import Page, select_page


@dataclass(frozen=True)
class CheckpointRow:
    """One checkpoint; ``model`` is the name it answers to."""

    id: str
    job_id: str
    created_at: int
    step: int
    model: str
    metrics: dict[str, Any]


def add_checkpoint(
    store: Store, job_id: str, step: int, model: str, metrics: dict[str, Any]
) -> CheckpointRow:
    """Record the checkpoint of a step and its event, once: the first one of a step stays.

    The row that is returned says which model name the step has.
    """
    with store.write() as db:
        checkpoint, new = insert_checkpoint(db, job_id, step, model, metrics)
        if new:
            text = f"Checkpoint created at step {step} with Snapshot ID: {model}"
            events.insert_event(db, job_id, text)
            # The job has got further: its failed attempts so far do not count any more.
            db.execute("UPDATE jobs SET attempt = 1 WHERE id = ?", (job_id,))
    return checkpoint


def drop_checkpoint(store: Store, job_id: str, step: int) -> None:
    """Forget a checkpoint that is not kept any longer (its model is deleted separately)."""
    with store.write() as db:
        db.execute("DELETE FROM checkpoints WHERE job_id = ? AND step = ?", (job_id, step))


def list_checkpoints(
    store: Store, job_id: str, *, after: str | None = None, limit: int = 10
) -> Page[CheckpointRow]:
    """Return one page of a job's checkpoints, newest first. Raises InvalidCursor."""
    with store.read() as db:
        rows, more = select_page(
            db, "checkpoints", "job_id = ?", (job_id,), after=after, limit=limit
        )
    return Page([_row(row) for row in rows], more)


def insert_checkpoint(
    db: sqlite3.Connection, job_id: str, step: int, model: str, metrics: dict[str, Any]
) -> tuple[CheckpointRow, bool]:
    """Add a checkpoint inside a transaction; return its row and whether it is new."""
    found = db.execute(
        "SELECT * FROM checkpoints WHERE job_id = ? AND step = ?", (job_id, step)
    ).fetchone()
    if found:
        return _row(found), False
    row = CheckpointRow(ids.checkpoint_id(), job_id, int(time.time()), step, model, metrics)
    db.execute(
        "INSERT INTO checkpoints (id, job_id, created_at, step, model, metrics) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (row.id, job_id, row.created_at, step, model, json.dumps(metrics, allow_nan=False)),
    )
    return row, True


def _row(row: sqlite3.Row) -> CheckpointRow:
    fields = {field: row[field] for field in CheckpointRow.__dataclass_fields__}
    return CheckpointRow(**{**fields, "metrics": json.loads(row["metrics"])})
