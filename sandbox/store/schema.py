"""The tables, as a list of migrations: number n brings a database from version n to n + 1.

Never edit a migration that was released; append a new one. ``n`` in every table is the order of
insertion: ids are random and times have whole seconds only, so lists are sorted by ``n``.
"""

FIRST = (
    """
    CREATE TABLE keys (
        n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL UNIQUE,
        last4 TEXT NOT NULL, created_at INTEGER NOT NULL, revoked_at INTEGER
    )
    """,
    """
    CREATE TABLE files (
        n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL, filename TEXT NOT NULL, purpose TEXT NOT NULL,
        bytes INTEGER NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER,
        deleted_at INTEGER
    )
    """,
    "CREATE INDEX files_by_project ON files (project, n)",
    """
    CREATE TABLE jobs (
        n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL, created_at INTEGER NOT NULL, started_at INTEGER,
        finished_at INTEGER, model TEXT NOT NULL, training_file TEXT NOT NULL,
        validation_file TEXT, suffix TEXT, seed INTEGER NOT NULL, method TEXT NOT NULL,
        hyperparameters TEXT NOT NULL, metadata TEXT, status TEXT NOT NULL, error TEXT,
        fine_tuned_model TEXT, trained_tokens INTEGER, estimated_finish INTEGER,
        result_files TEXT NOT NULL DEFAULT '[]', requested TEXT, lease_owner TEXT,
        lease_until REAL, claimed_at REAL, attempt INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX jobs_by_project ON jobs (project, n)",
    "CREATE INDEX jobs_by_status ON jobs (status, n)",
    """
    CREATE TABLE events (
        n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        job_id TEXT NOT NULL REFERENCES jobs (id), created_at INTEGER NOT NULL,
        level TEXT NOT NULL, type TEXT NOT NULL, message TEXT NOT NULL, data TEXT,
        step INTEGER, UNIQUE (job_id, step)
    )
    """,
    "CREATE INDEX events_by_job ON events (job_id, n)",
    """
    CREATE TABLE checkpoints (
        n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        job_id TEXT NOT NULL REFERENCES jobs (id), created_at INTEGER NOT NULL,
        step INTEGER NOT NULL, model TEXT NOT NULL, metrics TEXT NOT NULL,
        UNIQUE (job_id, step)
    )
    """,
    """
    CREATE TABLE models (
        n INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL, created_at INTEGER NOT NULL, base TEXT NOT NULL,
        job_id TEXT NOT NULL REFERENCES jobs (id), path TEXT NOT NULL,
        format TEXT NOT NULL, step INTEGER NOT NULL
    )
    """,
    "CREATE INDEX models_by_project ON models (project, n)",
)

# The fault that a job was created with, for practice: a JSON object, or nothing.
JOB_FAULTS = ("ALTER TABLE jobs ADD COLUMN fault TEXT",)

BATCHES = (
    """
    CREATE TABLE batches (
        n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL, created_at INTEGER NOT NULL, endpoint TEXT NOT NULL,
        input_file TEXT NOT NULL, completion_window TEXT NOT NULL,
        output_seconds INTEGER, metadata TEXT, status TEXT NOT NULL, model TEXT,
        errors TEXT, total INTEGER NOT NULL DEFAULT 0,
        completed INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
        input_tokens INTEGER NOT NULL DEFAULT 0,
        output_tokens INTEGER NOT NULL DEFAULT 0, output_file TEXT, error_file TEXT,
        expires_at INTEGER NOT NULL, in_progress_at INTEGER, finalizing_at INTEGER,
        completed_at INTEGER, failed_at INTEGER, expired_at INTEGER,
        cancelling_at INTEGER, cancelled_at INTEGER
    )
    """,
    "CREATE INDEX batches_by_project ON batches (project, n)",
    "CREATE INDEX batches_by_status ON batches (status, n)",
    # Answers to single lines, until the batch has ended and its files hold them.
    """
    CREATE TABLE batch_lines (
        batch_id TEXT NOT NULL REFERENCES batches (id), line INTEGER NOT NULL,
        ok INTEGER NOT NULL, content TEXT NOT NULL, PRIMARY KEY (batch_id, line)
    ) WITHOUT ROWID
    """,
)

TURNS = (
    # Deaths of the trainer since the last saved state.
    "ALTER TABLE jobs ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0",
    # Whose turn it is, is counted: the clock it was read from may jump.
    "ALTER TABLE jobs ADD COLUMN turn INTEGER",
    """
    UPDATE jobs SET turn =
        (SELECT COUNT(*) FROM jobs AS other WHERE other.claimed_at <= jobs.claimed_at)
    WHERE claimed_at IS NOT NULL
    """,
    "ALTER TABLE jobs DROP COLUMN claimed_at",
    # The folder of a LoRA adapter, or nothing where a model has all weights of its own.
    "ALTER TABLE models ADD COLUMN adapter TEXT",
)

RESPONSES = (
    # Answers of /v1/responses: those that a conversation may go on from.
    """
    CREATE TABLE responses (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        items TEXT NOT NULL,
        answer TEXT NOT NULL
    )
    """,
    "CREATE INDEX responses_by_time ON responses (created_at)",
)

# One parent hands out the jobs: no process has to claim one for a time.
NO_LEASES = tuple(
    f"ALTER TABLE jobs DROP COLUMN {name}" for name in ("lease_owner", "lease_until", "attempt")
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    FIRST,
    JOB_FAULTS,
    BATCHES,
    TURNS,
    RESPONSES,
    NO_LEASES,
)
# What a database of ours has had from the first edition on, when it was not marked as ours yet.
FIRST_TABLES = {"keys", "files", "jobs", "events", "checkpoints", "models"}
# The states of jobs and batches. Printed, such a tuple is what SQL's IN takes.
FINISHED = ("succeeded", "failed", "cancelled")
UNFINISHED = ("validating_files", "queued", "running", "paused")
UNFINISHED_BATCH = ("validating", "in_progress", "finalizing", "cancelling")
APPLICATION_ID = int.from_bytes(b"sbox")
