"""What the clients were told and the sandbox does not have any more, after kills."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from openai import APIError, OpenAI
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from bench import clients
from bench.clients import Told
from bench.common import Server
from sandbox.store import models
from sandbox.store.database import Store

SETTLE_SECONDS = 200  # for everything to end after the last kill
LAST_EVENT = "The job has successfully completed"


class Undisturbed:
    """The job of all clients, trained once without a kill: how each of them must end."""

    def __init__(
        self, folder: Path, base: Path, rows: int = clients.ROWS, epochs: int = clients.EPOCHS
    ) -> None:
        self.server = Server(folder, base)
        try:
            with clients.new_client(self.server.key) as client:
                settle(client, self.server)
                self.job_id = clients.upload_and_train(client, self.server.model, rows, epochs)
                settle(client, self.server)
                self.steps = step_texts(events_of(client, self.job_id))
                self.checkpoints = checkpoint_steps(client, self.job_id)
        finally:
            self.server.stop()
        self.weights = dict(weights(self.server.state, self.job_id))


def settle(client: OpenAI, server: Server) -> None:
    """Wait until the server is there and nothing is left to do. Raises TimeoutError."""
    wait(lambda: answers(client, server), "the server did not start")
    wait(lambda: jobs_ended(client), "the jobs did not all end")
    wait(lambda: batches_ended(client), "the batches did not all end")


def answers(client: OpenAI, server: Server) -> bool:
    """Whether the server is there, and the sampler that works for it."""
    try:
        clients.find_server(client, server.note)
        client.completions.create(model=server.model, prompt="x", max_tokens=1)
    except (APIError, OSError):
        return False
    return True


def lost(client: OpenAI, told: Told, expected: Undisturbed) -> Iterator[str]:
    """Everything that the API does not show any more, or shows otherwise than it was."""
    yield from lost_files(client, told)
    yield from lost_in_jobs(client, told, expected)
    yield from lost_in_batches(client, told)


def wait(done: Callable[[], bool], problem: str) -> None:
    """Wait until it is done. Raises TimeoutError."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{problem} within {SETTLE_SECONDS} s")
        time.sleep(0.1)


def jobs_ended(client: OpenAI) -> bool:
    """Whether no job is left to train."""
    return all(job.status in clients.JOB_ENDS for job in client.fine_tuning.jobs.list(limit=100))


def batches_ended(client: OpenAI) -> bool:
    """Whether no batch is left to answer."""
    return all(batch.status in clients.BATCH_ENDS for batch in client.batches.list(limit=100))


def events_of(client: OpenAI, job_id: str) -> list[FineTuningJobEvent]:
    """The events of a job, oldest first."""
    return list(client.fine_tuning.jobs.list_events(job_id, limit=100))[::-1]


def step_texts(events: list[FineTuningJobEvent]) -> list[str]:
    """What the metrics events among them say."""
    return [event.message for event in events if event.type == "metrics"]


def checkpoint_steps(client: OpenAI, job_id: str) -> list[int]:
    """The steps of the checkpoints that a job has kept, newest first."""
    return [each.step_number for each in client.fine_tuning.jobs.checkpoints.list(job_id)]


def weights(state: Path, job_id: str) -> Iterator[tuple[int, str]]:
    """The step and the digest of the weights of each of a job's models."""
    with Store(state) as store:
        for model in models.list_models_of_job(store, job_id):
            content = (models.model_path(store, model) / "model.safetensors").read_bytes()
            yield model.step, hashlib.sha256(content).hexdigest()


def lost_files(client: OpenAI, told: Told) -> Iterator[str]:
    """Files that are not there, or not as they were sent."""
    there = {file.id for file in client.files.list()}
    for file_id, content in told.files.items():
        if file_id not in there:
            yield f"{file_id} is gone"
        elif client.files.content(file_id).read() != content:
            yield f"{file_id} has another content"


def lost_in_jobs(client: OpenAI, told: Told, expected: Undisturbed) -> Iterator[str]:
    """Jobs that are gone, or have not become what they would have without a kill."""
    jobs = {job.id: job for job in client.fine_tuning.jobs.list(limit=100)}
    yield from (f"{job_id} is gone" for job_id in told.jobs.keys() - jobs.keys())
    for job in jobs.values():
        if job.status == "succeeded":
            faults = faults_of_job(client, job, told, expected)
        else:
            faults = [f"it is {job.status}: {job.error and job.error.message}"]
        yield from (f"{job.id}: {fault}" for fault in faults)


def faults_of_job(
    client: OpenAI, job: FineTuningJob, told: Told, expected: Undisturbed
) -> Iterator[str]:
    """In what a job that has succeeded differs from the undisturbed one."""
    events = events_of(client, job.id)
    known = told.jobs.get(job.id, {})
    if [event.id for event in events if event.id in known] != list(known):
        yield "events that were listed are gone or in another order"
    if [event.message for event in events].index(LAST_EVENT) != len(events) - 1:
        yield f"something has happened after its end: {events[-1].message}"
    if step_texts(events) != expected.steps:
        yield "its steps are not each there once, in order and with the same losses"
    if (found := checkpoint_steps(client, job.id)) != expected.checkpoints:
        yield f"checkpoints of the steps {found} instead of {expected.checkpoints}"
    kept = {each.id for each in client.fine_tuning.jobs.checkpoints.list(job.id)}
    for checkpoint, (owner, step) in told.checkpoints.items():
        if owner == job.id and checkpoint not in kept and step in expected.checkpoints:
            yield f"the checkpoint {checkpoint} of step {step} is gone"
    question = [{"role": "user", "content": "18, woman, flight ->"}]
    answer = client.chat.completions.create(
        model=job.fine_tuned_model, messages=question, max_completion_tokens=1
    )
    if answer.usage.completion_tokens != 1:
        yield f"its model answers {answer}"


def lost_in_batches(client: OpenAI, told: Told) -> Iterator[str]:
    """Batches that are gone, and lines that are not answered exactly once."""
    batches = {batch.id: batch for batch in client.batches.list(limit=100)}
    yield from (f"{batch_id} is gone" for batch_id in told.batches - batches.keys())
    for batch_id, batch in batches.items():
        if batch.status != "completed" or batch.error_file_id or not batch.output_file_id:
            yield f"{batch_id} is {batch.status} with {batch.request_counts}: {batch.errors}"
            continue
        lines = client.files.content(batch.output_file_id).text.splitlines()
        if [json.loads(line)["custom_id"] for line in lines] != clients.LINES:
            yield f"{batch_id}: its lines are not each answered once, in order"


def lost_in_state(state: Path, told: Told, expected: Undisturbed) -> Iterator[str]:
    """What only the state folder shows, after the server's end."""
    for job_id in told.jobs:
        if dict(weights(state, job_id)) != expected.weights:
            yield f"{job_id}: its models have other weights than without a kill"
    with closing(sqlite3.connect(state / "sandbox.db")) as db:
        if (found := db.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            yield f"the database: {found}"
