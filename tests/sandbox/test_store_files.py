"""Files: content and row together, pages, expiry, sweeping."""

import time

import pytest

from sandbox.store import FileInUse, InvalidCursor, Store, files, jobs
from sandbox.store.jobs import NewJob


def new_job(file_id: str, validation: str | None = None) -> NewJob:
    return NewJob("p", "m", file_id, 1, {"type": "supervised"}, {}, validation_file=validation)


def test_bytes_and_a_path_are_kept(store: Store) -> None:
    part = files.part_path(store)
    part.write_bytes(b"from a path")
    one = files.add_file(store, "p", "a.jsonl", "fine-tune", part)
    two = files.add_file(store, "p", "b.jsonl", "fine-tune", b"from bytes")
    assert files.file_path(store, one.id).read_bytes() == b"from a path"
    assert files.file_path(store, two.id).read_bytes() == b"from bytes"
    assert (one.bytes, two.bytes) == (11, 10)
    assert not part.exists()


def test_projects_do_not_see_each_other(store: Store) -> None:
    row = files.add_file(store, "p", "a", "batch", b"x")
    assert files.get_file(store, "q", row.id) is None
    assert files.list_files(store, "q").rows == []
    assert files.delete_file(store, "q", row.id) is False
    assert files.get_file(store, "p", row.id) == row


def test_pages_in_both_directions(store: Store) -> None:
    made = [files.add_file(store, "p", str(i), "batch", b"x") for i in range(5)]
    newest = files.list_files(store, "p", limit=2)
    assert (newest.rows, newest.has_more) == (made[:2:-1], True)
    rest = files.list_files(store, "p", limit=3, after=newest.rows[-1].id)
    assert (rest.rows, rest.has_more) == (made[2::-1], False)
    oldest = files.list_files(store, "p", limit=5, newest_first=False)
    assert (oldest.rows, oldest.has_more) == (made, False)


def test_a_list_can_be_walked_while_its_files_are_deleted(store: Store) -> None:
    made = [files.add_file(store, "p", str(i), "batch", b"x") for i in range(4)]
    first = files.list_files(store, "p", limit=2)
    for row in first.rows:
        files.delete_file(store, "p", row.id)
    assert files.list_files(store, "p", after=first.rows[-1].id).rows == made[1::-1]


def test_an_unknown_cursor_is_an_error(store: Store) -> None:
    other = files.add_file(store, "q", "a", "batch", b"x")
    for after in ("file-nothing", other.id):
        with pytest.raises(InvalidCursor):
            files.list_files(store, "p", after=after)


def test_purpose_narrows_the_list(store: Store) -> None:
    files.add_file(store, "p", "a", "batch", b"x")
    row = files.add_file(store, "p", "b", "fine-tune", b"x")
    assert files.list_files(store, "p", purpose="fine-tune").rows == [row]


def test_deleting_removes_the_content(store: Store) -> None:
    row = files.add_file(store, "p", "a", "batch", b"x")
    assert files.delete_file(store, "p", row.id) is True
    assert not files.file_path(store, row.id).exists()
    assert files.get_file(store, "p", row.id) is None
    assert files.delete_file(store, "p", row.id) is False


@pytest.mark.parametrize("role", ["training", "validation"])
def test_a_file_in_use_is_not_deleted(store: Store, role: str) -> None:
    row = files.add_file(store, "p", "a", "fine-tune", b"x")
    other = files.add_file(store, "p", "b", "fine-tune", b"x")
    new = new_job(row.id) if role == "training" else new_job(other.id, row.id)
    job = jobs.create_job(store, new)
    with pytest.raises(FileInUse) as caught:
        files.delete_file(store, "p", row.id)
    assert caught.value.job_id == job.id
    jobs.request_cancel(store, job.id)
    assert files.delete_file(store, "p", row.id) is True


def test_an_expired_file_is_gone(store: Store) -> None:
    row = files.add_file(store, "p", "a", "batch", b"x", expires_at=int(time.time()) - 1)
    kept = files.add_file(store, "p", "b", "batch", b"x", expires_at=int(time.time()) + 60)
    assert files.get_file(store, "p", row.id) is None
    assert files.list_files(store, "p").rows == [kept]
    files.sweep(store)
    assert not files.file_path(store, row.id).exists()
    assert files.file_path(store, kept.id).exists()


def test_an_expired_file_stays_while_a_job_needs_it(store: Store) -> None:
    row = files.add_file(store, "p", "a", "fine-tune", b"x", expires_at=int(time.time()) + 60)
    job = jobs.create_job(store, new_job(row.id))
    with store.write() as db:
        db.execute("UPDATE files SET expires_at = 1")
    files.sweep(store)
    assert files.file_path(store, row.id).exists()
    jobs.request_cancel(store, job.id)
    files.sweep(store)
    assert not files.file_path(store, row.id).exists()


def test_sweep_clears_what_a_crash_has_left(store: Store) -> None:
    row = files.add_file(store, "p", "a", "batch", b"x")
    files.part_path(store).write_bytes(b"half an upl")
    files.place_content(store, "file-without-a-row", b"x")
    files.sweep(store)
    assert [path.name for path in store.files_dir.iterdir()] == [row.id]
