"""What a job tells about its training: events, losses, the result file."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

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
_STEP = re.compile(r"Step (\d+)(?:/(\d+))?\s*:\s*(.*)")
_LOSS = re.compile(r"(training|full validation|validation) loss=([0-9.eE+-]+)")
_LOSS_NAMES = {
    "training": "train_loss",
    "validation": "valid_loss",
    "full validation": "full_valid_loss",
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
    step, total = data.get("step"), data.get("total_steps")
    told = _STEP.match(event.message or "")
    if step is None and told:
        step, total = int(told[1]), int(told[2]) if told[2] else None
    if step is None:
        return None
    row = {name: data[key] for key, name in METRICS.items() if data.get(key) is not None}
    if not row and told:  # a server that puts the numbers into the text alone
        row = {_LOSS_NAMES[name]: float(value) for name, value in _LOSS.findall(told[3])}
    return {"step": int(step), "total_steps": total, **row} if row else None


def loss_frame(events: Iterable[FineTuningJobEvent]) -> pd.DataFrame:
    """One row per training step: step, train_loss, train_accuracy, valid_loss … (NaN: not
    measured at this step). A step that was reported twice, after a resume, counts once."""
    rows: dict[int, dict[str, Any]] = {}
    for event in events:
        if row := metrics_of(event):
            rows[row["step"]] = {k: v for k, v in row.items() if k != "total_steps"}
    columns = ["step", *METRICS.values()]
    frame = pd.DataFrame([rows[step] for step in sorted(rows)], columns=columns)
    return frame.astype({"step": "int64", **dict.fromkeys(METRICS.values(), "float64")})


def result_frame(client: OpenAI, job: FineTuningJob) -> pd.DataFrame:
    """The job's result file as a table: one row per step, with the server's column names.

    The file is a CSV; hosted APIs wrap it in base64, and both are read. Raises ValueError if the
    job has no result file (yet), or it is no CSV.
    """
    if not job.result_files:
        raise ValueError(f"The job has no result file: its status is {job.status}.")
    content = client.files.content(job.result_files[0]).read()
    return pd.read_csv(io.BytesIO(_plain_csv(content)))


def _plain_csv(content: bytes) -> bytes:
    first = content.split(b"\n", 1)[0]
    if b"," in first:  # base64 has no commas
        return content
    try:
        plain = base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        raise ValueError("The result file is neither a CSV nor a CSV in base64.") from None
    if b"," not in plain.split(b"\n", 1)[0]:
        raise ValueError("The result file holds base64, but no CSV in it.")
    return plain
