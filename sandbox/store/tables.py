"""Every table of the database: a class is a table, and each of its fields a column.

A column holds text or whole numbers as the field's type says; any other type is kept as JSON.
Times are Unix seconds. To add a column, add a field with None or a number as its default: older
databases get it, with that default, when they are opened. Never rename a field that was released
or change its type, and raise VERSION when an older sandbox could not work with the new tables.
"""

from dataclasses import dataclass, field
from typing import Any

from sandbox.store import ids
from sandbox.store.rows import Row, now

VERSION = 6
APPLICATION_ID = int.from_bytes(b"sbox")

# The states of jobs and batches. Printed, such a tuple is what SQL's IN takes.
FINISHED = ("succeeded", "failed", "cancelled")
UNFINISHED = ("validating_files", "queued", "running", "paused")
UNFINISHED_BATCH = ("validating", "in_progress", "finalizing", "cancelling")


@dataclass(frozen=True, kw_only=True)
class KeyRow(Row):
    """What is known of a key. The secret itself is not: only its last four characters."""

    TABLE = "keys"
    CONSTRAINTS = "UNIQUE (id), UNIQUE (digest)"

    id: str = field(default_factory=ids.key_id)
    project: str
    name: str
    digest: str = field(repr=False)
    last4: str
    revoked_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class FileRow(Row):
    """One file of a project; its content is in ``store.files_dir``."""

    TABLE = "files"

    id: str = field(default_factory=ids.file_id)
    project: str
    filename: str
    purpose: str
    bytes: int
    expires_at: int | None = None
    deleted_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class JobRow(Row):
    """One fine-tuning job."""

    TABLE = "jobs"

    id: str = field(default_factory=ids.job_id)
    project: str
    started_at: int | None = None  # when training began for the first time
    finished_at: int | None = None
    model: str
    training_file: str
    validation_file: str | None = None
    suffix: str | None = None
    seed: int
    method: dict[str, Any]
    hyperparameters: dict[str, Any]  # "auto" or, once it runs, numbers
    metadata: dict[str, str] | None = None
    status: str = "validating_files"  # see jobs.py
    error: dict[str, str | None] | None = None  # code, message, param
    fine_tuned_model: str | None = None
    trained_tokens: int | None = None
    estimated_finish: int | None = None
    result_files: list[str] = field(default_factory=list)
    requested: str | None = None  # "cancel" or "pause": its trainer is to stop soon
    turn: int | None = None  # counts up: which job was taken up before which
    crashes: int = 0  # deaths of its trainer since the last saved state
    fault: dict[str, Any] | None = None  # for practice: what is to happen to it


@dataclass(frozen=True, kw_only=True)
class EventRow(Row):
    """One event of a job."""

    TABLE = "events"
    CONSTRAINTS = "UNIQUE (id), UNIQUE (job_id, step), FOREIGN KEY (job_id) REFERENCES jobs (id)"

    id: str = field(default_factory=ids.event_id)
    job_id: str
    level: str = "info"  # or "warn" or "error"
    type: str = "message"  # or "metrics"
    message: str
    data: dict[str, Any] | None = None
    step: int | None = None  # of "metrics"


@dataclass(frozen=True, kw_only=True)
class CheckpointRow(Row):
    """One checkpoint of a job; ``model`` is the name it answers to."""

    TABLE = "checkpoints"
    CONSTRAINTS = "UNIQUE (id), UNIQUE (job_id, step), FOREIGN KEY (job_id) REFERENCES jobs (id)"

    id: str = field(default_factory=ids.checkpoint_id)
    job_id: str
    step: int
    model: str
    metrics: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ModelRow(Row):
    """A tuned model; its Hugging Face folder is in ``store.models_dir``."""

    TABLE = "models"
    CONSTRAINTS = "UNIQUE (name), FOREIGN KEY (job_id) REFERENCES jobs (id)"

    name: str
    project: str
    base: str  # the name of the base model it descends from
    job_id: str
    path: str  # the folder's name under store.models_dir
    format: str  # "chat" or "completion": what it was tuned on
    step: int
    adapter: str | None = None  # the folder of a LoRA adapter, if it is one on its base model


@dataclass(frozen=True, kw_only=True)
class BatchRow(Row):
    """One batch. ``failed`` counts lines, as ``completed`` does."""

    TABLE = "batches"

    id: str = field(default_factory=ids.batch_id)
    project: str
    endpoint: str
    input_file: str
    completion_window: str = "24h"
    output_seconds: int | None = None  # how long its output files live
    metadata: dict[str, str] | None = None
    status: str = "validating"  # or in_progress, finalizing, completed, failed, expired, …
    model: str | None = None
    errors: list[dict[str, Any]] | None = None  # code, line, message, param
    total: int = 0
    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    output_file: str | None = None
    error_file: str | None = None
    expires_at: int = field(default_factory=lambda: now() + 24 * 3600)
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class AnswerRow(Row):
    """An answer that is kept; ``items`` are all messages that led to it, its own left out."""

    TABLE = "responses"

    id: str
    project: str
    items: list[dict[str, Any]]
    answer: dict[str, Any]


TABLES = (
    KeyRow,
    FileRow,
    JobRow,
    EventRow,
    CheckpointRow,
    ModelRow,
    BatchRow,
    AnswerRow,
)
# What a database of ours has had from the first edition on, when it was not marked as ours yet.
FIRST_TABLES = {"keys", "files", "jobs", "events", "checkpoints", "models"}
BESIDES = (
    # Answers to single lines, until the batch has ended and its files hold them.
    """
    CREATE TABLE IF NOT EXISTS batch_lines (
        batch_id TEXT NOT NULL REFERENCES batches (id), line INTEGER NOT NULL,
        ok INTEGER NOT NULL, content TEXT NOT NULL, PRIMARY KEY (batch_id, line)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS files_by_project ON files (project, n)",
    "CREATE INDEX IF NOT EXISTS jobs_by_project ON jobs (project, n)",
    "CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, n)",
    "CREATE INDEX IF NOT EXISTS events_by_job ON events (job_id, n)",
    "CREATE INDEX IF NOT EXISTS models_by_project ON models (project, n)",
    "CREATE INDEX IF NOT EXISTS batches_by_project ON batches (project, n)",
    "CREATE INDEX IF NOT EXISTS batches_by_status ON batches (status, n)",
    "CREATE INDEX IF NOT EXISTS responses_by_time ON responses (created_at)",
)
