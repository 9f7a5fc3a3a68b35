"""Step 05: follow a job until it ends, through interrupts and lost connections.

In a notebook the state, a progress bar and the loss curve are widgets: they are displayed once
and then only change their values, and at the end one plain line says how it went. That line and
the displayed widgets are the same in every run, so a notebook's stored output can be compared.
Elsewhere, plain lines tell every change of state.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import openai
import pandas as pd
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from helpers.events import all_events, loss_frame, metrics_of, result_frame
from helpers.live import LiveView, in_notebook

__all__ = ["ConnectionLost", "all_events", "follow", "loss_frame", "result_frame"]

ENDED = ("succeeded", "failed", "cancelled")
CALL_SECONDS = 30.0
LONGEST_BACKOFF = 30.0


class ConnectionLost(RuntimeError):
    """The server did not answer for minutes. The job is not harmed by that."""


@dataclass
class _Watch:
    """What is known of a job so far, and where it is shown."""

    client: OpenAI
    job_id: str
    view: LiveView | None
    events: list[FineTuningJobEvent] = field(default_factory=list)
    job: FineTuningJob | None = None
    step: int = 0
    total: int = 0
    said: str = ""

    def look(self) -> FineTuningJob:
        """Fetch the job and its new events, and show them."""
        # The job before its events: so the events of a finished job are certainly all there.
        job = self.client.fine_tuning.jobs.retrieve(self.job_id)
        last = self.events[-1].id if self.events else None
        fresh = all_events(self.client, self.job_id, after_id=last)
        self.events += fresh
        for event in fresh:
            if row := metrics_of(event):
                self.step = max(self.step, row["step"])
                self.total = row["total_steps"] or self.total
        self.job = job
        self.show(_state(job, self.step, self.total))
        return job

    def show(self, text: str) -> None:
        if self.view:
            self.view.update(text, self.step, self.total, self.frame())
        elif text.split(":")[0] != self.said:
            self.said = text.split(":")[0]
            print(text, flush=True)

    def frame(self) -> pd.DataFrame:
        return loss_frame(self.events)


def _state(job: FineTuningJob, step: int, total: int) -> str:
    if job.status == "running":
        return f"running: step {step} of {total}" if total else "running"
    return job.status.replace("_", " ")


def follow(
    client: OpenAI,
    job_id: str,
    *,
    every: float = 1.0,
    plot: bool | None = None,
    timeout: float | None = None,
    patience: float = 300.0,
) -> FineTuningJob:
    """Follow a job until it has succeeded, failed, been cancelled or paused; the job comes back.

    Looks `every` so many seconds. `plot=False` leaves out the live curve. Interrupting the cell,
    or `timeout` seconds, ends the following and not the job: call `follow` again to go on. A lost
    connection is tried again; after `patience` seconds without any answer it raises
    ConnectionLost. A job that does not exist raises the SDK's NotFoundError.
    """
    view = LiveView(curve=plot is not False) if in_notebook() else None
    if view:
        view.show()
    quick = client.with_options(max_retries=0, timeout=CALL_SECONDS)
    watch = _Watch(quick, job_id, view)
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        job = _wait(watch, every, deadline, patience)
    except KeyboardInterrupt:
        print(_left("Stopped following"))
        return watch.job or client.fine_tuning.jobs.retrieve(job_id)
    at_rest = job.status in (*ENDED, "paused")
    print(_ending(watch) if at_rest else _left("Time is up for following"))
    return job


def _wait(watch: _Watch, every: float, deadline: float | None, patience: float) -> FineTuningJob:
    """Look again and again until the job ends or the deadline has come."""
    while True:
        job = _look_patiently(watch, patience)
        if job.status in (*ENDED, "paused"):
            return job
        if deadline is not None and time.monotonic() + every > deadline:
            return job
        time.sleep(every)


def _look_patiently(watch: _Watch, patience: float) -> FineTuningJob:
    """One look; while the connection is lost or the server ill, try again with growing pauses."""
    give_up, pause = time.monotonic() + patience, 0.5
    while True:
        try:
            return watch.look()
        except (
            openai.APIConnectionError,
            openai.InternalServerError,
            openai.RateLimitError,
        ) as error:
            if time.monotonic() + pause > give_up:
                raise ConnectionLost(
                    f"No answer for {patience:.0f} seconds ({type(error).__name__}). The job is "
                    "not harmed: when the server is back, call follow(...) again."
                ) from error
        watch.show(f"no connection: trying again (the job goes on; last seen at step {watch.step})")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_BACKOFF)


def _left(why: str) -> str:
    return f"{why}. The job goes on without us: call follow(...) again to watch it."


def _ending(watch: _Watch) -> str:
    """The final line; the same for the same job, however long it was followed."""
    job = watch.job
    assert job is not None
    if job.status == "succeeded":
        steps = f" after {watch.step} steps" if watch.step else ""
        return f"The job succeeded{steps}. The model is called {job.fine_tuned_model}"
    if job.status == "failed":
        error = job.error
        why = f"{error.code}: {error.message}" if error and error.message else "no reason was given"
        return f"The job failed. {why}"
    if job.status == "paused":
        return (
            f"The job is paused at step {watch.step}. "
            "client.fine_tuning.jobs.resume(job.id) lets it go on."
        )
    return f"The job was cancelled at step {watch.step}."
