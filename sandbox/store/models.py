"""Tuned models: a row here, a Hugging Face folder under ``store.models_dir``."""

import shutil
import sqlite3
from pathlib import Path

from sandbox.store import rows
from sandbox.store.database import Store
from sandbox.store.errors import InUse
from sandbox.store.tables import UNFINISHED, ModelRow


def get_model(store: Store, project: str | None, name: str) -> ModelRow | None:
    """Return a project's model (of any project, if that is None), or None."""
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

    Raises InUse when an unfinished job tunes it further.
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


def insert_model(db: sqlite3.Connection, model: ModelRow) -> ModelRow:
    """Record a model whose folder is complete, inside a transaction; one of its name stays."""
    known = rows.one(db, ModelRow, "name = :name", name=model.name)
    return known or rows.insert(db, model)


def delete_row(db: sqlite3.Connection, model: ModelRow) -> None:
    """Delete a model's row inside a transaction. Raises InUse."""
    query = f"SELECT id FROM jobs WHERE project = ? AND model = ? AND status IN {UNFINISHED}"
    job = db.execute(query, (model.project, model.name)).fetchone()
    if job is not None:
        raise InUse(model.name, job["id"])
    db.execute("DELETE FROM models WHERE name = ?", (model.name,))


def remove_folder(store: Store, model: ModelRow) -> None:
    """Remove the folder of a model whose row is deleted."""
    # Windows refuses while the sampler has it open; the next sweep finds what is left.
    shutil.rmtree(model_path(store, model), ignore_errors=True)


def _find(db: sqlite3.Connection, project: str | None, name: str) -> ModelRow | None:
    where = "name = :name AND project = COALESCE(:project, project)"
    return rows.one(db, ModelRow, where, name=name, project=project)
