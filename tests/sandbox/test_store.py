"""The store: its database, keys, files, models, jobs and batches."""

import base64
import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox.store import (
    BatchStateError,
    FileInUse,
    InvalidCursor,
    JobStateError,
    LeaseLost,
    MissingFile,
    ModelInUse,
    SchemaTooNew,
    Store,
    batches,
    checkpoints,
    events,
    files,
    ids,
    jobs,
    keys,
    models,
)
from sandbox.store.batches import LineResult, NewBatch
from sandbox.store.jobs import JobRow, NewJob
from sandbox.store.lock import StateLock, StateLocked
from sandbox.store.models import NewModel
from sandbox.store.schema import FIRST, MIGRATIONS
from tests.support.server import ROOT


def test_a_failed_block_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as db:
        files.insert_file(db, "file-1", "p", "a.jsonl", "fine-tune", 3)
        _ = 1 / 0
    assert files.list_files(store, "p").rows == []


def test_the_store_goes_on_after_a_failed_statement(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError), store.write() as db:
        db.execute("SELECT * FROM nothing")
    assert files.add_file(store, "p", "a", "batch", b"x").bytes == 1


def test_a_reader_sees_one_moment(store: Store) -> None:
    with store.read() as db:
        before = db.execute("SELECT COUNT(*) FROM files").fetchone()[0]
        files.add_file(store, "p", "a", "batch", b"x")
        assert db.execute("SELECT COUNT(*) FROM files").fetchone()[0] == before
    assert len(files.list_files(store, "p").rows) == before + 1


def test_many_threads_lose_no_row(store: Store) -> None:
    def add() -> None:
        for _ in range(10):
            files.add_file(store, "p", "a", "batch", b"x")

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(files.list_files(store, "p").rows) == 80


def test_processes_may_race_to_make_the_schema(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sandbox.store import Store, keys\n"
        "with Store(Path(sys.argv[1])) as store: keys.create_key(store, 'p', '')"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "state")], cwd=ROOT)
        for _ in range(6)
    ]
    assert [racer.wait(60) for racer in racers] == [0] * 6
    with Store(tmp_path / "state") as store:
        assert len(keys.list_keys(store)) == 6


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path) as store, store.write() as db:
        db.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    with pytest.raises(SchemaTooNew, match="newer version"):
        Store(tmp_path)


def test_opening_again_keeps_the_content(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        row = files.add_file(store, "p", "a", "batch", b"x")
    with Store(tmp_path) as store:
        assert files.get_file(store, "p", row.id) == row


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"), store.read():
        pass


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    with pytest.raises(StateLocked):
        StateLock(tmp_path)
    lock.release()
    StateLock(tmp_path).release()


@pytest.fixture
def job_id(store: Store) -> str:
    row = files.add_file(store, "p", "a", "fine-tune", b"x")
    return jobs.create_job(store, NewJob("p", "m", row.id, 1, {}, {})).id


def make_model(store: Store, job_id: str, name: str = "ft:m:p::abc") -> models.ModelRow:
    (store.models_dir / name[-3:]).mkdir()
    return models.add_model(store, NewModel(name, "p", "m", job_id, name[-3:], "chat", 4))


def test_a_key_is_found_by_its_secret_only(store: Store) -> None:
    row, secret = keys.create_key(store, "class-3", "Ada's laptop")
    assert re.fullmatch(r"sk-sandbox-[A-Za-z0-9]{40}", secret)
    assert keys.find_key(store, secret) == row
    assert keys.find_key(store, secret[:-1]) is None
    assert keys.find_key(store, "") is None
    assert row.last4 == secret[-4:]


def test_the_database_does_not_hold_the_secret(store: Store) -> None:
    _, secret = keys.create_key(store, "p", "")
    store.close()
    for path in store.state_dir.glob("sandbox.db*"):
        assert secret.encode() not in path.read_bytes()


def test_a_revoked_key_is_useless(store: Store) -> None:
    row, secret = keys.create_key(store, "p", "")
    assert keys.revoke_key(store, row.id) is True
    assert keys.find_key(store, secret) is None
    assert keys.revoke_key(store, row.id) is False
    assert keys.list_keys(store)[0].revoked_at is not None


@pytest.mark.parametrize("project", ["", "Class", "a b", "x" * 33, "a:b", "p\n"])
def test_a_bad_project_name_is_refused(store: Store, project: str) -> None:
    with pytest.raises(ValueError, match="project name"):
        keys.create_key(store, project, "")


def test_models_belong_to_their_project(store: Store, job_id: str) -> None:
    row = make_model(store, job_id)
    assert models.get_model(store, "p", row.name) == row
    assert models.get_model(store, "q", row.name) is None
    assert models.list_models(store, "q") == []
    assert models.delete_model(store, "q", row.name) is False
    assert models.list_models(store, "p") == models.list_models_of_job(store, job_id) == [row]


def test_recording_a_model_again_changes_nothing(store: Store, job_id: str) -> None:
    row = make_model(store, job_id)
    again = models.add_model(store, NewModel(row.name, "p", "m", job_id, "elsewhere", "chat", 9))
    assert again == row


def test_deleting_removes_the_folder(store: Store, job_id: str) -> None:
    row = make_model(store, job_id)
    assert models.delete_model(store, "p", row.name) is True
    assert not models.model_path(store, row).exists()
    assert models.delete_model(store, "p", row.name) is False


def test_a_model_that_is_tuned_further_is_not_deleted(store: Store, job_id: str) -> None:
    row = make_model(store, job_id)
    file = files.add_file(store, "p", "a", "fine-tune", b"x")
    job = jobs.create_job(store, NewJob("p", row.name, file.id, 1, {}, {}))
    with pytest.raises(ModelInUse):
        models.delete_model(store, "p", row.name)
    jobs.request_cancel(store, job.id)
    assert models.delete_model(store, "p", row.name) is True


def test_sweep_keeps_recorded_folders_only(store: Store, job_id: str) -> None:
    row = make_model(store, job_id)
    for name in (f"{job_id}-4", f"{job_id}-4.part", "not-ours"):
        (store.models_dir / name).mkdir()
    models.sweep(store)
    assert {path.name for path in store.models_dir.iterdir()} == {row.path, "not-ours"}


def test_names_have_the_hosted_shape() -> None:
    name = ids.tuned_model_name("superhero-mini", "learner", "Super Hero_1")
    assert re.fullmatch(r"ft:superhero-mini:learner:super-hero-1:[A-Za-z0-9]{8}", name)
    assert ids.tuned_model_name("b", "p", None).startswith("ft:b:p::")
    checkpoint = ids.checkpoint_model_name("b", "p", "s", 37)
    assert re.fullmatch(r"ft:b:p:s:[A-Za-z0-9]{8}:ckpt-step-37", checkpoint)


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
    files.file_path(store, ids.file_id()).write_bytes(b"without a row")
    (store.files_dir / "not-ours.txt").write_text("x")
    (store.files_dir / "folder").mkdir()
    files.sweep(store)
    kept = {path.name for path in store.files_dir.iterdir()}
    assert kept == {row.id, "not-ours.txt", "folder"}


NUMBERS = {"n_epochs": 4, "batch_size": 8, "learning_rate_multiplier": 1.0}


def create(store: Store, project: str = "p", **fields: object) -> JobRow:
    file = files.add_file(store, project, "a.jsonl", "fine-tune", b"{}")
    new = NewJob(project, "m", file.id, 1, {"type": "supervised"}, {"n_epochs": "auto"}, **fields)
    return jobs.create_job(store, new)


def queued(store: Store, project: str = "p") -> JobRow:
    return jobs.mark_queued(store, create(store, project).id)


def running(store: Store, owner: str = "trainer", seconds: float = 60) -> JobRow:
    queued(store)
    job = jobs.claim_next_job(store, owner, seconds)
    assert job is not None
    return jobs.mark_running(store, job.id, owner, hyperparameters=NUMBERS, estimated_finish=9)


def texts(store: Store, job: JobRow) -> list[str]:
    """Return a job's event texts, oldest first."""
    return [event.message for event in events.list_events(store, job.id, limit=99).rows[::-1]]


def finish(store: Store, job: JobRow, owner: str = "trainer") -> JobRow:
    model = NewModel("ft:m:p::aaaaaaaa", "p", "m", job.id, "aaaaaaaa", "chat", 8)
    return jobs.finish_succeeded(
        store,
        job.id,
        owner,
        model=model,
        metrics={"train_loss": 0.5},
        trained_tokens=1234,
        result_csv="step,train_loss\n8,0.5\n",
    )


def test_the_whole_good_life(store: Store) -> None:
    job = create(store)
    assert (job.status, job.hyperparameters, job.fine_tuned_model) == (
        "validating_files",
        {"n_epochs": "auto"},
        None,
    )
    assert jobs.mark_queued(store, job.id).status == "queued"
    claimed = jobs.claim_next_job(store, "trainer", 60)
    assert claimed is not None and (claimed.id, claimed.attempt) == (job.id, 1)
    job = jobs.mark_running(store, job.id, "trainer", hyperparameters=NUMBERS, estimated_finish=9)
    assert (job.status, job.hyperparameters, job.estimated_finish) == ("running", NUMBERS, 9)
    job = finish(store, job)
    assert (job.status, job.fine_tuned_model, job.trained_tokens) == (
        "succeeded",
        "ft:m:p::aaaaaaaa",
        1234,
    )
    assert job.finished_at is not None and job.estimated_finish is None
    assert texts(store, job) == [
        f"Created fine-tuning job: {job.id}",
        f"Validating training file: {job.training_file}",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
        "New fine-tuned model created: ft:m:p::aaaaaaaa",
        "The job has successfully completed",
    ]


def test_success_brings_model_checkpoint_and_result_file(store: Store) -> None:
    job = finish(store, running(store))
    assert models.get_model(store, "p", "ft:m:p::aaaaaaaa") is not None
    last = checkpoints.list_checkpoints(store, job.id).rows[0]
    assert (last.step, last.model, last.metrics) == (8, job.fine_tuned_model, {"train_loss": 0.5})
    result = files.get_file(store, "p", job.result_files[0])
    assert result is not None and result.purpose == "fine-tune-results"
    content = files.file_path(store, result.id).read_bytes()
    assert base64.b64decode(content) == b"step,train_loss\n8,0.5\n"


def test_a_validation_file_is_named_in_the_event(store: Store) -> None:
    file = files.add_file(store, "p", "v.jsonl", "fine-tune", b"{}")
    job = create(store, validation_file=file.id)
    text = f"Validating training file: {job.training_file} and validation file: {file.id}"
    assert texts(store, job)[1] == text


def test_a_job_needs_its_files(store: Store) -> None:
    with pytest.raises(MissingFile):
        jobs.create_job(store, NewJob("p", "m", "file-nothing", 1, {}, {}))
    assert jobs.list_jobs(store, "p").rows == []


def test_failed_validation(store: Store) -> None:
    job = create(store)
    job = jobs.finish_failed(store, job.id, code="c", message="Line 3 is bad", param="x")
    assert (job.status, job.error) == (
        "failed",
        {"code": "c", "message": "Line 3 is bad", "param": "x"},
    )
    last = events.list_events(store, job.id, limit=1).rows[0]
    assert (last.level, last.message) == ("error", "Line 3 is bad")
    assert jobs.mark_queued(store, job.id).status == "failed"


def test_a_trainer_can_fail_its_job(store: Store) -> None:
    job = running(store)
    assert jobs.finish_failed(store, job.id, code="c", message="m", owner="trainer").status == (
        "failed"
    )


def test_projects_take_turns(store: Store) -> None:
    first, second, third = queued(store, "a"), queued(store, "a"), queued(store, "a")
    other = queued(store, "b")
    order = []
    while job := jobs.claim_next_job(store, "trainer", 60):
        order.append(job.id)
    assert order == [first.id, other.id, second.id, third.id]


def test_only_queued_jobs_are_claimed(store: Store) -> None:
    create(store)
    jobs.request_cancel(store, queued(store).id)
    jobs.request_pause(store, queued(store).id)
    assert jobs.claim_next_job(store, "trainer", 60) is None


def test_a_leased_job_is_not_claimed_twice(store: Store) -> None:
    running(store)
    assert jobs.claim_next_job(store, "another", 60) is None


def test_an_expired_lease_is_taken_over_before_new_work(store: Store) -> None:
    job = running(store, seconds=0.05)
    queued(store)
    time.sleep(0.1)
    again = jobs.claim_next_job(store, "another", 60)
    assert again is not None and (again.id, again.attempt) == (job.id, 2)
    for act in (
        lambda: jobs.renew_lease(store, job.id, "trainer", 60),
        lambda: jobs.finish_cancelled(store, job.id, "trainer"),
        lambda: jobs.mark_paused(store, job.id, "trainer"),
        lambda: jobs.mark_running(store, job.id, "trainer", hyperparameters={}),
        lambda: jobs.finish_failed(store, job.id, code="c", message="m", owner="trainer"),
        lambda: finish(store, job),
    ):
        with pytest.raises(LeaseLost):
            act()
    assert models.list_models(store, "p") == []


def test_started_is_said_once(store: Store) -> None:
    job = running(store, seconds=0.05)
    time.sleep(0.1)
    jobs.claim_next_job(store, "another", 60)
    jobs.mark_running(store, job.id, "another", hyperparameters=NUMBERS)
    assert texts(store, job).count("Fine-tuning job started") == 1


def test_a_checkpoint_resets_the_attempts(store: Store) -> None:
    job = running(store, seconds=0)
    jobs.claim_next_job(store, "another", 60)
    checkpoints.add_checkpoint(store, job.id, 4, "ft:m:p::b:ckpt-step-4", {})
    again = jobs.get_job(store, "p", job.id)
    assert again is not None and again.attempt == 1


def test_renewing_keeps_the_job(store: Store) -> None:
    job = running(store, seconds=0.2)
    for _ in range(4):
        time.sleep(0.1)
        assert jobs.renew_lease(store, job.id, "trainer", 0.2) is None
    assert jobs.claim_next_job(store, "another", 60) is None


def test_cancel_at_once_when_nobody_works_on_it(store: Store) -> None:
    for job in (create(store), queued(store)):
        assert jobs.request_cancel(store, job.id).status == "cancelled"
        assert texts(store, job)[-1] == "The job has been cancelled"


def test_cancel_of_a_running_job_reaches_its_trainer(store: Store) -> None:
    job = running(store)
    assert jobs.request_cancel(store, job.id).status == "running"
    assert jobs.renew_lease(store, job.id, "trainer", 60) == "cancel"
    done = jobs.finish_cancelled(store, job.id, "trainer")
    assert (done.status, done.requested) == ("cancelled", None)
    with pytest.raises(LeaseLost):
        jobs.renew_lease(store, job.id, "trainer", 60)


def test_a_wish_whose_trainer_died_is_done_at_the_next_claim(store: Store) -> None:
    first, second = running(store, "one", 0.2), running(store, "two", 0.2)
    jobs.request_cancel(store, first.id)
    jobs.request_pause(store, second.id)
    time.sleep(0.3)
    assert jobs.claim_next_job(store, "three", 60) is None
    states = [row.status for row in jobs.list_jobs(store, "p").rows]
    assert states == ["paused", "cancelled"]


def test_releasing_leases_frees_the_jobs_at_once(store: Store) -> None:
    job = running(store)
    jobs.release_leases(store)
    again = jobs.claim_next_job(store, "another", 60)
    assert again is not None and again.id == job.id


def test_pause_and_resume(store: Store) -> None:
    job = running(store)
    jobs.request_pause(store, job.id)
    assert jobs.renew_lease(store, job.id, "trainer", 60) == "pause"
    assert jobs.mark_paused(store, job.id, "trainer").status == "paused"
    resumed = jobs.resume_job(store, job.id)
    assert (resumed.status, resumed.attempt) == ("queued", 0)
    assert texts(store, job)[-2:] == [
        "The job has been paused",
        "The job has been resumed, moving job to queued state",
    ]


def test_a_pause_can_be_taken_back(store: Store) -> None:
    job = running(store)
    jobs.request_pause(store, job.id)
    assert jobs.resume_job(store, job.id).status == "running"
    assert jobs.renew_lease(store, job.id, "trainer", 60) is None


def test_a_pause_during_validation_waits_for_its_end(store: Store) -> None:
    job = create(store)
    assert jobs.request_pause(store, job.id).status == "validating_files"
    assert jobs.mark_queued(store, job.id).status == "paused"


@pytest.mark.parametrize("act", [jobs.request_cancel, jobs.request_pause, jobs.resume_job])
def test_a_finished_job_takes_no_wishes(store: Store, act) -> None:
    job = finish(store, running(store))
    with pytest.raises(JobStateError, match="succeeded"):
        act(store, job.id)


def test_wishes_that_make_no_sense(store: Store) -> None:
    with pytest.raises(JobStateError):
        jobs.resume_job(store, queued(store).id)
    paused = jobs.request_pause(store, queued(store).id)
    with pytest.raises(JobStateError):
        jobs.request_pause(store, paused.id)


def test_metrics_of_a_step_are_kept_once(store: Store) -> None:
    job = running(store)
    assert events.append_metrics(store, job.id, 1, "Step 1/2", {"train_loss": 1.0}) is True
    assert events.append_metrics(store, job.id, 1, "Step 1/2", {"train_loss": 2.0}) is False
    assert events.append_metrics(store, job.id, 2, "Step 2/2", {"train_loss": 0.5}) is True
    losses = [row.data["train_loss"] for row in events.list_metrics(store, job.id)]
    assert losses == [1.0, 0.5]


def test_checkpoints_are_kept_once_and_can_be_dropped(store: Store) -> None:
    job = running(store)
    one = checkpoints.add_checkpoint(store, job.id, 4, "first-name", {"train_loss": 1.0})
    assert checkpoints.add_checkpoint(store, job.id, 4, "second-name", {}) == one
    two = checkpoints.add_checkpoint(store, job.id, 8, "third-name", {})
    assert checkpoints.list_checkpoints(store, job.id).rows == [two, one]
    checkpoints.drop_checkpoint(store, job.id, 4)
    assert checkpoints.list_checkpoints(store, job.id).rows == [two]
    assert texts(store, job)[-2:] == [
        "Checkpoint created at step 4 with Snapshot ID: first-name",
        "Checkpoint created at step 8 with Snapshot ID: third-name",
    ]


def test_lists_page_newest_first(store: Store) -> None:
    made = [create(store).id for _ in range(5)]
    create(store, "q")
    page = jobs.list_jobs(store, "p", limit=2)
    assert ([row.id for row in page.rows], page.has_more) == (made[:2:-1], True)
    rest = jobs.list_jobs(store, "p", limit=9, after=page.rows[-1].id)
    assert ([row.id for row in rest.rows], rest.has_more) == (made[2::-1], False)


def test_metadata_filter(store: Store) -> None:
    plain = create(store)
    one = create(store, metadata={"course": "superheroes", "format": "chat"})
    two = create(store, metadata={"course": "superheroes", "format": "completion"})

    def found(metadata: dict[str, str]) -> list[str]:
        return [row.id for row in jobs.list_jobs(store, "p", metadata=metadata).rows]

    assert found({"course": "superheroes"}) == [two.id, one.id]
    assert found({"course": "superheroes", "format": "chat"}) == [one.id]
    assert found({"course": "chat"}) == []
    assert found({}) == [plain.id]


def test_sweep_keeps_the_folders_of_unfinished_jobs(store: Store) -> None:
    live, done = queued(store), create(store)
    jobs.finish_failed(store, done.id, code="c", message="m")
    for name in (live.id, done.id, ids.job_id(), "not-ours"):
        (store.jobs_dir / name).mkdir()
    jobs.sweep(store)
    assert {path.name for path in store.jobs_dir.iterdir()} == {live.id, "not-ours"}


def make(store: Store, project: str = "p", **fields: object) -> batches.BatchRow:
    file = files.add_file(store, project, "b.jsonl", "batch", b"{}\n")
    return batches.create_batch(store, NewBatch(project, "/v1/completions", file.id, **fields))


def running_batch(store: Store, total: int = 4) -> batches.BatchRow:
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
    row = running_batch(store)
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
    row = running_batch(store)
    batches.add_result(store, row.id, LineResult(1, True, "first", 1, 1))
    batches.add_result(store, row.id, LineResult(1, False, "second", 1, 1))
    row = batches.finish(store, row.id, "expired")
    assert (row.completed, row.failed, row.input_tokens) == (1, 0, 1)
    assert files.file_path(store, row.output_file).read_text() == "first\n"
    assert row.error_file is None and row.expired_at


def test_no_answer_comes_too_late(store: Store) -> None:
    row = running_batch(store)
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
    monkeypatch.setattr(batches, "CHUNK", 3)
    row = running_batch(store)
    for line in range(1, 11):
        batches.add_result(store, row.id, LineResult(line, True, str(line)))
    row = batches.finish(store, row.id, "completed")
    output = files.file_path(store, row.output_file).read_text()
    assert output.split() == [str(line) for line in range(1, 11)]


def test_only_a_batch_at_work_can_be_cancelled(store: Store) -> None:
    waiting, row = make(store), running_batch(store)
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
    ended = batches.finish(store, running_batch(store).id, "completed")
    assert batches.fail(store, ended.id, [error]) == ended


def test_the_input_file_is_in_use_until_the_end(store: Store) -> None:
    row = running_batch(store)
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


def test_the_next_job_is_handed_out_fairly(store: Store) -> None:
    first, second, third = queued(store, "a"), queued(store, "a"), queued(store, "a")
    other = queued(store, "b")
    held: list[str] = []
    while job := jobs.next_job(store, held):
        held.append(job.id)
    assert held == [first.id, other.id, second.id, third.id]


def test_a_job_that_runs_and_is_held_by_nobody_comes_first(store: Store) -> None:
    job = queued(store)
    jobs.start(store, job.id, hyperparameters=NUMBERS)
    queued(store, "q")
    assert jobs.next_job(store, []).id == job.id
    jobs.request_cancel(store, job.id)
    assert jobs.next_job(store, [job.id]).project == "q"
    assert jobs.get_job(store, "p", job.id).status == "running"  # whoever holds it ends it
    assert jobs.next_job(store, []).project == "q"
    assert jobs.get_job(store, "p", job.id).status == "cancelled"


def test_who_was_about_to_train_a_job_hears_that_it_is_not_wanted(store: Store) -> None:
    for ask, status in ((jobs.request_cancel, "cancelled"), (jobs.request_pause, "paused")):
        job = queued(store)
        assert jobs.next_job(store, []).id == job.id
        assert ask(store, job.id).status == status
        with pytest.raises(JobStateError, match=status):
            jobs.start(store, job.id, hyperparameters=NUMBERS)


def test_crashes_count_until_the_job_gets_further(store: Store) -> None:
    job = queued(store)
    jobs.start(store, job.id, hyperparameters=NUMBERS)
    assert [jobs.count_crash(store, job.id) for _ in range(3)] == [1, 2, 3]
    checkpoints.add_checkpoint(store, job.id, 4, "m", {})
    assert jobs.count_crash(store, job.id) == 1
    jobs.reset_crashes(store, job.id)
    assert jobs.get_job(store, None, job.id).crashes == 0


def test_nothing_is_added_after_the_end(store: Store) -> None:
    job = queued(store)
    jobs.start(store, job.id, hyperparameters=NUMBERS)
    jobs.finish_cancelled(store, job.id)
    before = texts(store, job)
    for act in (
        lambda: events.append_event(store, job.id, "late"),
        lambda: events.append_metrics(store, job.id, 9, "Step 9", {}),
        lambda: checkpoints.add_checkpoint(store, job.id, 9, "m", {}),
        lambda: jobs.start(store, job.id, hyperparameters=NUMBERS),
        lambda: jobs.finish_cancelled(store, job.id),
        lambda: jobs.mark_paused(store, job.id),
        lambda: finish(store, job, None),
    ):
        with pytest.raises(JobStateError, match="cancelled"):
            act()
    assert jobs.finish_failed(store, job.id, code="c", message="m").status == "cancelled"
    assert texts(store, job) == before
    assert [f.purpose for f in files.list_files(store, "p").rows] == ["fine-tune"]


def test_a_database_of_the_first_edition_is_adopted(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "sandbox.db") as db:
        db.executescript((ROOT / "tests/data/state_0_1.sql").read_text())
    db.close()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "file-of-old").write_text("x")
    with Store(tmp_path) as store:
        done, going = jobs.list_jobs(store, "learner").rows[::-1]
        assert (done.status, done.crashes, done.turn) == ("succeeded", 0, 1)
        assert (going.status, going.turn) == ("running", 2)
        assert len(events.list_events(store, done.id).rows) == 9
        assert checkpoints.list_checkpoints(store, done.id).rows[0].model == done.fine_tuned_model
        assert [m.adapter for m in models.list_models(store, "learner")] == [None, None]
        assert batches.list_unfinished(store)[0].completed == 1
        assert jobs.next_job(store, []).id == going.id
    with Store(tmp_path) as store:
        assert len(files.list_files(store, "learner").rows) == 3
