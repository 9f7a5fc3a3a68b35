"""The models a job has saved on its way."""

import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from sandbox.store import events, ids, models, rows
from sandbox.store.database import Store
from sandbox.store.models import ModelRow
from sandbox.store.rows import Page, Row


@dataclass(frozen=True)
class CheckpointRow(Row):
    """One checkpoint; ``model`` is the name it answers to."""

    TABLE = "checkpoints"
    JSON = ("metrics",)

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

    The row that is returned says which model name the step has. A new checkpoint also sets the
    job's ``crashes`` back to 0: it has got further. Raises JobStateError when the job has ended.
    """
    with store.write() as db:
        events.require_unfinished(db, job_id)
        checkpoint, new = insert_checkpoint(db, job_id, step, model, metrics)
        if new:
            text = f"Checkpoint created at step {step} with Snapshot ID: {model}"
            events.insert_event(db, job_id, text)
            db.execute("UPDATE jobs SET crashes = 0 WHERE id = ?", (job_id,))
    return checkpoint


def drop_checkpoint(store: Store, model: ModelRow) -> None:
    """Forget a checkpoint that is not kept any longer and its model, or neither.

    Raises ModelInUse when an unfinished job tunes it further.
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


def insert_checkpoint(
    db: sqlite3.Connection, job_id: str, step: int, model: str, metrics: dict[str, Any]
) -> tuple[CheckpointRow, bool]:
    """Add a checkpoint inside a transaction; return its row and whether it is new."""
    key = {"job_id": job_id, "step": step}
    found = rows.one(db, CheckpointRow, "job_id = :job_id AND step = :step", **key)
    if found is not None:
        return found, False
    now, new_id = int(time.time()), ids.checkpoint_id()
    values = {**key, "id": new_id, "created_at": now, "model": model, "metrics": metrics}
    return rows.insert(db, CheckpointRow, **values), True
