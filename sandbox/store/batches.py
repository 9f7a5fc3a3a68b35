"""Batches: many requests in one file, and what has become of each of its lines.

Each answer is kept in a row of its own as soon as it is there, so a crash loses none. When the
batch ends, the rows become its two files, in the order of the lines, in one transaction.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.store import files, ids
from sandbox.store.database import Store
from sandbox.store.errors import BatchStateError
from sandbox.store.files import UNFINISHED_BATCH
from sandbox.store.paging import Page, page_of_project

OUTPUT_PURPOSE = "batch_output"
WINDOW_SECONDS = 24 * 60 * 60
PORTION = 500  # answers read from the database at a time
ENDED_AT = {"completed": "completed_at", "expired": "expired_at", "cancelled": "cancelled_at"}


@dataclass(frozen=True)
class NewBatch:
    """What a client asks for. ``output_seconds`` is how long its output files live, if limited."""

    project: str
    endpoint: str
    input_file: str
    completion_window: str = "24h"
    output_seconds: int | None = None
    metadata: dict[str, str] | None = None


@dataclass(frozen=True)
class BatchRow:
    """One batch; times are Unix seconds. ``failed`` counts lines, as ``completed`` does."""

    n: int  # order of creation
    id: str
    project: str
    created_at: int
    endpoint: str
    input_file: str
    completion_window: str
    output_seconds: int | None
    metadata: dict[str, str] | None
    status: str  # validating, in_progress, finalizing, completed, failed, expired, cancelling, …
    model: str | None
    errors: list[dict[str, Any]] | None  # code, line, message, param
    total: int
    completed: int
    failed: int
    input_tokens: int
    output_tokens: int
    output_file: str | None
    error_file: str | None
    expires_at: int
    in_progress_at: int | None
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None


@dataclass(frozen=True)
class LineResult:
    """The answer to one line: what stands in the output file, or (not ``ok``) the error file."""

    line: int
    ok: bool
    content: str
    input_tokens: int = 0
    output_tokens: int = 0


def create_batch(store: Store, new: NewBatch) -> BatchRow:
    """Record a batch as ``validating``. Raises MissingFile."""
    batch_id, now = ids.batch_id(), int(time.time())
    metadata = None if new.metadata is None else json.dumps(new.metadata)
    with store.write() as db:
        files.require_file(db, new.project, new.input_file)
        db.execute(
            "INSERT INTO batches (id, project, created_at, endpoint, input_file, "
            "completion_window, output_seconds, metadata, status, expires_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'validating', ?)",
            (
                batch_id,
                new.project,
                now,
                new.endpoint,
                new.input_file,
                new.completion_window,
                new.output_seconds,
                metadata,
                now + WINDOW_SECONDS,
            ),
        )
        return _require(db, batch_id)


def get_batch(store: Store, project: str | None, batch_id: str) -> BatchRow | None:
    """Return a batch, or None. The project None stands for any: for the runner only."""
    with store.read() as db:
        row = db.execute(
            "SELECT * FROM batches WHERE id = ? AND (? IS NULL OR project = ?)",
            (batch_id, project, project),
        ).fetchone()
    return _row(row) if row else None


def list_batches(
    store: Store, project: str, *, after: str | None = None, limit: int = 20
) -> Page[BatchRow]:
    """Return one page of a project's batches, newest first. Raises InvalidCursor."""
    return page_of_project(store, "batches", project, _row, after=after, limit=limit)


def list_unfinished(store: Store) -> list[BatchRow]:
    """Return the batches of all projects that have not ended, oldest first."""
    with store.read() as db:
        query = f"SELECT * FROM batches WHERE status IN {UNFINISHED_BATCH} ORDER BY n"
        return [_row(row) for row in db.execute(query)]


def fail(store: Store, batch_id: str, errors: list[dict[str, Any]]) -> BatchRow:
    """End a batch whose file is not good (or which nobody can run); no line of it is answered."""
    return _step(
        store,
        batch_id,
        "status = 'failed', failed_at = :now, errors = :errors",
        UNFINISHED_BATCH,
        errors=json.dumps(errors),
    )


def start(store: Store, batch_id: str, total: int, model: str) -> BatchRow:
    """Record that the file is good and its lines are being answered.

    A batch that has left ``validating`` meanwhile, cancelled for instance, keeps its state.
    """
    with store.write() as db:
        db.execute("UPDATE batches SET total = ?, model = ? WHERE id = ?", (total, model, batch_id))
    step = "status = 'in_progress', in_progress_at = :now"
    return _step(store, batch_id, step, "('validating')")


def add_result(store: Store, batch_id: str, result: LineResult) -> None:
    """Keep the answer to a line, once.

    A batch that is being cancelled takes none any more: its files are about to be written.
    """
    with store.write() as db:
        if _require(db, batch_id).status != "in_progress":
            return
        added = db.execute(
            "INSERT INTO batch_lines (batch_id, line, ok, content) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (batch_id, result.line, result.ok, result.content),
        )
        if added.rowcount:
            db.execute(
                "UPDATE batches SET completed = completed + ?, failed = failed + ?, "
                "input_tokens = input_tokens + ?, output_tokens = output_tokens + ? WHERE id = ?",
                (
                    result.ok,
                    not result.ok,
                    result.input_tokens,
                    result.output_tokens,
                    batch_id,
                ),
            )


def answered_lines(store: Store, batch_id: str) -> set[int]:
    """Return the numbers of the lines that have their answer."""
    with store.read() as db:
        rows = db.execute("SELECT line FROM batch_lines WHERE batch_id = ?", (batch_id,))
        return {row["line"] for row in rows}


def request_cancel(store: Store, batch_id: str) -> BatchRow:
    """Ask for the end of a batch. Raises BatchStateError when it is ending or has ended."""
    row = _step(
        store,
        batch_id,
        "status = 'cancelling', cancelling_at = :now",
        "('validating', 'in_progress')",
    )
    if row.status != "cancelling":
        raise BatchStateError(batch_id, row.status, "cancelled")
    return row


def mark_finalizing(store: Store, batch_id: str) -> BatchRow:
    """Record that every line has its answer and the files are being written."""
    step = "status = 'finalizing', finalizing_at = COALESCE(finalizing_at, :now)"
    return _step(store, batch_id, step, "('in_progress')")


def finish(store: Store, batch_id: str, status: str) -> BatchRow:
    """End a batch as ``completed``, ``expired`` or ``cancelled``, with the files of its answers.

    A file without a line is not made.
    """
    output, errors = (_write_file(store, batch_id, ok) for ok in (True, False))
    with store.write() as db:
        row = _require(db, batch_id)
        for file_id, size, kind in ((*output, "output"), (*errors, "error")):
            if file_id is not None:
                _insert_file(db, row, file_id, size, kind)
        db.execute(
            f"UPDATE batches SET status = ?, {ENDED_AT[status]} = ?, output_file = ?, "
            "error_file = ? WHERE id = ?",
            (status, int(time.time()), output[0], errors[0], batch_id),
        )
        db.execute("DELETE FROM batch_lines WHERE batch_id = ?", (batch_id,))
        return _require(db, batch_id)


def _write_file(store: Store, batch_id: str, ok: bool) -> tuple[str | None, int]:
    """Put the answers of one kind into a file, in place but without a row; its id and size."""
    part = files.part_path(store)
    with part.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(f"{content}\n" for content in _contents(store, batch_id, ok))
    if part.stat().st_size == 0:
        part.unlink()
        return None, 0
    file_id = ids.file_id()
    return file_id, files.place_content(store, file_id, part)


def _contents(store: Store, batch_id: str, ok: bool) -> Iterator[str]:
    line = 0
    while True:
        with store.read() as db:
            rows = db.execute(
                "SELECT line, content FROM batch_lines WHERE batch_id = ? AND ok = ? "
                "AND line > ? ORDER BY line LIMIT ?",
                (batch_id, ok, line, PORTION),
            ).fetchall()
        if not rows:
            return
        yield from (row["content"] for row in rows)
        line = rows[-1]["line"]


def _insert_file(db: sqlite3.Connection, row: BatchRow, file_id: str, size: int, kind: str) -> None:
    expires = None if row.output_seconds is None else int(time.time()) + row.output_seconds
    name = f"{row.id}_{kind}.jsonl"
    files.insert_file(db, file_id, row.project, name, OUTPUT_PURPOSE, size, expires)


def _step(store: Store, batch_id: str, change: str, states: str, **values: object) -> BatchRow:
    """Change a batch that is in one of these states; return it as it is then."""
    with store.write() as db:
        db.execute(
            f"UPDATE batches SET {change} WHERE id = :id AND status IN {states}",
            {**values, "id": batch_id, "now": int(time.time())},
        )
        return _require(db, batch_id)


def _require(db: sqlite3.Connection, batch_id: str) -> BatchRow:
    row = db.execute("SELECT * FROM batches WHERE id = ?", (batch_id,)).fetchone()
    if row is None:
        raise KeyError(batch_id)
    return _row(row)


def _row(row: sqlite3.Row) -> BatchRow:
    fields = dict(row)
    for name in ("metadata", "errors"):
        fields[name] = json.loads(fields[name]) if fields[name] is not None else None
    return BatchRow(**fields)
