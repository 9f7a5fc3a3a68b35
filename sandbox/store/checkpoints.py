"""The models a job has saved on its way."""

import sqlite3
from typing import Any

from sandbox.store import events, models, rows
from sandbox.store.database import Store
from sandbox.store.rows import Page
from sandbox.store.tables import CheckpointRow, JobRow, ModelRow


def add_checkpoint(store: Store, model: ModelRow, metrics: dict[str, Any]) -> CheckpointRow:
    """Record a model that a job has saved on its way: its row, its checkpoint and the event.

    The first one of a step stays. A new one also sets the job's ``crashes`` back to 0: it has got
    further. Raises StateError when the job has ended.
    """
    job_id, step, name = model.job_id, model.step, model.name
    new = CheckpointRow(job_id=job_id, step=step, model=name, metrics=metrics)
    with store.write() as db:
        events.require_unfinished(db, job_id)
        kept = insert_checkpoint(db, new)
        if kept.id == new.id:
            models.insert_model(db, model)
            text = f"Checkpoint created at step {step} with Snapshot ID: {name}"
            events.insert_event(db, job_id, text)
            rows.update(db, JobRow, job_id, crashes=0)
    return kept


def drop_checkpoint(store: Store, model: ModelRow) -> None:
    """Forget a checkpoint that is not kept any longer and its model, or neither.

    Raises InUse when an unfinished job tunes it further.
    """
    with store.write() as db:
        models.delete_row(db, model)
        db.execute(
            "DELETE FROM checkpoints WHERE job_id = ? AND step = ?", (model.job_id, model.step)
        )
    models.remove_folder(store, model)


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
