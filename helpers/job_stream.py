"""Follow a job event by event, for a command line: through lost connections, until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import openai
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from helpers.events import all_events
from helpers.follow import CALL_SECONDS, ENDED, LONGEST_BACKOFF, ConnectionLost

# Worth another try: the job goes on in the meantime.
PASSING = (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError)


class JobStream:
    """The events of a job, oldest first, each as soon as it is there.

    Iterating ends when the job has ended or is paused; `job` is the job as it was last seen. A
    lost connection is waited for, `patience` seconds at most: then ConnectionLost is raised.
    `on_trouble` is told when the waiting begins.
    """

    def __init__(
        self,
        client: OpenAI,
        job_id: str,
        *,
        every: float = 1.0,
        patience: float = 300.0,
        on_trouble: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.job: FineTuningJob | None = None
        self._client = client.with_options(max_retries=0, timeout=CALL_SECONDS)
        self._job_id = job_id
        self._every = every
        self._patience = patience
        self._on_trouble = on_trouble
        self._last: str | None = None

    def __iter__(self) -> Iterator[FineTuningJobEvent]:
        while True:
            job, fresh = self._look_patiently()
            yield from fresh
            self.job = job
            if job.status in (*ENDED, "paused"):
                return
            time.sleep(self._every)

    def _look(self) -> tuple[FineTuningJob, list[FineTuningJobEvent]]:
        # The job before its events: so the events of a finished job are certainly all there.
        job = self._client.fine_tuning.jobs.retrieve(self._job_id)
        fresh = all_events(self._client, self._job_id, after_id=self._last)
        if fresh:
            self._last = fresh[-1].id
        return job, fresh

    def _look_patiently(self) -> tuple[FineTuningJob, list[FineTuningJobEvent]]:
        give_up, pause = time.monotonic() + self._patience, 0.5
        while True:
            try:
                return self._look()
            except PASSING as error:
                if pause == 0.5:
                    self._on_trouble("No connection: trying again. The job goes on meanwhile.")
                if time.monotonic() + pause > give_up:
                    raise ConnectionLost(
                        f"No answer for {self._patience:.0f} seconds ({type(error).__name__}). "
                        f"The job is not harmed. Later: heroes jobs follow {self._job_id}"
                    ) from error
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_BACKOFF)
