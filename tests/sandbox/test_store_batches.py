"""Batches in the store: their states, the answers of their lines, their files."""

import json
import sqlite3
from pathlib import Path

import pytest

from sandbox.store import BatchStateError, FileInUse, MissingFile, Store, batches, files
from sandbox.store.batches import LineResult, NewBatch
from sandbox.store.schema import FIRST


def make(store: Store, project: str = "p", **fields: object) -> batches.BatchRow:
    file = files.add_file(store, project, "b.jsonl", "batch", b"{}\n")
    return batches.create_batch(store, NewBatch(project, "/v1/completions", file.id, **fields))


def running(store: Store, total: int = 4) -> batches.BatchRow:
    return batches.start(store, make(store).id, total, "m")


def test_a_new_batch_is_validating(store: Store) -> None:
    row = make(store, metadata={"a": "b"}, output_seconds=3600)
    assert batches.get_batch(store, "p", row.id) == row
    assert (row.status, row.metadata, row.output_seconds) == ("validating", {"a": "b"}, 3600)
    assert row.expires_at == row.created_at + 24 * 3600
    assert batches.list_unfinished(store) == [row]
    assert batches.get_batch(store, "q", row.id) is None


def test_its_file_must_be_there(store: Store) -> None:
    other = files.add_file(store, "q", "b.jsonl", "batch", b"{}")
    for file_id in (other.id, "file-nothing"):
        with pytest.raises(MissingFile):
            batches.create_batch(store, NewBatch("p", "/v1/completions", file_id))


def test_answers_become_files_in_the_order_of_the_lines(store: Store) -> None:
    row = running(store)
    for line, ok in ((3, True), (1, True), (4, False), (2, True)):
        batches.add_result(store, row.id, LineResult(line, ok, json.dumps({"n": line}), 5, 7))
    assert batches.answered_lines(store, row.id) == {1, 2, 3, 4}
    assert batches.mark_finalizing(store, row.id).status == "finalizing"
    row = batches.finish(store, row.id, "completed")
    assert (row.status, row.completed, row.failed) == ("completed", 3, 1)
    assert (row.input_tokens, row.output_tokens) == (20, 28)
    assert row.completed_at and row.finalizing_at and row.in_progress_at
    output = files.file_path(store, row.output_file).read_text()
    assert [json.loads(line)["n"] for line in output.splitlines()] == [1, 2, 3]
    assert files.file_path(store, row.error_file).read_text() == '{"n": 4}\n'
    made = files.get_file(store, "p", row.output_file)
    assert (made.purpose, made.filename) == ("batch_output", f"{row.id}_output.jsonl")
    assert batches.answered_lines(store, row.id) == set()
    assert batches.list_unfinished(store) == []


def test_the_first_answer_of_a_line_stays(store: Store) -> None:
    row = running(store)
    batches.add_result(store, row.id, LineResult(1, True, "first", 1, 1))
    batches.add_result(store, row.id, LineResult(1, False, "second", 1, 1))
    row = batches.finish(store, row.id, "expired")
    assert (row.completed, row.failed, row.input_tokens) == (1, 0, 1)
    assert files.file_path(store, row.output_file).read_text() == "first\n"
    assert row.error_file is None and row.expired_at


def test_no_answer_comes_too_late(store: Store) -> None:
    row = running(store)
    assert batches.request_cancel(store, row.id).status == "cancelling"
    batches.add_result(store, row.id, LineResult(1, True, "late"))
    row = batches.finish(store, row.id, "cancelled")
    batches.add_result(store, row.id, LineResult(2, True, "later"))
    assert (row.completed, row.output_file, row.error_file) == (0, None, None)
    assert batches.get_batch(store, "p", row.id) == row
    assert batches.answered_lines(store, row.id) == set()


def test_many_answers_are_written_in_portions(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PORTION", 3)
    row = running(store)
    for line in range(1, 11):
        batches.add_result(store, row.id, LineResult(line, True, str(line)))
    row = batches.finish(store, row.id, "completed")
    output = files.file_path(store, row.output_file).read_text()
    assert output.split() == [str(line) for line in range(1, 11)]


def test_only_a_batch_at_work_can_be_cancelled(store: Store) -> None:
    waiting, row = make(store), running(store)
    assert batches.request_cancel(store, waiting.id).cancelling_at
    assert batches.request_cancel(store, waiting.id).status == "cancelling"  # asked twice
    # What was asked for stays, whatever the validation finds.
    assert batches.start(store, waiting.id, 3, "m").status == "cancelling"
    batches.mark_finalizing(store, row.id)
    with pytest.raises(BatchStateError, match="is finalizing; it cannot be cancelled"):
        batches.request_cancel(store, row.id)


def test_a_bad_file_fails_the_batch(store: Store) -> None:
    error = {"code": "invalid_json_line", "line": 2, "message": "…", "param": None}
    row = batches.fail(store, make(store).id, [error])
    assert (row.status, row.errors) == ("failed", [error]) and row.failed_at
    ended = batches.finish(store, running(store).id, "completed")
    assert batches.fail(store, ended.id, [error]) == ended


def test_the_input_file_is_in_use_until_the_end(store: Store) -> None:
    row = running(store)
    with pytest.raises(FileInUse) as caught:
        files.delete_file(store, "p", row.input_file)
    assert caught.value.job_id == row.id
    batches.finish(store, row.id, "completed")
    assert files.delete_file(store, "p", row.input_file)


def test_sweeping_leaves_the_file_of_a_running_batch(store: Store) -> None:
    file = files.add_file(store, "p", "b.jsonl", "batch", b"{}\n", expires_at=1)
    with store.write() as db:  # it expired while the batch was at work
        db.execute("UPDATE files SET expires_at = NULL")
    row = batches.create_batch(store, NewBatch("p", "/v1/completions", file.id))
    with store.write() as db:
        db.execute("UPDATE files SET expires_at = 1")
    files.sweep(store)
    assert files.file_path(store, file.id).exists()
    batches.fail(store, row.id, [])
    files.sweep(store)
    assert not files.file_path(store, file.id).exists()


def test_pages(store: Store) -> None:
    made = [make(store) for _ in range(5)]
    make(store, project="q")
    first = batches.list_batches(store, "p", limit=2)
    assert (first.rows, first.has_more) == (made[:2:-1], True)
    rest = batches.list_batches(store, "p", after=first.rows[-1].id)
    assert (rest.rows, rest.has_more) == (made[2::-1], False)


def test_a_database_of_the_first_version_gets_the_tables(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with sqlite3.connect(state / "sandbox.db") as db:
        for statement in FIRST:
            db.execute(statement)
        db.execute("PRAGMA user_version=1")
    db.close()
    with Store(state) as store:
        assert make(store).status == "validating"
