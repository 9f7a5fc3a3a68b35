"""A job's progress, events and losses, and its result file."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

ENDED = ("succeeded", "failed", "cancelled")
PAGE = 100
# The API's names are long; these are the table's.
METRICS = {
    "train_loss": "train_loss",
    "train_mean_token_accuracy": "train_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_accuracy",
    "full_valid_loss": "full_valid_loss",
    "full_valid_mean_token_accuracy": "full_valid_accuracy",
}


def all_events(
    client: OpenAI, job_id: str, *, after_id: str | None = None
) -> list[FineTuningJobEvent]:
    """Every event of a job, oldest first, through all pages; only those after `after_id` if given.

    The API lists the newest first and 20 at a time. Going on from the last event of a page, not
    by page numbers, loses none even while new ones arrive.
    """
    found: dict[str, FineTuningJobEvent] = {}
    for event in client.fine_tuning.jobs.list_events(job_id, limit=PAGE):
        if event.id == after_id:
            break
        found.setdefault(event.id, event)
    return list(found.values())[::-1]


def metrics_of(event: FineTuningJobEvent) -> dict[str, Any] | None:
    """The numbers of one metrics event: step, total_steps and what it measured; else None."""
    data = event.data if isinstance(event.data, dict) else {}
    row = {name: data[key] for key, name in METRICS.items() if data.get(key) is not None}
    if not row or data.get("step") is None:
        return None
    return {"step": int(data["step"]), "total_steps": data.get("total_steps"), **row}


def loss_frame(events: Iterable[FineTuningJobEvent]) -> pd.DataFrame:
    """One row per training step: step, train_loss, train_accuracy, valid_loss … (NaN: not
    measured at this step). A step that was reported twice, after a resume, counts once."""
    rows = {row["step"]: row for row in map(metrics_of, events) if row}
    columns = {"step": "int64", **dict.fromkeys(METRICS.values(), "float64")}
    frame = pd.DataFrame([rows[step] for step in sorted(rows)], columns=list(columns))
    return frame.astype(columns)


def epoch_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per epoch of a job with a validation file: epoch, train_loss (the mean of its steps)
    and full_valid_loss, from `loss_frame`."""
    ends = frame.dropna(subset="full_valid_loss")
    epochs = ends["step"].searchsorted(frame["step"]) + 1
    means = frame.groupby(epochs)["train_loss"].mean()
    numbers = range(1, len(ends) + 1)
    return pd.DataFrame(
        {
            "epoch": list(numbers),
            "train_loss": means.reindex(numbers).to_list(),
            "full_valid_loss": ends["full_valid_loss"].to_list(),
        }
    )


@dataclass
class Progress:
    """What was seen of a job so far; `job` is None before the first look."""

    job: FineTuningJob | None = None
    events: list[FineTuningJobEvent] = field(default_factory=list)
    step: int = 0
    total: int = 0

    def add(self, job: FineTuningJob, events: list[FineTuningJobEvent]) -> None:
        """Take in one look: the job as it is now, and its new events."""
        self.job = job
        self.events += events
        for row in filter(None, map(metrics_of, events)):
            self.step = max(self.step, row["step"])
            self.total = row["total_steps"] or self.total

    @property
    def at_rest(self) -> bool:
        """Whether it has ended or is paused, under whatever name the provider has for that."""
        return self.job is not None and (
            self.job.status in (*ENDED, "paused") or self.job.finished_at is not None
        )

    def __str__(self) -> str:
        status = self.job.status.replace("_", " ") if self.job else "waiting"
        counted = status == "running" and self.total
        return f"running: step {self.step} of {self.total}" if counted else status

    def ending(self) -> str:
        """How the job stands, in the same words however long it was followed."""
        error = self.job.error if self.job else None
        reason = f"{error.code}: {error.message}" if error and error.message else "no reason given"
        endings = {
            "succeeded": "succeeded" + (f" after {self.step} steps" if self.step else ""),
            "failed": f"failed. {reason}",
            "cancelled": f"was cancelled at step {self.step}",
            "paused": f"is paused at step {self.step}; "
            "client.fine_tuning.jobs.resume(job.id) lets it go on",
        }
        return endings.get(str(self), str(self))


def result_frame(client: OpenAI, job: FineTuningJob) -> pd.DataFrame:
    """The job's result file as a table: one row per step, with the server's column names.

    The file is a CSV; hosted APIs wrap it in base64, and both are read. Raises ValueError if the
    job has no result file (yet), or it is no CSV.
    """
    if not job.result_files:
        raise ValueError(f"The job has no result file: its status is {job.status}.")
    content = client.files.content(job.result_files[0]).read()
    if b"," not in content:  # then it is base64, which has no commas
        with suppress(ValueError):
            content = base64.b64decode(content)
    if b"," not in content:
        raise ValueError("The result file is neither a CSV nor a CSV in base64.")
    return pd.read_csv(io.BytesIO(content))
