"""Tuned models: a row here, a Hugging Face folder under ``store.models_dir``."""

import shutil
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from sandbox.store import ids, rows
from sandbox.store.database import Store
from sandbox.store.errors import ModelInUse
from sandbox.store.rows import Row
from sandbox.store.schema import UNFINISHED


@dataclass(frozen=True)
class NewModel:
    """A model that is about to be recorded; its folder is already complete on disk."""

    name: str
    project: str
    base: str  # the name of the base model it descends from
    job_id: str
    path: str  # the folder's name under store.models_dir
    format: str  # "chat" or "completion": what it was tuned on
    step: int
    adapter: str | None = None  # the folder of a LoRA adapter, if it is one on its base model


@dataclass(frozen=True)
class ModelRow(Row):
    """A tuned model. ``created_at`` is in Unix seconds; the other fields are NewModel's."""

    TABLE = "models"

    name: str
    project: str
    created_at: int
    base: str
    job_id: str
    path: str
    format: str
    step: int
    adapter: str | None


def add_model(store: Store, model: NewModel) -> ModelRow:
    """Record a model, so that it answers by its name. Recording it again changes nothing."""
    with store.write() as db:
        return insert_model(db, model)


def get_model(store: Store, project: str, name: str) -> ModelRow | None:
    """Return a project's model, or None."""
    with store.read() as db:
        return _find(db, project, name)


def list_models(store: Store, project: str) -> list[ModelRow]:
    """Return a project's models, oldest first."""
    with store.read() as db:
        return rows.many(db, ModelRow, "project = :project", project=project)


def list_models_of_job(store: Store, job_id: str) -> list[ModelRow]:
    """Return the models one job has made, in the order of their steps."""
    with store.read() as db:
        return rows.many(db, ModelRow, "job_id = :job", order="step", job=job_id)


def delete_model(store: Store, project: str, name: str) -> bool:
    """Delete a model and its folder; return False if there is none.

    Raises ModelInUse when an unfinished job tunes it further.
    """
    with store.write() as db:
        model = _find(db, project, name)
        if model is None:
            return False
        delete_row(db, model)
    remove_folder(store, model)
    return True


def model_path(store: Store, model: ModelRow) -> Path:
    """Return the folder of a model."""
    return store.models_dir / model.path


def sweep(store: Store) -> None:
    """Delete model folders that have no row (a crash or an open file left them).

    Touches only names of the shape that jobs give. Only for a process that holds the state
    directory alone.
    """
    with store.read() as db:
        kept = {row.path for row in rows.many(db, ModelRow, "1")}
    for path in store.models_dir.iterdir():
        if ids.MODEL_FOLDER.fullmatch(path.name) and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def insert_model(db: sqlite3.Connection, model: NewModel) -> ModelRow:
    """Record a model inside a transaction."""
    known = rows.one(db, ModelRow, "name = :name", name=model.name)
    return known or rows.insert(db, ModelRow, created_at=int(time.time()), **vars(model))


def delete_row(db: sqlite3.Connection, model: ModelRow) -> None:
    """Delete a model's row inside a transaction. Raises ModelInUse."""
    query = f"SELECT id FROM jobs WHERE project = ? AND model = ? AND status IN {UNFINISHED}"
    job = db.execute(query, (model.project, model.name)).fetchone()
    if job is not None:
        raise ModelInUse(model.name, job["id"])
    db.execute("DELETE FROM models WHERE name = ?", (model.name,))


def remove_folder(store: Store, model: ModelRow) -> None:
    """Remove the folder of a model whose row is deleted."""
    # Windows refuses while the sampler has it open; the next sweep finds what is left.
    shutil.rmtree(model_path(store, model), ignore_errors=True)


def _find(db: sqlite3.Connection, project: str, name: str) -> ModelRow | None:
    return rows.one(db, ModelRow, "name = :name AND project = :project", name=name, project=project)
