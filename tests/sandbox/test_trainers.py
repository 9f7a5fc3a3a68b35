"""Trainers in processes of their own: side by side, killed, stopped, on a full disk, restarted.

A job whose server is killed or asleep is in test_kills.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from sandbox.__main__ import main
from sandbox.config import DEFAULT_BASE, usual_trainers
from sandbox.engine.parent import trainers as parent
from sandbox.engine.parent.process import RestartPolicy
from sandbox.engine.parent.trainers import Trainers
from sandbox.store import checkpoints, events, files, jobs, models
from sandbox.store.database import Store
from sandbox.store.tables import FINISHED, JobRow
from tests.support.inline_job import run_job, tiny_bases
from tests.support.rows import new_job

pytestmark = pytest.mark.slow

STEPS = 60
PATIENCE = 300.0  # seconds; a busy machine is slow


@pytest.fixture(scope="module")
def base(tiny: Path) -> Path:
    return tiny


@pytest.fixture(scope="module")
def expected(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of a job that nothing has disturbed."""
    with Store(tmp_path_factory.mktemp("undisturbed")) as store:
        job = submit(store)
        run_job(store, base)
        return weights(store, job)


def submit(store: Store, project: str = "learner", **more: Any) -> JobRow:
    """A job of ten epochs of six steps; all of them are alike."""
    lines = [
        json.dumps({"prompt": f"{i} ->", "completion": f" Hero {i} flies" + " on" * (i % 7) + "."})
        for i in range(24)
    ]
    row = files.add_file(store, project, "t.jsonl", "fine-tune", "\n".join(lines).encode())
    numbers = {"n_epochs": 10, "batch_size": 4}
    new = new_job(row.id, project=project, hyperparameters=numbers, **more)
    job = jobs.create_job(store, new)
    return jobs.mark_queued(store, job.id)


def read(store: Store, job: JobRow) -> JobRow:
    row = jobs.get_job(store, None, job.id)
    assert row is not None
    return row


def steps(store: Store, job: JobRow) -> list[int]:
    return [event.data["step"] for event in events.list_metrics(store, job.id) if event.data]


def weights(store: Store, job: JobRow) -> dict[str, torch.Tensor]:
    row = read(store, job)
    model = models.get_model(store, row.project, row.fine_tuned_model or "")
    assert model is not None, row.error
    return load_file(models.model_path(store, model) / "model.safetensors")


def check_whole(store: Store, job: JobRow, expected: dict[str, torch.Tensor]) -> None:
    """Every step and checkpoint is told once, in order, and the weights are the expected ones."""
    said = [event.message for event in events.list_events(store, job.id, limit=500).rows][::-1]
    said = [text for text in said if "paused" not in text and "resumed" not in text]
    assert len(set(said)) == len(said)
    assert steps(store, job) == list(range(1, STEPS + 1))
    assert said[-1] == "The job has successfully completed"
    made = [int(text.split()[4]) for text in said if text.startswith("Checkpoint created")]
    assert made == list(range(6, STEPS, 6))
    found = weights(store, job)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert not (store.jobs_dir / job.id).exists()


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "It took too long."
        await asyncio.sleep(0.01)


def with_trainers(
    store: Store,
    base: Path,
    body: Callable[[Trainers], Awaitable[None]],
    count: int = 1,
) -> None:
    """Run `body` beside trainers, each in a process of its own."""

    async def run() -> None:
        trainers = Trainers(store, tiny_bases(base), count, RestartPolicy(first_wait=0.05))
        await trainers.start()
        try:
            await body(trainers)
        finally:
            await trainers.stop()

    asyncio.run(run())


def pid_of(trainers: Trainers, job: JobRow) -> int | None:
    """The process that trains a job."""
    held = [one.child.pid for one in trainers._trainers if one.job_id == job.id]
    return held[0] if held else None


def test_two_jobs_train_side_by_side_and_kill_9_costs_one_of_them_nothing_but_time(
    store: Store, base: Path, expected: dict[str, torch.Tensor]
) -> None:
    made = [submit(store, "ada"), submit(store, "bob")]
    one, two = made

    async def body(trainers: Trainers) -> None:
        await until(lambda: steps(store, one) and steps(store, two))
        assert len({pid_of(trainers, job) for job in made}) == 2
        # Before its first checkpoint, and after some.
        for step in (2, 20):
            await until(lambda step=step: len(steps(store, one)) >= step)
            if pid := pid_of(trainers, one):
                kill(pid)
                await until(lambda pid=pid: pid_of(trainers, one) != pid)
        await until(lambda: all(read(store, job).status == "succeeded" for job in made))

    with_trainers(store, base, body, count=2)
    for job in made:
        check_whole(store, job, expected)
        assert read(store, job).crashes == 0


def kill(pid: int) -> None:
    psutil.Process(pid).kill()


def test_cancel_pause_and_more_restarts_than_a_job_may_crash(
    store: Store, base: Path, expected: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parent, "MOST_CRASHES", 1)
    unwanted, job = submit(store), submit(store)

    async def ask(trainers: Trainers) -> None:
        await until(lambda: len(steps(store, unwanted)) >= 3)
        jobs.request_cancel(store, unwanted.id)
        trainers.ask(unwanted.id)
        await until(lambda: read(store, unwanted).status == "cancelled")
        await until(lambda: len(steps(store, job)) >= 3)
        jobs.request_pause(store, job.id)
        trainers.ask(job.id)
        await until(lambda: read(store, job).status == "paused")
        jobs.resume_job(store, job.id)
        trainers.ask(job.id)
        await until(lambda: len(steps(store, job)) >= 9)

    with_trainers(store, base, ask)
    assert len(steps(store, unwanted)) < STEPS
    assert not (store.jobs_dir / unwanted.id).exists()
    before = len(steps(store, job))

    async def one_step(_: Trainers) -> None:
        await until(lambda: len(steps(store, job)) > before)

    with_trainers(store, base, one_step)
    assert (read(store, job).status, read(store, job).crashes) == ("running", 0)

    async def finish(_: Trainers) -> None:
        await until(lambda: read(store, job).status in FINISHED)

    with_trainers(store, base, finish)
    check_whole(store, job, expected)
    assert read(store, job).crashes == 0


def test_a_full_disk_stops_the_training_until_there_is_room(
    store: Store,
    base: Path,
    expected: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parent, "FIRST_WAIT", 0.05)
    job = submit(store)
    append = events.append_metrics
    full = False

    def maybe(*args: Any) -> bool:
        if full:
            raise sqlite3.OperationalError("database or disk is full")
        return append(*args)

    monkeypatch.setattr(events, "append_metrics", maybe)

    async def body(trainers: Trainers) -> None:
        nonlocal full
        await until(lambda: len(steps(store, job)) >= 8)
        assert trainers.degraded is None
        full = True
        await until(lambda: trainers.degraded)
        assert "disk is full" in trainers.degraded
        assert str(store.state_dir) in trainers.degraded
        await asyncio.sleep(0.5)
        assert read(store, job).status == "running"
        full = False
        await until(lambda: read(store, job).status in FINISHED)
        assert trainers.degraded is None

    with_trainers(store, base, body)
    check_whole(store, job, expected)


def test_nothing_is_written_after_the_final_event(store: Store, base: Path) -> None:
    """Somebody else ends the job; its trainer is stopped and takes the next one."""
    ended, job = submit(store), submit(store)

    async def body(_: Trainers) -> None:
        await until(lambda: len(steps(store, ended)) >= 3)
        jobs.finish_failed(store, ended.id, code="c", message="That was it.")
        await until(lambda: read(store, job).status in FINISHED)

    with_trainers(store, base, body)
    last = events.list_events(store, ended.id, limit=1).rows[0]
    assert last.message == "That was it."
    assert read(store, job).status == "succeeded"
    made = {model.job_id for model in models.list_models(store, "learner")}
    left = {path.name.rpartition("-")[0] for path in store.models_dir.iterdir()}
    assert left == made


def test_a_job_that_kills_its_trainer_fails_and_the_next_one_is_trained(
    store: Store, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parent, "MOST_CRASHES", 2)
    deadly, job = submit(store), submit(store)

    async def body(trainers: Trainers) -> None:
        while read(store, deadly).status not in FINISHED:
            await until(lambda: pid_of(trainers, deadly) or read(store, deadly).status in FINISHED)
            if (pid := pid_of(trainers, deadly)) and psutil.pid_exists(pid):
                kill(pid)
                await until(lambda pid=pid: pid_of(trainers, deadly) != pid)
        await until(lambda: read(store, job).status in FINISHED)

    with_trainers(store, base, body)
    assert read(store, deadly).error["code"] == "training_crashed"
    assert read(store, job).status == "succeeded"


def test_a_model_folder_that_vanished_is_trained_again(
    store: Store,
    base: Path,
    expected: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error that is none of a full disk: the process is replaced and the job goes on."""
    job = submit(store)
    add, failures = checkpoints.add_checkpoint, [FileNotFoundError("gone")]

    def fails_once(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return add(*args)

    monkeypatch.setattr(checkpoints, "add_checkpoint", fails_once)

    async def body(_: Trainers) -> None:
        await until(lambda: read(store, job).status in FINISHED)

    with_trainers(store, base, body)
    check_whole(store, job, expected)


def test_a_process_that_has_trained_is_replaced_when_idle(
    store: Store, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parent, "IDLE_SECONDS", 0.2)
    first, pids = submit(store), []

    async def body(trainers: Trainers) -> None:
        child = trainers._trainers[0].child
        await until(lambda: child.ready)
        pids.append(child.pid)
        await until(lambda: read(store, first).status in FINISHED)
        await until(lambda: child.ready and child.pid not in (None, *pids))
        second = submit(store)
        trainers.wake()
        await until(lambda: read(store, second).status in FINISHED)

    with_trainers(store, base, body)


@pytest.mark.parametrize("wrong", ["0", "17", "two", "-1"])
def test_a_wrong_number_of_trainers_is_refused(
    wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--trainers", wrong])
    assert "not a number of trainers from 1 to 16" in capsys.readouterr().err


def test_the_shipped_model_gets_two_trainers_and_others_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert usual_trainers([DEFAULT_BASE]) == 2
    assert usual_trainers([DEFAULT_BASE, "another/model"]) == 1
    assert usual_trainers(["another/model"]) == 1
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert usual_trainers([DEFAULT_BASE]) == 1
