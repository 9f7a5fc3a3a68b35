"""Fine-tuning jobs: rows, the queue, and every step from one state to the next.

                        ┌──────────── paused ◀───────────┐
                        ▼     resume            pause    │
    validating_files ─▶ queued ─▶ (claimed) ─▶ running ──┼─▶ succeeded
            │             │                              ├─▶ failed
            └─▶ failed    └─▶ cancelled                  └─▶ cancelled

The API creates jobs, asks for a cancel, pause or resume, and moves them out of
``validating_files``. A trainer claims a queued job, holds it by a lease that it renews while it
works, and ends it. Each step is one transaction that appends its event too.
"""

from sandbox.store.jobs.queue import (
    claim_next_job,
    count_leased,
    release_leases,
    renew_lease,
)
from sandbox.store.jobs.requests import request_cancel, request_pause, resume_job
from sandbox.store.jobs.rows import (
    FINISHED,
    JobRow,
    NewJob,
    create_job,
    get_job,
    list_jobs,
    list_jobs_in,
)
from sandbox.store.jobs.sweeping import sweep
from sandbox.store.jobs.transitions import (
    finish_cancelled,
    finish_failed,
    finish_succeeded,
    mark_paused,
    mark_queued,
    mark_running,
)

__all__ = [
    "FINISHED",
    "JobRow",
    "NewJob",
    "claim_next_job",
    "count_leased",
    "create_job",
    "finish_cancelled",
    "finish_failed",
    "finish_succeeded",
    "get_job",
    "list_jobs",
    "list_jobs_in",
    "mark_paused",
    "mark_queued",
    "mark_running",
    "release_leases",
    "renew_lease",
    "request_cancel",
    "request_pause",
    "resume_job",
    "sweep",
]
