"""The exercises of notebook 05."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from course.exercise import Expectations, exercise, expect
from helpers.events import all_events, loss_frame

SECONDS, EVERY = 0.3, 0.01
TOO_LONG = 10 * SECONDS
ENDS = ("succeeded", "failed", "cancelled", "paused")


class EndlessError(Exception):
    """The job is still being asked for, long after the time was up."""


def made_up_job(statuses: Sequence[str]) -> Any:
    """A client with one job, which is one status further at each look and stays at the last."""
    looks = iter(statuses)
    seen = SimpleNamespace(id="ftjob-1", status="")
    started = time.monotonic()

    def retrieve(job_id: str, **options: Any) -> Any:
        if time.monotonic() - started > TOO_LONG:
            raise EndlessError("the time is long up")
        seen.status = next(looks, statuses[-1])
        return SimpleNamespace(id=job_id, status=seen.status)

    jobs = SimpleNamespace(retrieve=retrieve)
    return SimpleNamespace(fine_tuning=SimpleNamespace(jobs=jobs))


@exercise("5.1")
def wait_with_an_end(wait: Callable[[Any, str, float, float], Any]) -> Expectations:
    yield expect(callable(wait), "a function", type(wait).__name__)
    endings: list[tuple[str, float]] = [(end, TOO_LONG) for end in ENDS]
    for end, seconds in [*endings, ("running", SECONDS)]:
        started = time.monotonic()
        try:
            looked_at = made_up_job(["validating_files", "queued", "running", end])
            job = wait(looked_at, "ftjob-1", seconds, EVERY)
        except EndlessError:
            yield expect(False, f"an end for a job that stays {end}", "a loop that goes on")
            return
        waited = time.monotonic() - started
        yield expect(job is not None, "the job as the answer", "None")
        yield expect(job.status == end, f"a job that is {end}", f"one that is {job.status}")
    yield expect(waited >= SECONDS / 2, "a loop that uses its time", f"an end after {waited:.2f} s")


@exercise("5.2")
def stop_early(stopped: FineTuningJob, long: FineTuningJob, client: OpenAI) -> Expectations:
    yield expect(isinstance(stopped, FineTuningJob), "a job", type(stopped).__name__)
    yield expect(stopped.id != long.id, "a new job", "the one with the seed 1")
    job = client.fine_tuning.jobs.retrieve(stopped.id)
    yield expect(job.status == "succeeded", "a finished job", f"one that is {job.status}")
    same = job.training_file, job.validation_file
    files = long.training_file, long.validation_file
    yield expect(same == files, "the same two files", "others")
    epochs, most = job.hyperparameters.n_epochs, long.hyperparameters.n_epochs
    yield expect(epochs < most, f"fewer than {most} epochs", f"{epochs}")
    short, whole = (
        loss_frame(all_events(client, each))["full_valid_loss"].dropna().iloc[-1]
        for each in (job.id, long.id)
    )
    yield expect(short < whole, f"a validation loss below {whole:.2f}", f"{short:.2f}")
