"""Everything the sandbox remembers: one SQLite database and the files beside it.

One door, ``Store``; one submodule for each noun. Their functions take the store first and return
frozen rows::

    store = Store(Path(".sandbox"))
    key, secret = keys.create_key(store, "learner", "my laptop")
    job = jobs.next_job(store, held=[])
"""

from sandbox.store import batches, checkpoints, events, files, ids, jobs, keys, models
from sandbox.store.database import Store
from sandbox.store.errors import (
    BatchStateError,
    FileInUse,
    InvalidCursor,
    JobStateError,
    MissingFile,
    ModelInUse,
    NotOurState,
    SchemaTooNew,
    StateDamaged,
    StorageError,
    StorageFull,
    StorageReadOnly,
    StoreError,
)
from sandbox.store.rows import Page

__all__ = [
    "BatchStateError",
    "FileInUse",
    "InvalidCursor",
    "JobStateError",
    "MissingFile",
    "ModelInUse",
    "NotOurState",
    "Page",
    "SchemaTooNew",
    "StateDamaged",
    "StorageError",
    "StorageFull",
    "StorageReadOnly",
    "Store",
    "StoreError",
    "batches",
    "checkpoints",
    "events",
    "files",
    "ids",
    "jobs",
    "keys",
    "models",
]
