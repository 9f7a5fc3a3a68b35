"""A job's life in the store: states, events, leases, the fair queue."""

import base64
import time

import pytest

from sandbox.store import (
    JobStateError,
    LeaseLost,
    MissingFile,
    Store,
    checkpoints,
    events,
    files,
    jobs,
    models,
)
from sandbox.store.jobs import JobRow, NewJob
from sandbox.store.models import NewModel

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
    for name in (live.id, done.id, "ftjob-unknown"):
        (store.jobs_dir / name).mkdir()
    jobs.sweep(store)
    assert [path.name for path in store.jobs_dir.iterdir()] == [live.id]
