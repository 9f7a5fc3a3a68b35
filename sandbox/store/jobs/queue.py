"""Who works on what: the fair queue and the leases.

A claimed job is never taken off the queue; it is leased. A worker that dies stops renewing, its
lease runs out, and the next claim takes the job up again.
"""

import sqlite3
import time

from sandbox.store.database import Store
from sandbox.store.errors import LeaseLost
from sandbox.store.jobs.requests import settle_request
from sandbox.store.jobs.rows import JobRow, require_job

# Fair: next is the project that has waited longest since one of its jobs was last taken up,
# and of its jobs the oldest. A job that was interrupted goes first: it has started already.
NEXT = """
    SELECT jobs.id FROM jobs
    WHERE status IN ('queued', 'running') AND (lease_until IS NULL OR lease_until <= ?)
    ORDER BY
        status = 'running' DESC,
        (SELECT COALESCE(MAX(claimed_at), 0) FROM jobs AS other
         WHERE other.project = jobs.project),
        n
    LIMIT 1
"""


def claim_next_job(store: Store, owner: str, lease_seconds: float) -> JobRow | None:
    """Lease the next job to ``owner`` and return it, or None when there is nothing to do.

    Its ``attempt`` says how often it was taken up since it last got further: 1 is the first time.
    """
    now = time.time()
    with store.write() as db:
        _settle_abandoned(db, now)
        found = db.execute(NEXT, (now,)).fetchone()
        if found is None:
            return None
        db.execute(
            "UPDATE jobs SET lease_owner = ?, lease_until = ?, claimed_at = ?, "
            "attempt = attempt + 1 WHERE id = ?",
            (owner, now + lease_seconds, now, found["id"]),
        )
        return require_job(db, found["id"])


def renew_lease(store: Store, job_id: str, owner: str, lease_seconds: float) -> str | None:
    """Keep the job for longer; return what is asked of the owner: "cancel", "pause" or None.

    Raises LeaseLost when the job is somebody else's by now, or finished.
    """
    with store.write() as db:
        changed = db.execute(
            "UPDATE jobs SET lease_until = ? WHERE id = ? AND lease_owner = ? "
            "AND status IN ('queued', 'running')",
            (time.time() + lease_seconds, job_id, owner),
        )
        if changed.rowcount == 0:
            raise LeaseLost(f"{owner} does not hold {job_id} any more.")
        return require_job(db, job_id).requested


def count_leased(store: Store) -> int:
    """How many jobs are being worked on just now."""
    with store.read() as db:
        found = db.execute("SELECT COUNT(*) FROM jobs WHERE lease_until > ?", (time.time(),))
        return int(found.fetchone()[0])


def release_leases(store: Store, trainer: str | None = None) -> None:
    """End leases at once: for whoever knows that a trainer is gone, or all, as at start-up.

    A trainer's leases are those whose owner begins with its name and a hyphen.
    """
    with store.write() as db:
        db.execute(
            "UPDATE jobs SET lease_owner = NULL, lease_until = NULL "
            "WHERE ? IS NULL OR substr(lease_owner, 1, length(?) + 1) = ? || '-'",
            (trainer, trainer, trainer),
        )
        _settle_abandoned(db, time.time())


def _settle_abandoned(db: sqlite3.Connection, now: float) -> None:
    """Do what was asked of workers that are gone, so that nobody has to train for it."""
    rows = db.execute(
        "SELECT id FROM jobs WHERE status IN ('queued', 'running') AND requested IS NOT NULL "
        "AND (lease_until IS NULL OR lease_until <= ?)",
        (now,),
    ).fetchall()
    for row in rows:
        settle_request(db, require_job(db, row["id"]))
