"""What can go wrong in the store.

StoreError
├── SchemaTooNew    the database was made by a newer version of the sandbox
├── InvalidCursor   the "after" of a list names nothing that is in the list
├── MissingFile     a job or batch names a file that is not there
├── FileInUse       the file belongs to a job or batch that has not finished
├── ModelInUse      the model is being tuned further by a job that has not finished
├── JobStateError   the job's state does not allow this step
├── BatchStateError the batch's state does not allow this step
└── LeaseLost       the worker no longer owns the job: stop working on it
"""

import errno
import sqlite3

# The operating system's and SQLite's words for "this cannot be written now".
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}
_NOT_WRITTEN = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR}


class StoreError(Exception):
    """The parent of every error the store raises on purpose."""


class SchemaTooNew(StoreError):
    """The database was made by a newer version of the sandbox."""


class InvalidCursor(StoreError):
    """The ``after`` of a list names nothing that is in the list."""


class MissingFile(StoreError):
    """A job or batch names a file that does not exist (any more)."""

    def __init__(self, file_id: str) -> None:
        super().__init__(f"No such File object: {file_id}")
        self.file_id = file_id


class FileInUse(StoreError):
    """The file is needed by a job or batch that has not finished; ``job_id`` is its id."""

    def __init__(self, file_id: str, job_id: str) -> None:
        super().__init__(f"{file_id} is in use by {job_id}")
        self.job_id = job_id


class ModelInUse(StoreError):
    """The model is the starting point of a job that has not finished."""

    def __init__(self, name: str, job_id: str) -> None:
        super().__init__(f"{name} is in use by {job_id}")
        self.job_id = job_id


class JobStateError(StoreError):
    """The job's state does not allow this step; ``status`` says what the state is."""

    def __init__(self, job_id: str, status: str, wanted: str) -> None:
        super().__init__(f"{job_id} is {status}; it cannot be {wanted}")
        self.status = status


class BatchStateError(StoreError):
    """The batch's state does not allow this step; ``status`` says what the state is."""

    def __init__(self, batch_id: str, status: str, wanted: str) -> None:
        super().__init__(f"{batch_id} is {status}; it cannot be {wanted}")
        self.status = status


class LeaseLost(StoreError):
    """Another worker owns the job, or nobody does: the caller must stop working on it."""


def storage_problem(error: BaseException) -> str | None:
    """Return what keeps the state folder from being written, or None if ``error`` is another one.

    Such an error passes when somebody makes room, so work that met one may be tried again.
    """
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(storage_problem, error.exceptions)), None)
    if isinstance(error, sqlite3.Error):
        # The lowest byte is the kind; the others say more (SQLITE_IOERR_WRITE is one of its kind).
        code = getattr(error, "sqlite_errorcode", None) or 0
        return str(error) if code & 0xFF in _NOT_WRITTEN else None
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return (error.strerror or str(error)).lower()
    return None
