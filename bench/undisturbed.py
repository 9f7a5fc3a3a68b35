"""The job of all clients, trained once in peace, and what is read of a job to compare others."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from openai import APIError, OpenAI
from openai.types.fine_tuning import FineTuningJob

from bench import clients
from bench.common import Server
from sandbox.store import models
from sandbox.store.database import Store

SETTLE_SECONDS = 600  # for everything to end after the last kill
PAUSES = (
    "The job has been paused",
    "The job has been resumed, moving job to queued state",
)
OWN_NAMES = re.compile(r"\b(ftjob-|file-|ft:)\S+")  # in events: each job has other ones


class Undisturbed:
    """The job of all clients, trained once without a kill: how each of them must end."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.server = Server(folder, base)
        try:
            with clients.new_client(self.server.key) as client:
                settle(client, self.server)
                self.job_id = clients.upload_and_train(client, self.server.model)
                settle(client, self.server)
                self.story = story(client, self.job_id)
                self.results = results(client, client.fine_tuning.jobs.retrieve(self.job_id))
                self.checkpoints = checkpoints(client, self.job_id)
        finally:
            self.server.stop()
        with Store(self.server.state) as store:
            self.weights = dict(weights(store, self.job_id))


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


def wait(done: Callable[[], bool], problem: str) -> None:
    """Wait until it is done. Raises TimeoutError."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{problem} within {SETTLE_SECONDS} s")
        time.sleep(0.3)


def jobs_ended(client: OpenAI) -> bool:
    """Whether no job is left to train; one that its client has left paused goes on."""
    found = list(client.fine_tuning.jobs.list(limit=100))
    for job in found:
        if job.status == "paused":
            client.fine_tuning.jobs.resume(job.id)
    return all(job.status in clients.JOB_ENDS for job in found)


def batches_ended(client: OpenAI) -> bool:
    """Whether no batch is left to answer."""
    return all(batch.status in clients.BATCH_ENDS for batch in client.batches.list(limit=100))


def messages(client: OpenAI, job_id: str, kind: str | None = None) -> list[str]:
    """What the events of a job say, oldest first; `kind` keeps those of one type."""
    events = list(client.fine_tuning.jobs.list_events(job_id, limit=100))[::-1]
    return [event.message for event in events if kind in (None, event.type)]


def count_steps(client: OpenAI, job_id: str) -> int:
    """How many training steps a job has recorded."""
    return len(messages(client, job_id, "metrics"))


def story(client: OpenAI, job_id: str) -> list[str]:
    """All that has happened to a job but its pauses, in words that are the same for each job."""
    told = (text for text in messages(client, job_id) if text not in PAUSES)
    return [OWN_NAMES.sub("…", text) for text in told]


def results(client: OpenAI, job: FineTuningJob) -> list[bytes]:
    """The content of a job's result files."""
    return [client.files.content(file_id).read() for file_id in job.result_files]


def checkpoints(client: OpenAI, job_id: str) -> list[int]:
    """The steps of the checkpoints that a job has kept, newest first."""
    return [each.step_number for each in client.fine_tuning.jobs.checkpoints.list(job_id)]


def weights(store: Store, job_id: str) -> Iterator[tuple[int, str]]:
    """The step and the digest of the weights of each of a job's models."""
    for model in models.list_models_of_job(store, job_id):
        digest = hashlib.sha256()
        for path in sorted(models.model_path(store, model).glob("*.safetensors")):
            digest.update(path.read_bytes())
        yield model.step, digest.hexdigest()
