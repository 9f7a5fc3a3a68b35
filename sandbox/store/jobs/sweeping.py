"""Tidying the folders that jobs work in."""

import shutil

from sandbox.store.database import Store
from sandbox.store.jobs.rows import FINISHED


def sweep(store: Store) -> None:
    """Delete the working folders of jobs that have finished or were never recorded.

    Only for a process that holds the state directory alone.
    """
    with store.read() as db:
        rows = db.execute(f"SELECT id FROM jobs WHERE status NOT IN {FINISHED}").fetchall()
    kept = {row["id"] for row in rows}
    for path in store.jobs_dir.iterdir():
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
