"""Uploaded files and result files: the content on disk, a row in the database.

The content is in place before the row is committed, so a row always has its content. What a
crash leaves behind is content without a row; the next start's ``sweep`` removes it.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox.store import ids, rows
from sandbox.store.database import Store
from sandbox.store.errors import InUse, MissingFile, storage_errors
from sandbox.store.rows import Page, now
from sandbox.store.tables import UNFINISHED, UNFINISHED_BATCH, FileRow

LIVE = "deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now)"
# Inside a query of files: the unfinished jobs and batches that need the file.
NEEDED_BY = (
    "SELECT id FROM jobs WHERE files.id IN (training_file, validation_file) "
    f"AND status IN {UNFINISHED} UNION ALL "
    f"SELECT id FROM batches WHERE input_file = files.id AND status IN {UNFINISHED_BATCH}"
)


def add_file(
    store: Store,
    project: str,
    filename: str,
    purpose: str,
    content: Path | bytes,
    expires_at: int | None = None,
) -> FileRow:
    """Keep a file. A path is moved (it must be in ``store.files_dir``), bytes are written.

    Raises StorageError when there is no room for it; then nothing is left of it.
    """
    fields = {"project": project, "filename": filename, "purpose": purpose}
    with placed(store, content, **fields, expires_at=expires_at) as row, store.write() as db:
        return rows.insert(db, row)


def get_file(store: Store, project: str, file_id: str) -> FileRow | None:
    """Return a project's file, or None if there is none of this id (any more)."""
    with store.read() as db:
        return _find(db, project, file_id)


def list_files(
    store: Store,
    project: str,
    *,
    after: str | None = None,
    limit: int = 10_000,
    newest_first: bool = True,
    purpose: str | None = None,
) -> Page[FileRow]:
    """Return one page of a project's files. Raises InvalidCursor for an unknown ``after``."""
    with store.read() as db:
        return rows.page(
            db,
            FileRow,
            "project = :project",
            filters=f"{LIVE} AND (:purpose IS NULL OR purpose = :purpose)",
            after=after,
            limit=limit,
            newest_first=newest_first,
            project=project,
            purpose=purpose,
            now=now(),
        )


def delete_file(store: Store, project: str, file_id: str) -> bool:
    """Delete a file; return False if there is none.

    The row stays, marked: it may be the cursor of a list that is being paged through while its
    files are deleted. Raises InUse when an unfinished job or batch needs the file.
    """
    with store.write() as db:
        if _find(db, project, file_id) is None:
            return False
        query = f"SELECT ({NEEDED_BY} LIMIT 1) AS user FROM files WHERE id = ?"
        user = db.execute(query, (file_id,)).fetchone()["user"]
        if user is not None:
            raise InUse(file_id, user)
        rows.update(db, FileRow, file_id, deleted_at=now())
    remove_file(file_path(store, file_id))
    return True


def file_path(store: Store, file_id: str) -> Path:
    """Return the path of a file's content. The id must be one that the store has given out."""
    return store.files_dir / file_id


def part_path(store: Store) -> Path:
    """Return a new temporary path for content that is still arriving."""
    return store.files_dir / f"{ids.random_text(24)}.part"


@contextlib.contextmanager
def placed(store: Store, content: Path | bytes, **fields: Any) -> Iterator[FileRow]:
    """Put content safely on disk; give its row, which the block is to insert.

    ``fields`` are those of the row that the content does not tell. If the block raises, the
    content is removed. Raises StorageError.
    """
    part = part_path(store) if isinstance(content, bytes) else content
    file_id = ids.file_id()
    path = file_path(store, file_id)
    try:
        with storage_errors(store.files_dir):
            if isinstance(content, bytes):
                part.write_bytes(content)
            with open(part, "rb+") as handle:
                os.fsync(handle.fileno())
                size = os.fstat(handle.fileno()).st_size
            part.chmod(0o600)
            os.replace(part, path)
        yield FileRow(id=file_id, bytes=size, **fields)
    except Exception:
        remove_file(part)
        remove_file(path)
        raise


def require_file(db: sqlite3.Connection, project: str, file_id: str) -> None:
    """Check inside a transaction that a project has a file. Raises MissingFile."""
    if _find(db, project, file_id) is None:
        raise MissingFile(file_id)


def remove_file(path: Path) -> None:
    """Remove a file that may be gone already."""
    try:
        path.unlink(missing_ok=True)
    except (PermissionError, IsADirectoryError):
        # Windows refuses while somebody is still reading it; the next sweep finds it.
        return


def _find(db: sqlite3.Connection, project: str, file_id: str) -> FileRow | None:
    where = f"id = :id AND project = :project AND {LIVE}"
    return rows.one(db, FileRow, where, id=file_id, project=project, now=now())
