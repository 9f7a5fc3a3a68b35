"""The store: opening a state, its database, keys, files, models, jobs and batches."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.store import batches, checkpoints, events, files, ids, jobs, keys, models, rows
from sandbox.store.batches import LineResult
from sandbox.store.database import Store
from sandbox.store.errors import (
    InUse,
    InvalidCursor,
    MissingFile,
    NotOurState,
    StateDamaged,
    StateError,
    StorageFull,
    StorageReadOnly,
)
from sandbox.store.sweep import sweep
from sandbox.store.tables import VERSION, BatchRow, FileRow, JobRow, ModelRow
from tests.support.rows import new_batch, new_job, new_model
from tests.support.server import ROOT

NUMBERS = {"n_epochs": 4, "batch_size": 8, "learning_rate_multiplier": 1.0}


def add(store: Store, project: str = "p", name: str = "a", **fields: object) -> FileRow:
    return files.add_file(store, project, name, "fine-tune", b"{}", **fields)


def create(store: Store, project: str = "p", model: str = "m", **fields: object) -> JobRow:
    file = add(store, project)
    fields = {"project": project, "model": model, "hyperparameters": {"n_epochs": "auto"}, **fields}
    return jobs.create_job(store, new_job(file.id, **fields))


def queued(store: Store, project: str = "p") -> JobRow:
    return jobs.mark_queued(store, create(store, project).id)


def running(store: Store, project: str = "p") -> JobRow:
    job = queued(store, project)
    return jobs.start(store, job.id, hyperparameters=NUMBERS, estimated_finish=9)


def read(store: Store, job: JobRow) -> JobRow:
    row = jobs.get_job(store, None, job.id)
    assert row is not None
    return row


def texts(store: Store, job: JobRow) -> list[str]:
    """A job's event texts, oldest first."""
    return [event.message for event in events.list_events(store, job.id, limit=99).rows[::-1]]


def finish(store: Store, job: JobRow) -> JobRow:
    model = new_model("ft:m:p::aaaaaaaa", job, step=8)
    given = {"metrics": {"train_loss": 0.5}, "trained_tokens": 1234}
    return jobs.finish_succeeded(store, job.id, model=model, result_csv="step\n8\n", **given)


def make_model(store: Store, job: JobRow) -> ModelRow:
    (store.models_dir / f"{job.id}-4").mkdir()
    with store.write() as db:
        return models.insert_model(db, new_model("ft:m:p::abc", job, adapter="adapter"))


def make_batch(store: Store, project: str = "p", **fields: object) -> BatchRow:
    new = new_batch(add(store, project).id, project=project, **fields)
    return batches.create_batch(store, new)


def running_batch(store: Store, total: int = 4) -> BatchRow:
    return batches.start(store, make_batch(store).id, total, "m")


def execute(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.executescript(statement)


def content_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


# Opening a state.


def test_processes_may_race_to_make_a_state(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sandbox.store import keys, files\n"
        "from sandbox.store.database import Store\n"
        "with Store(Path(sys.argv[1])) as store:\n"
        "    keys.create_key(store, 'p', ''); files.add_file(store, 'p', 'a', 'batch', b'x')"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "state")]
    racers = [subprocess.Popen(command, cwd=ROOT) for _ in range(6)]
    assert [racer.wait(300) for racer in racers] == [0] * 6
    with Store(tmp_path / "state") as store:
        assert (len(keys.list_keys(store)), len(files.list_files(store, "p").rows)) == (6, 6)
    made = {path.name for path in (tmp_path / "state").iterdir()}
    assert made == {"sandbox.db", "files", "jobs", "models"}


def test_opening_again_keeps_the_content(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        row = add(store)
    with Store(tmp_path) as store:
        assert files.get_file(store, "p", row.id) == row
    with pytest.raises(sqlite3.ProgrammingError, match="closed"), store.read():
        pass


def foreign(state: Path) -> None:
    execute(state / "sandbox.db", "CREATE TABLE notes (text); INSERT INTO notes VALUES ('dear')")


def marked_by_others(state: Path) -> None:
    Store(state).close()
    execute(state / "sandbox.db", "PRAGMA application_id=77")


def emptied(state: Path) -> None:
    Store(state).close()
    (state / "sandbox.db").write_bytes(b"")


def without_database(state: Path) -> None:
    (state / "models/mine").mkdir(parents=True)
    (state / "models/mine/weights").write_bytes(b"precious")


def from_the_future(state: Path) -> None:
    Store(state).close()
    execute(state / "sandbox.db", f"PRAGMA user_version={VERSION + 1}")


def no_database(state: Path) -> None:
    (state / "sandbox.db").write_text("my notes, not a database at all\n" * 99)


def with_a_bad_page(state: Path) -> None:
    with Store(state) as store:
        for _ in range(50):
            add(store, name="x" * 200)
    with (state / "sandbox.db").open("r+b") as file:
        file.seek(-3 * 4096, os.SEEK_END)
        file.write(b"\xff" * 3 * 4096)


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        (foreign, NotOurState, "is not a database of the sandbox"),
        (marked_by_others, NotOurState, "is not a database of the sandbox"),
        (emptied, NotOurState, "is empty"),
        (without_database, NotOurState, "has content, but .*sandbox.db is missing"),
        (from_the_future, NotOurState, "newer version"),
        (no_database, StateDamaged, "is damaged .file is not a database"),
        (with_a_bad_page, StateDamaged, "is damaged .*put back a copy"),
    ],
)
def test_a_state_that_is_not_good_is_refused_and_left_as_it_is(
    tmp_path: Path, spoil: Callable[[Path], None], kind: type[Exception], message: str
) -> None:
    spoil(tmp_path)
    before = content_of(tmp_path)
    with pytest.raises(kind, match=re.compile(message, re.IGNORECASE)) as caught:
        Store(tmp_path)
    assert "--state" in str(caught.value)
    after = content_of(tmp_path)
    assert {name: data for name, data in after.items() if "-shm" not in name} == before


def test_a_page_that_goes_bad_later_is_told(store: Store) -> None:
    add(store)
    store.close()
    # The read keeps the connection that has the pages in memory: the others are new.
    with Store(store.state_dir) as again, again.read():
        size = store.path.stat().st_size
        with store.path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        for act in (add, lambda store: files.list_files(store, "p")):
            with pytest.raises(StateDamaged, match="sandbox.db is damaged"):
                act(again)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere: such a test goes on as somebody else."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_read_only_state_is_told() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        state = Path(folder) / "state"
        Store(state).close()
        for path, mode in ((state, 0o555), (state / "sandbox.db", 0o444)):
            path.chmod(mode)
        with as_nobody(), pytest.raises(StorageReadOnly, match="may not write to .*state"):
            Store(state)
        with as_nobody(), pytest.raises(StorageReadOnly, match="--state"):
            Store(Path(folder) / "new")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("old", [True, False])
def test_a_state_is_closed_to_others(tmp_path: Path, old: bool) -> None:
    state, part = tmp_path / "state", tmp_path / "part"
    Store(state).close()
    if old:  # as the first edition may have left it
        for path, mode in ((state, 0o755), (state / "files", 0o755), (state / "sandbox.db", 0o644)):
            path.chmod(mode)
    with Store(state) as store:
        part.write_text("uploaded")
        rows = [add(store), files.add_file(store, "p", "b", "batch", part)]
        private = [store.path, *(files.file_path(store, row.id) for row in rows)]
        private += state.glob("sandbox.db-*")
        assert len(private) == 5
        assert {oct(path.stat().st_mode & 0o777) for path in private} == {"0o600"}
        folders = [state, store.files_dir, store.jobs_dir, store.models_dir]
        assert {oct(path.stat().st_mode & 0o777) for path in folders} == {"0o700"}


def test_a_clock_that_went_back_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Store(tmp_path) as store:
        add(store)
        Store(tmp_path).close()
        assert not caplog.records
        with store.write() as db:
            db.execute("UPDATE files SET created_at = created_at + 86400")
    Store(tmp_path).close()
    assert "Set the clock" in caplog.text


def test_a_database_of_the_first_edition_is_adopted(tmp_path: Path) -> None:
    execute(tmp_path / "sandbox.db", (ROOT / "tests/data/state_0_1.sql").read_text())
    (tmp_path / "files").mkdir()
    (tmp_path / "files/notes.txt").touch()
    with Store(tmp_path) as store:
        done, going = jobs.list_jobs(store, "learner").rows[::-1]
        assert (done.status, done.crashes, done.turn) == ("succeeded", 0, None)
        assert (going.status, going.fault["steps"]) == ("running", 3)
        assert len(events.list_events(store, done.id).rows) == 9
        assert checkpoints.list_checkpoints(store, done.id).rows[0].model == done.fine_tuned_model
        assert [model.adapter for model in models.list_models(store, "learner")] == [None, None]
        assert batches.list_unfinished(store)[0].completed == 1
        assert jobs.next_job(store, []).id == going.id
    with Store(tmp_path) as store:
        assert len(files.list_files(store, "learner").rows) == 3


# Transactions.


def test_a_failed_block_leaves_nothing_and_the_store_goes_on(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as db:
        rows.insert(db, FileRow(project="p", filename="a", purpose="batch", bytes=3))
        _ = 1 / 0
    with pytest.raises(sqlite3.OperationalError), store.write() as db:
        db.execute("SELECT * FROM nothing")
    assert files.list_files(store, "p").rows == []
    assert add(store).bytes == 2


def test_a_reader_sees_one_moment(store: Store) -> None:
    with store.read() as db:
        assert db.execute("SELECT COUNT(*) FROM files").fetchone()[0] == 0
        add(store)
        assert db.execute("SELECT COUNT(*) FROM files").fetchone()[0] == 0
    assert len(files.list_files(store, "p").rows) == 1


def test_many_threads_lose_no_row(store: Store) -> None:
    threads = [threading.Thread(target=lambda: [add(store) for _ in range(10)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(files.list_files(store, "p").rows) == 80


def test_a_full_disk_is_told_and_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = add(store)
    with store.write() as db:  # the connection is used again
        [pages] = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageFull, match="Free some disk space"):
        for _ in range(200):
            kept = add(store, name="x" * 200)
    assert kept.id in {row.id for row in files.list_files(store, "p").rows}
    assert len(list(store.files_dir.iterdir())) == len(files.list_files(store, "p").rows)
    if os.path.exists("/dev/full"):
        part = tmp_path / "part"
        part.symlink_to("/dev/full")
        monkeypatch.setattr(files, "part_path", lambda _: part)
        with pytest.raises(StorageFull, match=str(store.files_dir)):
            add(store)
        assert not part.is_symlink()


# Keys.


def test_a_key_is_found_by_its_secret_only(store: Store) -> None:
    row, secret = keys.create_key(store, "class-3", "Ada's laptop")
    assert re.fullmatch(r"sk-sandbox-[A-Za-z0-9]{40}", secret) and row.last4 == secret[-4:]
    assert keys.find_key(store, secret) == row
    assert keys.find_key(store, secret[:-1]) is keys.find_key(store, "\ud800") is None
    assert keys.revoke_key(store, row.id) is True
    assert keys.find_key(store, secret) is None
    assert keys.revoke_key(store, row.id) is False
    assert keys.list_keys(store)[0].revoked_at is not None
    store.close()
    assert not [data for data in content_of(store.state_dir).values() if secret.encode() in data]


@pytest.mark.parametrize("project", ["", "Class", "a b", "x" * 33, "a:b", "p\n"])
def test_a_bad_project_name_is_refused(store: Store, project: str) -> None:
    with pytest.raises(ValueError, match="project name"):
        keys.create_key(store, project, "")


# Files.


def test_bytes_and_a_path_are_kept_for_their_project(store: Store) -> None:
    part = files.part_path(store)
    part.write_bytes(b"from a path")
    row = files.add_file(store, "p", "a.jsonl", "batch", part)
    assert files.file_path(store, row.id).read_bytes() == b"from a path"
    assert row.bytes == 11 and not part.exists()
    assert files.file_path(store, add(store).id).read_bytes() == b"{}"
    assert files.list_files(store, "p", purpose="batch").rows == [row]
    assert files.get_file(store, "q", row.id) is None
    assert files.delete_file(store, "q", row.id) is False
    assert files.delete_file(store, "p", row.id) is True
    assert not files.file_path(store, row.id).exists()
    assert files.get_file(store, "p", row.id) is None
    assert files.delete_file(store, "p", row.id) is False


def test_a_file_in_use_is_not_deleted(store: Store) -> None:
    job = create(store, validation_file=add(store).id)
    batch = running_batch(store)
    used = ((job.training_file, job), (job.validation_file, job), (batch.input_file, batch))
    for file_id, user in used:
        with pytest.raises(InUse) as caught:
            files.delete_file(store, "p", file_id)
        assert caught.value.user == user.id
    jobs.request_cancel(store, job.id)
    batches.finish(store, batch.id, "completed")
    assert all(files.delete_file(store, "p", file_id) for file_id, _ in used)


def test_an_expired_file_is_gone_but_its_content_stays_while_it_is_needed(store: Store) -> None:
    soon = int(time.time()) + 3600
    row, kept, of_job, of_batch = [add(store, expires_at=soon) for _ in range(4)]
    job = jobs.create_job(store, new_job(of_job.id, project="p"))
    batch = batches.create_batch(store, new_batch(of_batch.id, project="p"))
    with store.write() as db:
        db.execute("UPDATE files SET expires_at = 1 WHERE id != ?", (kept.id,))
    assert files.get_file(store, "p", row.id) is None
    assert files.list_files(store, "p").rows == [kept]
    sweep(store)
    assert {path.name for path in store.files_dir.iterdir()} == {kept.id, of_job.id, of_batch.id}
    jobs.request_cancel(store, job.id)
    batches.fail(store, batch.id, [])
    sweep(store)
    assert {path.name for path in store.files_dir.iterdir()} == {kept.id}


def test_sweeping_removes_what_a_crash_has_left_and_nothing_that_is_not_ours(store: Store) -> None:
    row, live, ended = add(store), queued(store), finish(store, running(store))
    model = make_model(store, live)
    folders = (store.files_dir, store.jobs_dir, store.models_dir)
    for folder in folders:
        (folder / "not-ours").mkdir()
        (folder / "notes.txt").touch()
    for path in (files.part_path(store), files.file_path(store, ids.file_id())):
        path.touch()
    for name in (live.id, ended.id, ids.job_id()):
        (store.jobs_dir / name).mkdir()
    for name in (f"{live.id}-5", f"{live.id}-4.part", f"{ids.job_id()}-4.old"):
        (store.models_dir / name).mkdir()
    sweep(store)
    left = [{p.name for p in f.iterdir()} - {"not-ours", "notes.txt"} for f in folders]
    known = {file.id for file in files.list_files(store, "p").rows}
    assert row.id in known and left == [known, {live.id}, {model.path}]
    assert all((folder / "not-ours").exists() for folder in folders)


# Lists.


@pytest.mark.parametrize(
    ("make", "rows_of"),
    [
        (add, files.list_files),
        (create, jobs.list_jobs),
        (make_batch, batches.list_batches),
    ],
)
def test_pages(store: Store, make: Callable, rows_of: Callable) -> None:
    made = [make(store) for _ in range(5)]
    other = make(store, "q")
    first = rows_of(store, "p", limit=2)
    assert (first.rows, first.has_more) == (made[:2:-1], True)
    late = make(store)  # comes after the page that was read
    rest = rows_of(store, "p", limit=3, after=first.rows[-1].id)
    assert (rest.rows, rest.has_more) == (made[2::-1], False)
    assert rows_of(store, "p", limit=1).rows == [late]
    for after in ("nothing", other.id, "\x00", "%"):
        with pytest.raises(InvalidCursor):
            rows_of(store, "p", after=after)


def test_a_list_can_be_paged_through_while_its_files_are_deleted(store: Store) -> None:
    made = [add(store) for _ in range(4)]
    oldest = files.list_files(store, "p", limit=4, newest_first=False)
    assert (oldest.rows, oldest.has_more) == (made, False)
    first = files.list_files(store, "p", limit=2)
    for row in first.rows:
        files.delete_file(store, "p", row.id)
    assert files.list_files(store, "p", after=first.rows[-1].id).rows == made[1::-1]


def test_jobs_by_metadata(store: Store) -> None:
    plain = create(store)
    one = create(store, metadata={"course": "heroes", "format": "chat"})
    two = create(store, metadata={"course": "heroes", 'a "key"': "\ud800\x00é"})

    def found(metadata: dict[str, str]) -> list[str]:
        return [row.id for row in jobs.list_jobs(store, "p", metadata=metadata).rows]

    assert found({"course": "heroes"}) == [two.id, one.id]
    assert found({"course": "heroes", "format": "chat"}) == [one.id]
    assert found({'a "key"': "\ud800\x00é"}) == [two.id]
    assert found({"course": "chat"}) == found({str(i): "x" for i in range(5000)}) == []
    assert found({}) == [plain.id]


# Models.


def test_models_belong_to_their_project(store: Store) -> None:
    job = queued(store)
    row = make_model(store, job)
    assert models.get_model(store, "p", row.name) == row and row.adapter == "adapter"
    assert models.get_model(store, "q", row.name) is None
    assert models.list_models(store, "q") == []
    assert models.list_models(store, "p") == models.list_models_of_job(store, job.id) == [row]
    with store.write() as db:
        assert models.insert_model(db, new_model(row.name, job, path="elsewhere")) == row
    user = create(store, model=row.name)
    with pytest.raises(InUse):
        models.delete_model(store, "p", row.name)
    jobs.request_cancel(store, user.id)
    assert models.delete_model(store, "q", row.name) is False
    assert models.delete_model(store, "p", row.name) is True
    assert not models.model_path(store, row).exists()
    assert models.delete_model(store, "p", row.name) is False


def test_names_have_the_hosted_shape() -> None:
    name = ids.tuned_model_name("superhero-mini", "learner", "Super Hero_1")
    assert re.fullmatch(r"ft:superhero-mini:learner:super-hero-1:[A-Za-z0-9]{8}", name)
    assert ids.tuned_model_name("b", "p", None).startswith("ft:b:p::")
    checkpoint = ids.checkpoint_model_name("b", "p", "s", 37)
    assert re.fullmatch(r"ft:b:p:s:[A-Za-z0-9]{8}:ckpt-step-37", checkpoint)


# Jobs.


def test_a_job_from_its_creation_to_its_model(store: Store) -> None:
    job = create(store, validation_file=add(store).id)
    assert (job.status, job.hyperparameters) == ("validating_files", {"n_epochs": "auto"})
    assert jobs.mark_queued(store, job.id).status == "queued"
    assert jobs.next_job(store, []).id == job.id
    for estimate in (None, 9):
        numbers = {"hyperparameters": NUMBERS, "estimated_finish": estimate}
        job = jobs.start(store, job.id, **numbers)
    assert (job.status, job.hyperparameters, job.estimated_finish) == ("running", NUMBERS, 9)
    assert events.append_metrics(store, job.id, 1, "Step 1/8", {"train_loss": 1.0}) is True
    assert events.append_metrics(store, job.id, 1, "Step 1/8", {"train_loss": 2.0}) is False
    job = finish(store, job)
    assert (job.status, job.fine_tuned_model, job.trained_tokens) == (
        "succeeded",
        "ft:m:p::aaaaaaaa",
        1234,
    )
    assert job.finished_at is not None and job.estimated_finish is None
    assert texts(store, job) == [
        f"Created fine-tuning job: {job.id}",
        f"Validating training file: {job.training_file} and validation file: {job.validation_file}",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
        "Step 1/8",
        "New fine-tuned model created: ft:m:p::aaaaaaaa",
        "The job has successfully completed",
    ]
    assert [row.data for row in events.list_metrics(store, job.id)] == [{"train_loss": 1.0}]
    assert models.get_model(store, "p", "ft:m:p::aaaaaaaa") is not None
    last = checkpoints.list_checkpoints(store, job.id).rows[0]
    assert (last.step, last.model, last.metrics) == (8, job.fine_tuned_model, {"train_loss": 0.5})
    result = files.get_file(store, "p", job.result_files[0])
    assert result is not None and result.purpose == "fine-tune-results"
    assert base64.b64decode(files.file_path(store, result.id).read_bytes()) == b"step\n8\n"


def test_a_job_needs_its_files(store: Store) -> None:
    with pytest.raises(MissingFile):
        jobs.create_job(store, new_job("file-nothing"))
    with pytest.raises(MissingFile):
        create(store, validation_file=add(store, "q").id)
    assert jobs.list_jobs(store, "p").rows == []


@pytest.mark.parametrize("make", [create, queued, running])
def test_a_job_can_fail_on_its_way(store: Store, make: Callable[[Store], JobRow]) -> None:
    error = {"code": "c", "message": "Line 3 is bad", "param": "x"}
    job = jobs.finish_failed(store, make(store).id, **error)
    assert (job.status, job.error) == ("failed", error)
    last = events.list_events(store, job.id, limit=1).rows[0]
    assert (last.level, last.message, last.data) == ("error", "Line 3 is bad", error)
    assert jobs.mark_queued(store, job.id) == job


def test_projects_take_turns_whatever_the_clock_does(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = queued(store, "a"), queued(store, "a"), queued(store, "a")
    other = queued(store, "b")
    create(store)
    held: list[str] = []
    monkeypatch.setattr(time, "time", lambda: 4e9 if len(held) < 2 else 1e9)
    while job := jobs.next_job(store, held):
        held.append(job.id)
    assert held == [first.id, other.id, second.id, third.id]


def test_a_running_job_that_nobody_trains_comes_first_or_obeys(store: Store) -> None:
    job, paused = running(store), running(store)
    queued(store, "q")
    assert jobs.next_job(store, [paused.id]).id == job.id
    jobs.request_cancel(store, job.id)
    jobs.request_pause(store, paused.id)
    assert jobs.next_job(store, [job.id, paused.id]).project == "q"
    assert read(store, job).status == read(store, paused).status == "running"
    assert jobs.next_job(store, []).project == "q"
    assert (read(store, job).status, read(store, paused).status) == ("cancelled", "paused")


def test_cancel_and_pause_of_a_job_that_does_not_run(store: Store) -> None:
    assert jobs.request_cancel(store, create(store).id).status == "cancelled"
    checked = create(store)
    assert jobs.request_pause(store, checked.id).status == "validating_files"
    assert jobs.mark_queued(store, checked.id).status == "paused"
    for ask, status in ((jobs.request_cancel, "cancelled"), (jobs.request_pause, "paused")):
        job = queued(store)
        assert jobs.next_job(store, []).id == job.id
        assert ask(store, job.id).status == status
        assert texts(store, job)[-1] == f"The job has been {status}"
        with pytest.raises(StateError, match=status):  # the trainer that was about to train it
            jobs.start(store, job.id, hyperparameters=NUMBERS)


def test_a_running_job_obeys_when_its_trainer_stops(store: Store) -> None:
    job = running(store)
    assert jobs.request_pause(store, job.id).requested == "pause"
    assert jobs.resume_job(store, job.id).requested is None  # taken back
    jobs.request_pause(store, job.id)
    assert jobs.release(store, job.id).status == "paused"
    assert jobs.resume_job(store, job.id).status == "queued"
    assert texts(store, job)[-2:] == [
        "The job has been paused",
        "The job has been resumed, moving job to queued state",
    ]
    jobs.start(store, job.id, hyperparameters=NUMBERS)
    assert texts(store, job).count("Fine-tuning job started") == 1
    assert jobs.request_cancel(store, job.id).status == "running"
    with pytest.raises(StateError, match="being cancelled"):
        jobs.request_pause(store, job.id)
    done = jobs.release(store, job.id)
    assert (done.status, done.requested) == ("cancelled", None)


def test_what_makes_no_sense_is_refused(store: Store) -> None:
    done = finish(store, running(store))
    for act in (jobs.request_cancel, jobs.request_pause, jobs.resume_job):
        with pytest.raises(StateError, match="succeeded"):
            act(store, done.id)
        with pytest.raises(KeyError):
            act(store, "ftjob-nothing")
    with pytest.raises(StateError):
        jobs.resume_job(store, queued(store).id)
    paused = jobs.request_pause(store, queued(store).id)
    with pytest.raises(StateError):
        jobs.request_pause(store, paused.id)


def test_nothing_is_added_after_the_end(store: Store) -> None:
    job = running(store)
    jobs.request_cancel(store, job.id)
    assert jobs.release(store, job.id).status == "cancelled"
    before = texts(store, job)
    for act in (
        lambda: events.append_event(store, job.id, "late"),
        lambda: events.append_metrics(store, job.id, 9, "Step 9", {}),
        lambda: checkpoints.add_checkpoint(store, new_model("m", job, step=9), {}),
        lambda: jobs.start(store, job.id, hyperparameters=NUMBERS),
        lambda: finish(store, job),
    ):
        with pytest.raises(StateError, match="cancelled"):
            act()
    assert jobs.finish_failed(store, job.id, code="c", message="m").status == "cancelled"
    assert jobs.release(store, job.id).status == "cancelled"
    assert texts(store, job) == before
    assert models.list_models(store, "p") == []
    assert len(list(store.files_dir.iterdir())) == 1


def test_checkpoints_are_kept_once_and_end_the_counting_of_crashes(store: Store) -> None:
    job = running(store)
    assert [jobs.count_crash(store, job.id) for _ in range(3)] == [1, 2, 3]
    one = checkpoints.add_checkpoint(store, new_model("first-name", job), {"train_loss": 1.0})
    assert jobs.count_crash(store, job.id) == 1
    assert checkpoints.add_checkpoint(store, new_model("second-name", job), {}) == one
    two = checkpoints.add_checkpoint(store, new_model("third-name", job, step=8), {})
    assert checkpoints.list_checkpoints(store, job.id).rows == [two, one]
    first, third = models.list_models(store, "p")
    assert (first.name, third.name) == ("first-name", "third-name")
    models.model_path(store, first).mkdir()
    checkpoints.drop_checkpoint(store, first)
    assert checkpoints.list_checkpoints(store, job.id).rows == [two]
    assert models.list_models(store, "p") == [third]
    assert not models.model_path(store, first).exists()
    assert texts(store, job)[-2:] == [
        "Checkpoint created at step 4 with Snapshot ID: first-name",
        "Checkpoint created at step 8 with Snapshot ID: third-name",
    ]
    jobs.count_crash(store, job.id)
    jobs.reset_crashes(store, job.id)
    assert read(store, job).crashes == 0


# Batches.


def test_a_batch_and_its_file(store: Store) -> None:
    row = make_batch(store, metadata={"a": "b"}, output_seconds=3600)
    assert batches.get_batch(store, "p", row.id) == row
    assert batches.get_batch(store, "q", row.id) is None
    assert (row.status, row.metadata, row.output_seconds) == ("validating", {"a": "b"}, 3600)
    assert row.expires_at == row.created_at + 24 * 3600
    assert batches.list_unfinished(store) == [row]
    for file_id in (add(store, "q").id, "file-nothing"):
        with pytest.raises(MissingFile):
            batches.create_batch(store, new_batch(file_id, project="p"))


def test_answers_become_files_in_the_order_of_the_lines(store: Store) -> None:
    row = running_batch(store)
    for line, ok in ((3, True), (1, True), (4, False), (2, True), (2, False)):
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


def test_no_answer_comes_too_late(store: Store) -> None:
    row = running_batch(store)
    assert batches.request_cancel(store, row.id).status == "cancelling"
    batches.add_result(store, row.id, LineResult(1, True, "late"))
    row = batches.finish(store, row.id, "cancelled")
    batches.add_result(store, row.id, LineResult(2, True, "later"))
    assert (row.completed, row.output_file, row.error_file) == (0, None, None)
    assert batches.get_batch(store, "p", row.id) == row
    assert batches.answered_lines(store, row.id) == set()


def test_only_a_batch_at_work_can_be_cancelled(store: Store) -> None:
    waiting, row = make_batch(store), running_batch(store)
    assert batches.request_cancel(store, waiting.id).cancelling_at
    assert batches.request_cancel(store, waiting.id).status == "cancelling"  # asked twice
    # What was asked for stays, whatever the validation finds.
    assert batches.start(store, waiting.id, 3, "m").status == "cancelling"
    batches.mark_finalizing(store, row.id)
    with pytest.raises(StateError, match="is finalizing; it cannot be cancelled"):
        batches.request_cancel(store, row.id)


def test_a_bad_file_fails_the_batch(store: Store) -> None:
    error = {"code": "invalid_json_line", "line": 2, "message": "…", "param": None}
    row = batches.fail(store, make_batch(store).id, [error])
    assert (row.status, row.errors) == ("failed", [error]) and row.failed_at
    ended = batches.finish(store, running_batch(store).id, "completed")
    assert batches.fail(store, ended.id, [error]) == ended
