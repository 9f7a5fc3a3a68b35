"""The models a job has saved on its way."""

import sqlite3
from typing import Any

from sandbox.store import events, rows
from sandbox.store.database import Store
from sandbox.store.rows import Page
from sandbox.store.tables import CheckpointRow, JobRow


def add_checkpoint(
    store: Store, job_id: str, step: int, model: str, metrics: dict[str, Any]
) -> CheckpointRow:
    """Record the checkpoint of a step and its event, once: the first one of a step stays.

    The row that is returned says which model name the step has. A new checkpoint also sets the
    job's ``crashes`` back to 0: it has got further. Raises StateError when the job has ended.
    """
    new = CheckpointRow(job_id=job_id, step=step, model=model, metrics=metrics)
    with store.write() as db:
        events.require_unfinished(db, job_id)
        kept = insert_checkpoint(db, new)
        if kept.id == new.id:
            text = f"Checkpoint created at step {step} with Snapshot ID: {model}"
            events.insert_event(db, job_id, text)
            rows.update(db, JobRow, job_id, crashes=0)
    return kept


def drop_checkpoint(store: Store, job_id: str, step: int) -> None:
    """Forget a checkpoint that is not kept any longer (its model is deleted separately)."""
    with store.write() as db:
        db.execute("DELETE FROM checkpoints WHERE job_id = ? AND step = ?", (job_id, step))


def list_checkpoints(
    store: Store, job_id: str, *, after: str | None = None, limit: int = 10
) -> Page[CheckpointRow]:
    """Return one page of a job's checkpoints, newest first. Raises InvalidCursor."""
    with store.read() as db:
        return rows.page(db, CheckpointRow, "job_id = :job", after=after, limit=limit, job=job_id)


def insert_checkpoint(db: sqlite3.Connection, new: CheckpointRow) -> CheckpointRow:
    """Add a checkpoint inside a transaction, or return the one that its step has."""
    where = "job_id = :job AND step = :step"
    known = rows.one(db, CheckpointRow, where, job=new.job_id, step=new.step)
    return known or rows.insert(db, new)
