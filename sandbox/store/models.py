"""Tuned models: a row here, a Hugging Face folder under ``store.models_dir``."""

import shutil
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from sandbox.store.database import Store
from sandbox.store.errors import ModelInUse
from sandbox.store.files import UNFINISHED


@dataclass(frozen=True)
class ModelRow:
    """A tuned model. ``base`` is the name of the base model it descends from."""

    name: str
    project: str
    created_at: int
    base: str
    job_id: str
    path: str  # the folder's name under store.models_dir
    format: str  # "chat" or "completion": what it was tuned on
    step: int


@dataclass(frozen=True)
class NewModel:
    """A model that is about to be recorded; its folder is already complete on disk."""

    name: str
    project: str
    base: str
    job_id: str
    path: str
    format: str
    step: int


def add_model(store: Store, model: NewModel) -> ModelRow:
    """Record a model, so that it answers by its name. Recording it again changes nothing."""
    with store.write() as db:
        return insert_model(db, model)


def get_model(store: Store, project: str, name: str) -> ModelRow | None:
    """Return a project's model, or None."""
    with store.read() as db:
        row = db.execute(
            "SELECT * FROM models WHERE name = ? AND project = ?", (name, project)
        ).fetchone()
    return _row(row) if row else None


def list_models(store: Store, project: str) -> list[ModelRow]:
    """Return a project's models, oldest first."""
    with store.read() as db:
        rows = db.execute("SELECT * FROM models WHERE project = ? ORDER BY n", (project,))
        return [_row(row) for row in rows]


def list_models_of_job(store: Store, job_id: str) -> list[ModelRow]:
    """Return the models one job has made, in the order of their steps."""
    with store.read() as db:
        rows = db.execute("SELECT * FROM models WHERE job_id = ? ORDER BY step", (job_id,))
        return [_row(row) for row in rows]


def delete_model(store: Store, project: str, name: str) -> bool:
    """Delete a model and its folder; return False if there is none.

    Raises ModelInUse when an unfinished job tunes it further.
    """
    with store.write() as db:
        job = db.execute(
            f"SELECT id FROM jobs WHERE project = ? AND model = ? AND status IN {UNFINISHED}",
            (project, name),
        ).fetchone()
        if job:
            raise ModelInUse(name, job["id"])
        row = db.execute(
            "SELECT path FROM models WHERE name = ? AND project = ?", (name, project)
        ).fetchone()
        db.execute("DELETE FROM models WHERE name = ? AND project = ?", (name, project))
    if row is None:
        return False
    # Windows refuses while the sampler has it open; the next sweep finds what is left.
    shutil.rmtree(store.models_dir / row["path"], ignore_errors=True)
    return True


def model_path(store: Store, model: ModelRow) -> Path:
    """Return the Hugging Face folder of a model."""
    return store.models_dir / model.path


def sweep(store: Store) -> None:
    """Delete model folders that have no row (a crash or an open file left them).

    Only for a process that holds the state directory alone.
    """
    with store.read() as db:
        kept = {row["path"] for row in db.execute("SELECT path FROM models")}
    for path in store.models_dir.iterdir():
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def insert_model(db: sqlite3.Connection, model: NewModel) -> ModelRow:
    """Record a model inside a transaction."""
    db.execute(
        "INSERT INTO models (name, project, created_at, base, job_id, path, format, step) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (
            model.name,
            model.project,
            int(time.time()),
            model.base,
            model.job_id,
            model.path,
            model.format,
            model.step,
        ),
    )
    return _row(db.execute("SELECT * FROM models WHERE name = ?", (model.name,)).fetchone())


def _row(row: sqlite3.Row) -> ModelRow:
    return ModelRow(**{field: row[field] for field in ModelRow.__dataclass_fields__})
