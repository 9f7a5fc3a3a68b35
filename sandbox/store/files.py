"""Uploaded files and result files: the content on disk, a row in the database.

The content is in place before the row is committed, so a row always has its content. What a
crash leaves behind is content without a row; ``sweep`` removes it.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.store import ids, rows
from sandbox.store.database import Store
from sandbox.store.errors import FileInUse, MissingFile, storage_errors
from sandbox.store.rows import Page, Row
from sandbox.store.schema import UNFINISHED, UNFINISHED_BATCH

LIVE = "deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now)"
# Inside a query of files: the unfinished jobs and batches that need the file.
NEEDED_BY = (
    "SELECT id FROM jobs WHERE files.id IN (training_file, validation_file) "
    f"AND status IN {UNFINISHED} UNION ALL "
    f"SELECT id FROM batches WHERE input_file = files.id AND status IN {UNFINISHED_BATCH}"
)


@dataclass(frozen=True)
class FileRow(Row):
    """One file of a project; times are Unix seconds."""

    TABLE = "files"

    id: str
    project: str
    filename: str
    purpose: str
    bytes: int
    created_at: int
    expires_at: int | None


def add_file(
    store: Store,
    project: str,
    filename: str,
    purpose: str,
    content: Path | bytes,
    expires_at: int | None = None,
) -> FileRow:
    """Keep a file. A path is moved (it must lie in ``store.files_dir``), bytes are written.

    Raises StorageError when there is no room for it; then nothing is left of it.
    """
    with placed(store, content) as (file_id, size), store.write() as db:
        return insert_file(db, file_id, project, filename, purpose, size, expires_at)


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
            now=int(time.time()),
        )


def delete_file(store: Store, project: str, file_id: str) -> bool:
    """Delete a file; return False if there is none.

    The row stays, marked: it may be the cursor of a list that is being paged through while its
    files are deleted. Raises FileInUse when an unfinished job or batch needs the file.
    """
    with store.write() as db:
        if _find(db, project, file_id) is None:
            return False
        query = f"SELECT ({NEEDED_BY} LIMIT 1) AS user FROM files WHERE id = ?"
        user = db.execute(query, (file_id,)).fetchone()["user"]
        if user is not None:
            raise FileInUse(file_id, user)
        rows.update(db, FileRow, file_id, deleted_at=int(time.time()))
    _remove(file_path(store, file_id))
    return True


def file_path(store: Store, file_id: str) -> Path:
    """Return the path of a file's content. The id must be one that the store has given out."""
    return store.files_dir / file_id


def part_path(store: Store) -> Path:
    """Return a new temporary path for content that is still arriving."""
    return store.files_dir / f"{ids.random_text(24)}.part"


@contextlib.contextmanager
def placed(store: Store, content: Path | bytes) -> Iterator[tuple[str, int]]:
    """Put content safely on disk under a new id; give the id and the size.

    The block records the file. If it raises, the content is removed. Raises StorageError.
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
        yield file_id, size
    except Exception:
        _remove(part)
        _remove(path)
        raise


def insert_file(
    db: sqlite3.Connection,
    file_id: str,
    project: str,
    filename: str,
    purpose: str,
    size: int,
    expires_at: int | None = None,
) -> FileRow:
    """Add the row of a file whose content is already in place, inside a transaction."""
    return rows.insert(
        db,
        FileRow,
        id=file_id,
        project=project,
        filename=filename,
        purpose=purpose,
        bytes=size,
        created_at=int(time.time()),
        expires_at=expires_at,
    )


def require_file(db: sqlite3.Connection, project: str, file_id: str) -> None:
    """Check inside a transaction that a project has a file. Raises MissingFile."""
    if _find(db, project, file_id) is None:
        raise MissingFile(file_id)


def sweep(store: Store) -> None:
    """Delete expired files that no unfinished job or batch needs, and content that has no row.

    Touches only names of the shapes that the store gives. Only for a process that holds the
    state directory alone: an upload in another one would be taken for a leftover.
    """
    now = int(time.time())
    with store.write() as db:
        db.execute(
            "UPDATE files SET deleted_at = ? WHERE deleted_at IS NULL AND expires_at <= ? "
            f"AND NOT EXISTS ({NEEDED_BY})",
            (now, now),
        )
        kept = {row.id for row in rows.many(db, FileRow, "deleted_at IS NULL")}
    for path in store.files_dir.iterdir():
        if ids.FILE.fullmatch(path.name) and path.name not in kept and not path.is_dir():
            _remove(path)


def _find(db: sqlite3.Connection, project: str, file_id: str) -> FileRow | None:
    where, now = f"id = :id AND project = :project AND {LIVE}", int(time.time())
    return rows.one(db, FileRow, where, id=file_id, project=project, now=now)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        # Windows refuses while somebody is still reading it; the next sweep finds it.
        return
