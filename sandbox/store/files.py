"""Uploaded files and result files: the content on disk, a row in the database.

The content is in place before the row is committed, so a row always has its content. What a
crash leaves behind is content without a row; ``sweep`` removes it.
"""

import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from sandbox.store import ids
from sandbox.store.database import Store
from sandbox.store.errors import FileInUse, MissingFile
from sandbox.store.paging import Page, page_of_project

PART_SUFFIX = ".part"
LIVE = "deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?)"
UNFINISHED = "('validating_files', 'queued', 'running', 'paused')"
UNFINISHED_BATCH = "('validating', 'in_progress', 'finalizing', 'cancelling')"
# Inside a query of files: the unfinished jobs and batches that need the file.
NEEDED_BY = (
    "SELECT id FROM jobs WHERE files.id IN (training_file, validation_file) "
    f"AND status IN {UNFINISHED} UNION ALL "
    f"SELECT id FROM batches WHERE input_file = files.id AND status IN {UNFINISHED_BATCH}"
)


@dataclass(frozen=True)
class FileRow:
    """One file of a project; times are Unix seconds."""

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
    """Keep a file. A path is moved (it must lie in ``store.files_dir``), bytes are written."""
    file_id = ids.file_id()
    size = place_content(store, file_id, content)
    with store.write() as db:
        return insert_file(db, file_id, project, filename, purpose, size, expires_at)


def get_file(store: Store, project: str, file_id: str) -> FileRow | None:
    """Return a project's file, or None if there is none of this id (any more)."""
    with store.read() as db:
        row = db.execute(
            f"SELECT * FROM files WHERE id = ? AND project = ? AND {LIVE}",
            (file_id, project, int(time.time())),
        ).fetchone()
    return _row(row) if row else None


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
    filters, values = LIVE, (int(time.time()),)
    if purpose is not None:
        filters, values = f"{LIVE} AND purpose = ?", (*values, purpose)
    return page_of_project(
        store,
        "files",
        project,
        _row,
        filters=filters,
        filter_values=values,
        after=after,
        limit=limit,
        newest_first=newest_first,
    )


def delete_file(store: Store, project: str, file_id: str) -> bool:
    """Delete a file; return False if there is none.

    The row stays, marked: it may be the cursor of a list that is being walked while its files
    are deleted. Raises FileInUse when an unfinished job or batch
    needs the file.
    """
    now = int(time.time())
    with store.write() as db:
        user = db.execute(
            f"SELECT ({NEEDED_BY} LIMIT 1) AS id FROM files WHERE id = ? AND project = ?",
            (file_id, project),
        ).fetchone()
        if user and user["id"]:
            raise FileInUse(file_id, user["id"])
        changed = db.execute(
            f"UPDATE files SET deleted_at = ? WHERE id = ? AND project = ? AND {LIVE}",
            (now, file_id, project, now),
        )
    if changed.rowcount:
        _remove(file_path(store, file_id))
    return changed.rowcount == 1


def file_path(store: Store, file_id: str) -> Path:
    """Return where a file's content lies. The id must be one that the store has given out."""
    return store.files_dir / file_id


def part_path(store: Store) -> Path:
    """Return a new temporary path for content that is still arriving."""
    return store.files_dir / (ids.random_text(24) + PART_SUFFIX)


def place_content(store: Store, file_id: str, content: Path | bytes) -> int:
    """Put content where ``file_id`` will look for it, safely on disk; return its size."""
    part = content
    if isinstance(content, bytes):
        part = part_path(store)
        part.write_bytes(content)
    with open(part, "rb+") as handle:
        os.fsync(handle.fileno())
        size = os.fstat(handle.fileno()).st_size
    os.replace(part, file_path(store, file_id))
    return size


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
    row = FileRow(file_id, project, filename, purpose, size, int(time.time()), expires_at)
    db.execute(
        "INSERT INTO files (id, project, filename, purpose, bytes, created_at, expires_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (row.id, project, filename, purpose, size, row.created_at, expires_at),
    )
    return row


def require_file(db: sqlite3.Connection, project: str, file_id: str) -> None:
    """Check inside a transaction that a project has a file. Raises MissingFile."""
    found = db.execute(
        f"SELECT 1 FROM files WHERE id = ? AND project = ? AND {LIVE}",
        (file_id, project, int(time.time())),
    ).fetchone()
    if found is None:
        raise MissingFile(file_id)


def sweep(store: Store) -> None:
    """Delete expired files that no unfinished job or batch needs, and content that has no row.

    Only for a process that holds the state directory alone: an upload in another one would be
    taken for a leftover.
    """
    now = int(time.time())
    with store.write() as db:
        db.execute(
            "UPDATE files SET deleted_at = ? WHERE deleted_at IS NULL AND expires_at <= ? "
            f"AND NOT EXISTS ({NEEDED_BY})",
            (now, now),
        )
        kept = {row["id"] for row in db.execute("SELECT id FROM files WHERE deleted_at IS NULL")}
    for path in store.files_dir.iterdir():
        if path.name not in kept:
            _remove(path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        # Windows refuses while somebody is still reading it; the next sweep finds it.
        return


def _row(row: sqlite3.Row) -> FileRow:
    return FileRow(**{field: row[field] for field in FileRow.__dataclass_fields__})
