"""Batches: many requests in one file, and what has become of each of its lines.

    validating ─▶ in_progress ─▶ finalizing ─▶ completed (or expired)
        │  │           │
        │  └───────────┴─▶ cancelling ─▶ cancelled
        └─▶ failed

Each answer is kept in a row of its own as soon as it is there, so a crash loses none. When the
batch ends, the rows become its two files, in the order of the lines, in one transaction.
"""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.store import files, rows
from sandbox.store.database import Store
from sandbox.store.errors import StateError, storage_errors
from sandbox.store.rows import Page, now
from sandbox.store.tables import UNFINISHED_BATCH, BatchRow

OUTPUT_PURPOSE = "batch_output"


@dataclass(frozen=True)
class LineResult:
    """The answer to one line, as the output file has it, or (not ``ok``) the error file."""

    line: int
    ok: bool
    content: str
    input_tokens: int = 0
    output_tokens: int = 0


def create_batch(store: Store, new: BatchRow) -> BatchRow:
    """Record a new batch. Raises MissingFile."""
    with store.write() as db:
        files.require_file(db, new.project, new.input_file)
        return rows.insert(db, new)


def get_batch(store: Store, project: str | None, batch_id: str) -> BatchRow | None:
    """Return a batch, or None. The project None means any: for the runner only."""
    where = "id = :id AND (:project IS NULL OR project = :project)"
    with store.read() as db:
        return rows.one(db, BatchRow, where, id=batch_id, project=project)


def list_batches(
    store: Store, project: str, *, after: str | None = None, limit: int = 20
) -> Page[BatchRow]:
    """Return one page of a project's batches, newest first. Raises InvalidCursor."""
    with store.read() as db:
        scope = "project = :project"
        return rows.page(db, BatchRow, scope, after=after, limit=limit, project=project)


def list_unfinished(store: Store) -> list[BatchRow]:
    """Return the batches of all projects that have not ended, oldest first."""
    with store.read() as db:
        return rows.many(db, BatchRow, f"status IN {UNFINISHED_BATCH}")


def fail(store: Store, batch_id: str, errors: list[dict[str, Any]]) -> BatchRow:
    """End a batch whose file is not good (or whose model is gone); no line of it is answered."""
    with store.write() as db:
        return _move(db, batch_id, UNFINISHED_BATCH, "failed", errors=errors)


def start(store: Store, batch_id: str, total: int, model: str) -> BatchRow:
    """Record that the file is good and its lines are being answered.

    A batch that has left ``validating`` meanwhile, cancelled for instance, keeps its state.
    """
    with store.write() as db:
        rows.update(db, BatchRow, batch_id, total=total, model=model)
        return _move(db, batch_id, ("validating",), "in_progress")


def add_result(store: Store, batch_id: str, result: LineResult) -> None:
    """Keep the answer to a line, once.

    A batch that is being cancelled takes none any more: its files are about to be written.
    """
    with store.write() as db:
        row = rows.require(db, BatchRow, batch_id)
        if row.status != "in_progress":
            return
        added = db.execute(
            "INSERT INTO batch_lines (batch_id, line, ok, content) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (batch_id, result.line, result.ok, result.content),
        )
        if added.rowcount:
            rows.update(
                db,
                BatchRow,
                batch_id,
                completed=row.completed + result.ok,
                failed=row.failed + (not result.ok),
                input_tokens=row.input_tokens + result.input_tokens,
                output_tokens=row.output_tokens + result.output_tokens,
            )


def answered_lines(store: Store, batch_id: str) -> set[int]:
    """Return the numbers of the lines that have their answer."""
    with store.read() as db:
        found = db.execute("SELECT line FROM batch_lines WHERE batch_id = ?", (batch_id,))
        return {row["line"] for row in found}


def request_cancel(store: Store, batch_id: str) -> BatchRow:
    """Ask for the end of a batch. Raises StateError when it is ending or has ended."""
    with store.write() as db:
        row = _move(db, batch_id, ("validating", "in_progress"), "cancelling")
    if row.status != "cancelling":
        raise StateError(batch_id, row.status, "cancelled")
    return row


def mark_finalizing(store: Store, batch_id: str) -> BatchRow:
    """Record that every line has its answer and the files are being written."""
    with store.write() as db:
        return _move(db, batch_id, ("in_progress",), "finalizing")


def finish(store: Store, batch_id: str, status: str) -> BatchRow:
    """End a batch as ``completed``, ``expired`` or ``cancelled``, with the files of its answers.

    A file without a line is not made.
    """
    with store.read() as db:
        batch = rows.require(db, BatchRow, batch_id)
    life = batch.output_seconds
    fields = {
        "project": batch.project,
        "purpose": OUTPUT_PURPOSE,
        "expires_at": None if life is None else now() + life,
    }
    values: dict[str, Any] = {"status": status, f"{status}_at": now()}
    with contextlib.ExitStack() as stack:
        made = []
        for kind, ok in (("output", True), ("error", False)):
            part = _write_part(store, batch_id, ok)
            if part is not None:
                name = f"{batch_id}_{kind}.jsonl"
                file = stack.enter_context(files.placed(store, part, filename=name, **fields))
                made.append(file)
                values[f"{kind}_file"] = file.id
        db = stack.enter_context(store.write())
        for file in made:
            rows.insert(db, file)
        db.execute("DELETE FROM batch_lines WHERE batch_id = ?", (batch_id,))
        return rows.update(db, BatchRow, batch_id, **values)


def _move(
    db: sqlite3.Connection, batch_id: str, states: tuple[str, ...], status: str, **values: Any
) -> BatchRow:
    """Give a batch that is in one of these states another one, with its time; return its row."""
    row = rows.require(db, BatchRow, batch_id)
    if row.status not in states:
        return row
    values |= {"status": status, f"{status}_at": now()}
    return rows.update(db, BatchRow, batch_id, **values)


def _write_part(store: Store, batch_id: str, ok: bool) -> Path | None:
    """Write the answers of one kind, in the order of their lines, into a temporary file."""
    query = "SELECT content FROM batch_lines WHERE batch_id = ? AND ok = ? ORDER BY line"
    part = files.part_path(store)
    try:
        with storage_errors(part), part.open("w", encoding="utf-8", newline="\n") as out:
            with store.read() as db:
                out.writelines(f"{row['content']}\n" for row in db.execute(query, (batch_id, ok)))
            if out.tell() > 0:
                return part
    except Exception:
        part.unlink(missing_ok=True)
        raise
    part.unlink()
    return None
