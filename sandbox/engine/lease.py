"""The right to work on a job, renewed in the background."""

from __future__ import annotations

import sys
import threading
from typing import Literal, Self

from sandbox.store import LeaseLost, Store, jobs

LEASE_SECONDS = 10.0
RENEW_SECONDS = 2.0

Wish = Literal["cancel", "pause", "shut down", "lost"]


class Lease:
    """Holds a job while the block runs; gives it back at the end if it is unfinished.

    ``stopping`` is set when the whole process has to end.
    """

    def __init__(self, store: Store, job_id: str, owner: str, stopping: threading.Event) -> None:
        self.store = store
        self.job_id = job_id
        self.owner = owner
        self._stopping = stopping
        self._lost = False
        self._done = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._heart.join()
        try:
            # A lease of no length: whoever comes next need not wait.
            jobs.renew_lease(self.store, self.job_id, self.owner, 0)
        except LeaseLost:
            return  # finished, or somebody else's: nothing to give back

    def wish(self) -> Wish | None:
        """What the worker has to do instead of going on, if anything."""
        job = jobs.get_job(self.store, None, self.job_id)
        if self._lost or job is None or job.lease_owner != self.owner:
            return "lost"
        if self._stopping.is_set():
            return "shut down"
        return "cancel" if job.requested == "cancel" else "pause" if job.requested else None

    def _beat(self) -> None:
        while not self._done.wait(RENEW_SECONDS):
            try:
                jobs.renew_lease(self.store, self.job_id, self.owner, LEASE_SECONDS)
            except LeaseLost:
                self._lost = True
                return
            except OSError as error:
                # A busy or full disk; the lease outlives a few missed beats.
                print(f"The lease was not renewed: {error}", file=sys.stderr)
