"""Everything the sandbox remembers: one SQLite database and the files beside it.

One door, ``Store``; one submodule for each noun. Their functions take the store first and give
frozen rows back::

    store = Store(Path(".sandbox"))
    key, secret = keys.create_key(store, "learner", "my laptop")
    job = jobs.claim_next_job(store, owner="trainer-1", lease_seconds=30)
"""

from sandbox.store import batches, checkpoints, events, files, ids, jobs, keys, models
from sandbox.store.database import Store
from sandbox.store.errors import (
    BatchStateError,
    FileInUse,
    InvalidCursor,
    JobStateError,
    LeaseLost,
    MissingFile,
    ModelInUse,
    SchemaTooNew,
    StoreError,
    storage_problem,
)
from sandbox.store.paging import Page

__all__ = [
    "BatchStateError",
    "FileInUse",
    "InvalidCursor",
    "JobStateError",
    "LeaseLost",
    "MissingFile",
    "ModelInUse",
    "Page",
    "SchemaTooNew",
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
    "storage_problem",
]
