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
