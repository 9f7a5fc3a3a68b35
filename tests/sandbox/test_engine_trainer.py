"""The trainer process: kill -9 in mid job, the end of its parent, cancel from outside."""

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

from sandbox.engine.supervisor import RestartPolicy, Worker, trainer_arguments
from sandbox.store import Store, events, files, jobs, models
from sandbox.store.jobs import JobRow, NewJob
from tests.support.tiny import make_base

FAST = RestartPolicy(first_wait=0.05)
STEPS = 60
PATIENCE = 120.0  # seconds; a busy machine is slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


def submit(store: Store) -> JobRow:
    """A job of ten epochs of six steps."""
    lines = [
        json.dumps({"prompt": f"{i} ->", "completion": f" Hero {i} flies" + " on" * (i % 7) + "."})
        for i in range(24)
    ]
    row = files.add_file(store, "learner", "t.jsonl", "fine-tune", "\n".join(lines).encode())
    numbers = {"n_epochs": 10, "batch_size": 4}
    job = jobs.create_job(store, NewJob("learner", "tiny", row.id, 5, {}, numbers))
    return jobs.mark_queued(store, job.id)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "It took too long."
        await asyncio.sleep(0.01)


def reached(store: Store, job: JobRow, step: int) -> Callable[[], bool]:
    return lambda: len(events.list_metrics(store, job.id)) >= step


def status(store: Store, job: JobRow) -> str:
    row = jobs.get_job(store, None, job.id)
    assert row is not None
    return row.status


def with_trainer(store: Store, base: Path, body: Callable[[Worker], Awaitable[None]]) -> None:
    async def main() -> None:
        worker = Worker(
            "trainer",
            trainer_arguments(store.state_dir, {"tiny": base}),
            on_exit=lambda: jobs.release_leases(store),
            policy=FAST,
            environment={"OMP_NUM_THREADS": "1"},
        )
        await worker.start()
        try:
            await body(worker)
        finally:
            await worker.stop()

    asyncio.run(main())


def weights(store: Store, job: JobRow) -> dict[str, torch.Tensor]:
    row = jobs.get_job(store, None, job.id)
    assert row is not None
    model = models.get_model(store, "learner", row.fine_tuned_model or "")
    assert model is not None
    return load_file(models.model_path(store, model) / "model.safetensors")


def test_kill_9_in_mid_job_costs_nothing_but_time(store: Store, base: Path) -> None:
    undisturbed, killed = submit(store), submit(store)

    async def body(worker: Worker) -> None:
        await until(lambda: status(store, undisturbed) == "succeeded")
        for step in (2, 20):  # before the first checkpoint, and after some
            await until(reached(store, killed, step))
            assert worker.process is not None
            os.kill(worker.process.pid, signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
            await until(lambda: not worker.ready)
        await until(lambda: status(store, killed) == "succeeded")

    with_trainer(store, base, body)
    expected, found = weights(store, undisturbed), weights(store, killed)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    for job in (undisturbed, killed):
        check_events(store, job)


def check_events(store: Store, job: JobRow) -> None:
    said = [event.message for event in events.list_events(store, job.id, limit=500).rows][::-1]
    assert len(set(said)) == len(said)
    steps = [int(text.split()[1].split("/")[0]) for text in said if text.startswith("Step ")]
    assert steps == list(range(1, STEPS + 1))
    assert said[-1] == "The job has successfully completed"
    made = [int(text.split()[4]) for text in said if text.startswith("Checkpoint created")]
    assert made == list(range(6, STEPS, 6))


def test_the_trainer_ends_with_its_parent_and_the_next_one_goes_on(
    store: Store, base: Path
) -> None:
    job = submit(store)

    async def first(worker: Worker) -> None:
        await until(reached(store, job, 9))

    async def second(worker: Worker) -> None:
        await until(lambda: status(store, job) == "succeeded")

    with_trainer(store, base, first)
    stopped = len(events.list_metrics(store, job.id))
    row = jobs.get_job(store, None, job.id)
    assert row is not None
    assert row.status == "running"
    assert (row.lease_until or 0) <= time.time()
    assert 9 <= stopped < STEPS
    with_trainer(store, base, second)
    check_events(store, job)


def test_cancel_and_pause_reach_the_process(store: Store, base: Path) -> None:
    job, other = submit(store), submit(store)

    async def body(worker: Worker) -> None:
        await until(reached(store, job, 3))
        jobs.request_cancel(store, job.id)
        await until(lambda: status(store, job) == "cancelled")
        await until(reached(store, other, 3))
        jobs.request_pause(store, other.id)
        await until(lambda: status(store, other) == "paused")
        jobs.resume_job(store, other.id)
        await until(lambda: status(store, other) == "succeeded")

    with_trainer(store, base, body)
    assert len(events.list_metrics(store, job.id)) < STEPS
    assert len(events.list_metrics(store, other.id)) == STEPS
