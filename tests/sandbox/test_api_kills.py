"""What a kill -9 of any of the processes does, and what it does not."""

import time

import psutil
import pytest
from openai import APIError, OpenAI

from tests.support.server import Server, chat_lines, wait_for

QUESTION = [{"role": "user", "content": "Tell me about a hero."}]


def kill_worker(server: Server, name: str) -> None:
    """Kill the server's workers of one kind."""
    workers = psutil.Process(server.process.pid).children()
    found = [worker for worker in workers if f"sandbox.engine.{name}" in worker.cmdline()]
    assert found
    for worker in found:
        worker.kill()


def event_texts(client: OpenAI, job_id: str) -> list[str]:
    """Return the texts of a job's events, oldest first."""
    events = list(client.fine_tuning.jobs.list_events(job_id, limit=100))
    return [event.message for event in events[::-1]]


def wait_for_events(client: OpenAI, job_id: str, count: int) -> list[str]:
    """Return the texts of a job's events once there are so many."""
    deadline = time.monotonic() + 180
    while len(texts := event_texts(client, job_id)) < count:
        assert time.monotonic() < deadline, texts
        time.sleep(0.02)
    return texts


def test_a_dead_sampler_is_told_in_the_stream_and_started_again(own_server: Server) -> None:
    with own_server.client() as client:
        model = client.models.list().data[0].id
        fields = {"model": model, "messages": QUESTION}
        stream = client.chat.completions.create(
            **fields, n=128, stream=True, logit_bias={str(i): -100 for i in range(5)}
        )
        next(stream)
        kill_worker(own_server, "sampler")
        with pytest.raises(APIError, match="sampler process ended"):
            for _ in stream:
                pass
        answer = client.chat.completions.create(**fields, max_completion_tokens=2)
        assert answer.usage.completion_tokens == 2


def test_a_job_survives_the_death_of_server_and_trainer(own_server: Server) -> None:
    with own_server.client() as client:
        file = client.files.create(file=chat_lines(60), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model=client.models.list().data[0].id,
            training_file=file.id,
            hyperparameters={"n_epochs": 12, "batch_size": 8},
        )
        known = wait_for_events(client, job.id, 15)
    own_server.restart()
    with own_server.client() as client:
        more = wait_for_events(client, job.id, len(known) + 15)
        assert more[: len(known)] == known
        kill_worker(own_server, "trainer")
        job = wait_for(client, job.id, "succeeded", "failed")
        assert job.status == "succeeded"
        texts = event_texts(client, job.id)
        assert texts[: len(more)] == more
        steps = [int(text.split()[1].split("/")[0]) for text in texts if text.startswith("Step ")]
        assert steps == list(range(1, 97))
        answer = client.completions.create(model=job.fine_tuned_model, prompt="x", max_tokens=2)
        assert answer.model == job.fine_tuned_model
