"""Step 07: several small fine-tuning jobs at once: their labels, and following all of them.

The requests themselves stand in the notebook. Labels are how an experiment is found again
instead of being trained, and paid for, a second time.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from helpers.events import metrics_of
from helpers.follow import ENDED
from helpers.jobs import COURSE
from helpers.live import in_notebook, show

AT_REST = (*ENDED, "paused")
RETRIES = 8  # a lost connection is tried again for about a minute
CALL_SECONDS = 30.0


def labels_for(rows: Sequence[Any], n_epochs: int, rate: float) -> dict[str, str]:
    """The metadata of an experiment: what was changed, and a fingerprint of its rows."""
    text = json.dumps(list(rows), ensure_ascii=False, sort_keys=True)
    return {
        "course": COURSE,
        "format": "experiment",
        "rows": str(len(rows)),
        "epochs": str(n_epochs),
        "rate": f"{rate:g}",
        "data": hashlib.sha256(text.encode()).hexdigest()[:16],
    }


@dataclass
class Progress:
    """How far one job is."""

    job: FineTuningJob
    step: int = 0
    total: int = 0

    def __str__(self) -> str:
        if self.job.status == "running" and self.total:
            return f"running: step {self.step} of {self.total}"
        return self.job.status.replace("_", " ")

    def ending(self) -> str:
        """The line that stands at the end; the same for the same job, whenever it is asked."""
        if self.job.status == "succeeded":
            return f"succeeded after {self.step} steps" if self.step else "succeeded"
        if self.job.status == "failed" and self.job.error:
            return f"failed. {self.job.error.code}: {self.job.error.message}"
        return str(self)


def follow_all(
    client: OpenAI,
    job_ids: Mapping[str, str],
    *,
    every: float = 1.0,
    timeout: float | None = None,
) -> dict[str, FineTuningJob]:
    """Follow several jobs, given by name, until each has ended or been paused; all come back.

    Interrupting the cell, or `timeout` seconds, ends the following and not the jobs. The last
    lines printed say how each of them stands.
    """
    patient = client.with_options(max_retries=RETRIES, timeout=CALL_SECONDS)
    seen: dict[str, Progress] = {}
    view = JobsView() if in_notebook() and job_ids else None
    if view:
        view.show(len(job_ids))
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        while _look(patient, job_ids, seen, view):
            if deadline is not None and time.monotonic() + every > deadline:
                break
            time.sleep(every)
    except KeyboardInterrupt:
        print("Stopped following. The jobs go on without us: call follow_all(...) again.")
    for name, progress in seen.items():
        print(f"{name}: {progress.ending()}")
    return {name: progress.job for name, progress in seen.items()}


def _look(
    client: OpenAI,
    job_ids: Mapping[str, str],
    seen: dict[str, Progress],
    view: JobsView | None,
) -> bool:
    """Ask once after every job that is still under way; whether there is any left."""
    for name, job_id in job_ids.items():
        if name not in seen or seen[name].job.status not in AT_REST:
            seen[name] = _progress(client, job_id)
            if view:
                view.update(seen)
    return any(progress.job.status not in AT_REST for progress in seen.values())


def _progress(client: OpenAI, job_id: str) -> Progress:
    """The job, and the step that the newest page of its diary tells of."""
    job = client.fine_tuning.jobs.retrieve(job_id)
    progress = Progress(job)
    # One page: a job that has just ended tells its last step a few entries before the end.
    for event in client.fine_tuning.jobs.list_events(job_id, limit=10).data:
        if row := metrics_of(event):
            progress.step = max(progress.step, row["step"])
            progress.total = row["total_steps"] or progress.total
    return progress


class JobsView:
    """One line for each job, with a bar; drawn through the value of a single widget."""

    def __init__(self) -> None:
        self.box = ipywidgets.HTML(value="")

    def show(self, count: int) -> None:
        """Show it, once: from then on its value changes."""
        show(
            self.box,
            f"(A live view of {count} jobs, a line and a bar for each: it moves in a "
            "running notebook.)",
        )

    def update(self, seen: Mapping[str, Progress]) -> None:
        """Draw every job that is known so far."""
        lines = (
            f"<tr><td>{escape(name)}</td><td>{_bar(progress)}</td>"
            f"<td>{escape(str(progress))}</td></tr>"
            for name, progress in seen.items()
        )
        self.box.value = f"<table>{''.join(lines)}</table>"


def _bar(progress: Progress) -> str:
    done = progress.job.status == "succeeded"
    step, total = (1, 1) if done else (progress.step, max(1, progress.total))
    return f'<progress value="{step}" max="{total}">{step} of {total}</progress>'
