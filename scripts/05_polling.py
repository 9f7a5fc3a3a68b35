"""Notebook 05 in short: follow a job to its end, then read its result file.

    python scripts/05_polling.py [JOB_ID]

Without an id it takes the newest job of the course. Ctrl-C ends the watching, not the job.
"""

from __future__ import annotations

import argparse
import base64
import io
import time

import pandas as pd
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from helpers.connect import connect
from helpers.jobs import ensure_job
from helpers.settings import load_settings

AT_REST = ("succeeded", "failed", "cancelled", "paused")


def follow(client: OpenAI, job_id: str) -> FineTuningJob:
    """Look at the job again and again, and tell each new event once."""
    told: set[str] = set()
    while True:
        job = client.fine_tuning.jobs.retrieve(job_id)
        # All pages: the newest events come first, and only some at a time.
        events = list(client.fine_tuning.jobs.list_events(job_id, limit=100))[::-1]
        for event in events:
            if event.id not in told and event.type != "metrics":
                print(f"  {event.message}", flush=True)
            told.add(event.id)
        if job.status in AT_REST:
            return job
        time.sleep(1)


def losses(client: OpenAI, job: FineTuningJob) -> pd.DataFrame:
    """The result file as a table: some servers send it in base64, some as it is."""
    data = client.files.content(job.result_files[0]).read()
    if not data.startswith(b"step"):
        data = base64.b64decode(data)
    return pd.read_csv(io.BytesIO(data))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", nargs="?", help="a job's id, as ftjob-…")
    wanted = parser.parse_args().job

    client = connect()
    job_id = wanted or ensure_job(client, load_settings(), "chat").id
    print(f"The job {job_id}:")
    try:
        job = follow(client, job_id)
    except KeyboardInterrupt:
        raise SystemExit(f"\nThe job goes on. Watch again: {__file__} {job_id}") from None
    print(f"Status: {job.status}. Model: {job.fine_tuned_model}")
    if job.status != "succeeded":
        raise SystemExit(job.error.message if job.error and job.error.message else 1)

    table = losses(client, job)
    print(f"\n{len(table)} steps, {job.trained_tokens:,} tokens. The loss falls:")
    shown, top = table.iloc[:: max(1, len(table) // 12)], table["train_loss"].max()
    for step, loss in zip(shown["step"], shown["train_loss"], strict=True):
        print(f"  step {step:>4}  {loss:5.2f} {'#' * round(40 * loss / top)}")
    for each in client.fine_tuning.jobs.checkpoints.list(job.id).data[::-1]:
        exam = each.metrics.full_valid_loss
        print(f"Checkpoint at step {each.step_number}: exam loss {exam:.2f}")


if __name__ == "__main__":
    main()
