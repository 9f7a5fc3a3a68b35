"""Trainers in processes of their own: side by side, killed, cancelled, ended with their parent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sandbox.__main__ import main
from sandbox.config import SHIPPED_BASE, usual_trainers
from sandbox.engine.fine_tuning import run_job_inline
from sandbox.engine.supervisor import RestartPolicy, Worker, trainer_arguments
from sandbox.store import Store, events, files, jobs, models
from sandbox.store.jobs import JobRow, NewJob

pytestmark = pytest.mark.slow

STEPS = 60
PATIENCE = 120.0  # seconds; a busy machine is slow


@pytest.fixture(scope="module")
def base(tiny: Path) -> Path:
    return tiny


def submit(store: Store, project: str = "learner") -> JobRow:
    """A job of ten epochs of six steps; all of them are alike."""
    lines = [
        json.dumps({"prompt": f"{i} ->", "completion": f" Hero {i} flies" + " on" * (i % 7) + "."})
        for i in range(24)
    ]
    row = files.add_file(store, project, "t.jsonl", "fine-tune", "\n".join(lines).encode())
    numbers = {"n_epochs": 10, "batch_size": 4}
    job = jobs.create_job(store, NewJob(project, "tiny", row.id, 5, {}, numbers))
    return jobs.mark_queued(store, job.id)


def read(store: Store, job: JobRow) -> JobRow:
    row = jobs.get_job(store, None, job.id)
    assert row is not None
    return row


def steps(store: Store, job: JobRow) -> list[int]:
    return [event.data["step"] for event in events.list_metrics(store, job.id) if event.data]


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "It took too long."
        await asyncio.sleep(0.01)


def with_trainers(
    store: Store, base: Path, names: list[str], body: Callable[[list[Worker]], Awaitable[None]]
) -> None:
    """Run `body` beside trainers of these names, each in a process of its own."""

    def worker(name: str) -> Worker:
        return Worker(
            name,
            trainer_arguments(store.state_dir, {"tiny": base}, name),
            on_exit=lambda: jobs.release_leases(store, name),
            policy=RestartPolicy(first_wait=0.05),
            environment={"OMP_NUM_THREADS": "2"},
        )

    async def run() -> None:
        workers = [worker(name) for name in names]
        for one in workers:
            await one.start()
        try:
            for one in workers:
                await one.wait_ready()
            await body(workers)
        finally:
            for one in workers:
                await one.stop()

    asyncio.run(run())


def weights(store: Store, job: JobRow) -> dict[str, torch.Tensor]:
    row = read(store, job)
    model = models.get_model(store, row.project, row.fine_tuned_model or "")
    assert model is not None
    return load_file(models.model_path(store, model) / "model.safetensors")


def check_events(store: Store, job: JobRow) -> None:
    """Every step and every checkpoint is told once, in order."""
    said = [event.message for event in events.list_events(store, job.id, limit=500).rows][::-1]
    assert len(set(said)) == len(said)
    assert steps(store, job) == list(range(1, STEPS + 1))
    assert said[-1] == "The job has successfully completed"
    made = [int(text.split()[4]) for text in said if text.startswith("Checkpoint created")]
    assert made == list(range(6, STEPS, 6))


def test_two_jobs_train_side_by_side_and_kill_9_costs_one_of_them_nothing_but_time(
    store: Store, base: Path
) -> None:
    alone = submit(store, "cyd")
    run_job_inline(store, {"tiny": base})
    made = [submit(store, "ada"), submit(store, "bob")]
    one, two = made

    async def body(workers: list[Worker]) -> None:
        await until(lambda: bool(steps(store, one)) and bool(steps(store, two)))
        owners = [read(store, job).lease_owner or "" for job in made]
        assert sorted(owner[:10] for owner in owners) == ["trainer-1-", "trainer-2-"]
        assert jobs.count_leased(store) == 2
        victim = next(w for w in workers if owners[0].startswith(w.name + "-"))
        # Before its first checkpoint, and after some.
        for step in (2, 20):
            await until(lambda step=step: len(steps(store, one)) >= step)
            if read(store, one).status == "running":
                await until(lambda: victim.process is not None)
                os.kill(victim.process.pid, signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
                await until(lambda: not victim.ready)
        await until(lambda: all(read(store, job).status == "succeeded" for job in made))
        assert jobs.count_leased(store) == 0

    with_trainers(store, base, ["trainer-1", "trainer-2"], body)
    expected = weights(store, alone)
    for job in made:
        check_events(store, job)
        found = weights(store, job)
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_cancel_and_pause_reach_a_trainer_and_it_ends_with_its_parent(
    store: Store, base: Path
) -> None:
    unwanted, job = submit(store), submit(store)

    async def first(_: list[Worker]) -> None:
        await until(lambda: len(steps(store, unwanted)) >= 3)
        jobs.request_cancel(store, unwanted.id)
        await until(lambda: read(store, unwanted).status == "cancelled")
        await until(lambda: len(steps(store, job)) >= 3)
        jobs.request_pause(store, job.id)
        await until(lambda: read(store, job).status == "paused")
        jobs.resume_job(store, job.id)
        await until(lambda: len(steps(store, job)) >= 9)

    async def second(_: list[Worker]) -> None:
        await until(lambda: read(store, job).status == "succeeded")

    with_trainers(store, base, ["trainer-1"], first)
    assert len(steps(store, unwanted)) < STEPS
    row = read(store, job)
    assert row.status == "running" and (row.lease_until or 0) <= time.time()
    assert 9 <= len(steps(store, job)) < STEPS
    with_trainers(store, base, ["trainer-1"], second)
    assert steps(store, job) == list(range(1, STEPS + 1))


def test_only_the_leases_of_the_trainer_that_is_gone_are_released(store: Store) -> None:
    for _ in range(3):
        submit(store)
    owners = ["trainer-1-77-abc", "trainer-10-78-def", "trainer-2-79-ghi"]
    claimed = [jobs.claim_next_job(store, owner, 60) for owner in owners]
    jobs.release_leases(store, "trainer-1")
    left = [read(store, job).lease_owner for job in claimed if job]
    assert left == [None, "trainer-10-78-def", "trainer-2-79-ghi"]
    assert jobs.count_leased(store) == 2
    jobs.release_leases(store)
    assert jobs.count_leased(store) == 0


def test_two_trainers_take_up_the_jobs_of_two_projects_first(store: Store) -> None:
    for project in ("ada", "ada", "bob", "ada"):
        submit(store, project)
    taken = [jobs.claim_next_job(store, f"trainer-{i}-1-x", 60) for i in (1, 2)]
    assert [job.project for job in taken if job] == ["ada", "bob"]


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
    assert usual_trainers([str(SHIPPED_BASE)]) == 2
    assert usual_trainers([str(SHIPPED_BASE), "another/model"]) == 1
    assert usual_trainers(["another/model"]) == 1
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert usual_trainers([str(SHIPPED_BASE)]) == 1
