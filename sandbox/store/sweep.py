"""What a crash has left in the state directory, and expired files: removed at a server's start."""

import re
import shutil
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from sandbox.store import rows
from sandbox.store.database import Store
from sandbox.store.files import NEEDED_BY, remove_file
from sandbox.store.rows import now
from sandbox.store.tables import UNFINISHED, FileRow, JobRow, ModelRow

FILE = re.compile(r"file-[A-Za-z0-9]{24}|[A-Za-z0-9]{24}\.part")
JOB = re.compile(r"ftjob-[A-Za-z0-9]{24}")
MODEL = re.compile(r"ftjob-[A-Za-z0-9]{24}-[0-9]+(\.part|\.old)?")


def sweep(store: Store) -> None:
    """Delete expired files that nothing needs, content without a row, and ended jobs' folders.

    Touches only names of the shapes that the store gives. Only for a process that holds the
    state directory alone: an upload in another one would be taken for a leftover.
    """
    with store.write() as db:
        db.execute(
            "UPDATE files SET deleted_at = :now WHERE deleted_at IS NULL AND expires_at <= :now "
            f"AND NOT EXISTS ({NEEDED_BY})",
            {"now": now()},
        )
        files = {row.id for row in rows.many(db, FileRow, "deleted_at IS NULL")}
        jobs = {row.id for row in rows.many(db, JobRow, f"status IN {UNFINISHED}")}
        models = {row.path for row in rows.many(db, ModelRow, "1")}
    # Windows refuses while a file is open; the next sweep finds it.
    remove_folder = partial(shutil.rmtree, ignore_errors=True)
    _keep_only(files, store.files_dir, FILE, remove_file)
    _keep_only(jobs, store.jobs_dir, JOB, remove_folder)
    _keep_only(models, store.models_dir, MODEL, remove_folder)


def _keep_only(
    names: Collection[str], folder: Path, ours: re.Pattern[str], remove: Callable[[Path], None]
) -> None:
    for path in folder.iterdir():
        if ours.fullmatch(path.name) and path.name not in names:
            remove(path)
