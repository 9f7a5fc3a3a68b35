"""Follow jobs until they end, through interrupts and lost connections.

`watch` is the loop; `follow` and `follow_all` show what it sees, in a notebook with widgets.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from html import escape
from itertools import zip_longest

import ipywidgets
import openai
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from helpers.display import in_lines, in_notebook, show
from helpers.events import Progress, all_events, loss_frame
from helpers.live import LiveView

CALL_SECONDS = 30.0
RETRY_SECONDS = 2.0
# Worth another try: the job goes on in the meantime.
PASSING = (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError)


class ConnectionLost(RuntimeError):
    """The server did not answer for minutes. The job is not harmed by that."""


def watch(
    client: OpenAI,
    job_id: str,
    *,
    every: float = 1.0,
    patience: float = 300.0,
    on_trouble: Callable[[str], None] = lambda text: None,
) -> Iterator[tuple[FineTuningJob, list[FineTuningJobEvent]]]:
    """Look at a job every so many seconds: the job as it is, and its new events, oldest first.

    Ends when the job has ended or is paused; by then every event has been given. A lost
    connection is told to `on_trouble` and tried again; after `patience` seconds without an
    answer, ConnectionLost is raised. A job that does not exist raises the SDK's NotFoundError.
    """
    client = client.with_options(timeout=CALL_SECONDS)
    last_id: str | None = None
    lost_at: float | None = None
    while True:
        try:
            # The job before its events: so the events of an ended job are certainly all there.
            job = client.fine_tuning.jobs.retrieve(job_id)
            events = all_events(client, job_id, after_id=last_id)
        except PASSING as error:
            if lost_at is None:
                lost_at = time.monotonic()
                on_trouble("No connection: trying again. The job goes on meanwhile.")
            elif time.monotonic() - lost_at >= patience:
                raise ConnectionLost(
                    f"No answer for {patience:.0f} seconds ({type(error).__name__}). The job is "
                    "not harmed: follow it again when the server is back."
                ) from error
            time.sleep(min(RETRY_SECONDS, patience))
            continue
        lost_at = None
        last_id = events[-1].id if events else last_id
        yield job, events
        if Progress(job).at_rest:
            return
        time.sleep(every)


def follow(
    client: OpenAI,
    job_id: str,
    *,
    every: float = 1.0,
    plot: bool = True,
    timeout: float = math.inf,
) -> FineTuningJob:
    """Follow a job until it has succeeded, failed, been cancelled or paused; the job comes back.

    `plot=False` leaves out the live curve. Interrupting the cell, or `timeout` seconds, ends the
    following and not the job: call `follow` again to go on. The errors are those of `watch`.
    """
    view = LiveView(curve=plot) if in_notebook() else None
    if view:
        view.show()
    seen, said = Progress(), ""

    def show_state(trouble: str = "") -> None:
        nonlocal said
        text = trouble or str(seen)
        if view:
            view.update(text, seen.step, seen.total, loss_frame(seen.events))
        elif (state := text.split(":")[0]) != said:
            said = state
            print(text, flush=True)

    deadline = time.monotonic() + timeout
    left = ""
    try:
        for look in watch(client, job_id, every=every, on_trouble=show_state):
            seen.add(*look)
            show_state()
            if time.monotonic() + every > deadline and not seen.at_rest:
                left = "Time is up for following"
                break
    except KeyboardInterrupt:
        left = "Stopped following"
    job = seen.job or client.fine_tuning.jobs.retrieve(job_id)
    model = f". The model is called {job.fine_tuned_model}" if job.fine_tuned_model else ""
    goes_on = f"{left}. The job goes on without us: call follow(...) again to watch it."
    print(in_lines(goes_on if left else f"The job {seen.ending()}{model}"))
    return job


def follow_all(
    client: OpenAI, job_ids: Mapping[str, str], *, every: float = 1.0
) -> dict[str, FineTuningJob]:
    """Follow several jobs, given by name, until each has ended or is paused; all come back.

    Interrupting the cell ends the following and not the jobs.
    """
    seen = {name: Progress() for name in job_ids}
    table = ipywidgets.HTML(value="")
    if job_ids and in_notebook():
        words = f"A live view of {len(job_ids)} jobs, a line and a bar for each"
        show(table, f"({words}: it moves in a running notebook.)")
    watches = [watch(client, job_id, every=0) for job_id in job_ids.values()]
    try:
        for looks in zip_longest(*watches):
            for progress, look in zip(seen.values(), looks, strict=True):
                if look:  # None: it was at rest before
                    progress.add(*look)
            table.value = "<br>".join(
                f'<progress value="{one.step}" max="{max(one.total, 1)}"></progress> '
                f"{escape(name)}: {escape(str(one))}"
                for name, one in seen.items()
            )
            time.sleep(0 if all(progress.at_rest for progress in seen.values()) else every)
    except KeyboardInterrupt:
        print("Stopped following. The jobs go on without us: call follow_all(...) again.")
    for name, progress in seen.items():
        print(f"{name}: {progress.ending()}")
    return {name: progress.job for name, progress in seen.items() if progress.job}
