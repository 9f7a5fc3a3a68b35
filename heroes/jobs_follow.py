"""`heroes jobs follow`: show a job's events until it ends."""

from __future__ import annotations

import contextlib
import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from heroes.endpoint import client
from heroes.options import Every, JobId, Json
from heroes.output import INTERRUPTED, NOT_THERE, CommandError, console, note, printable, show_json

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
    from rich.status import Status


def follow(job_id: JobId, every: Every = 1.0, json: Json = False) -> None:
    """Show a job's events until it ends. Exit code 0 only if it has succeeded.

    Ctrl-C ends the following, not the job. With --json: a line for each event, then the job.

    Example: heroes jobs follow ftjob-abc123
    """
    with client() as api:
        follow_job(api, job_id, json, every)


def follow_job(api: OpenAI, job_id: str, json: bool, every: float = 1.0) -> None:
    """Show its events, then how it ended. Raises CommandError if it has not succeeded."""
    from helpers.follow import watch

    live = console.is_terminal and not json
    try:
        with console.status(Text("waiting")) if live else contextlib.nullcontext() as status:
            for job, events in watch(api, job_id, every=every, on_trouble=note):  # noqa: B007
                for event in events:
                    show_json(event, indent=None) if json else _show_live(event, status)
    except KeyboardInterrupt:
        words = "Stopped following; the job goes on.\n"
        words += f"Follow it again: heroes jobs follow {job_id}\n"
        words += f"End it:          heroes jobs cancel {job_id}"
        raise CommandError(words, INTERRUPTED) from None
    if json:
        show_json(job, indent=None)
    _refuse_unfinished(job)
    if not json:
        console.print(f"The job succeeded. The model is called {job.fine_tuned_model}")


def _show_live(event: FineTuningJobEvent, status: Status | None) -> None:
    """On a terminal the steps change one line at the bottom."""
    from helpers.events import metrics_of

    if status and (row := metrics_of(event)):
        loss = f", loss {row['train_loss']:.3f}" if "train_loss" in row else ""
        status.update(Text(f"step {row['step']} of {row['total_steps']}{loss}"))
    else:
        show_event(event)


def show_event(event: FineTuningJobEvent) -> None:
    """Print an event: its time, and its level if something is wrong."""
    moment = datetime.datetime.fromtimestamp(event.created_at).strftime("%H:%M:%S")
    level = "" if event.level == "info" else f"{event.level}: "
    console.print(f"{moment}  {level}{printable(event.message)}")


def _refuse_unfinished(job: FineTuningJob) -> None:
    if job.status == "paused":
        words = f"The job is paused. Resume it: heroes jobs resume {job.id}"
        raise CommandError(words, NOT_THERE)
    if job.status == "failed":
        known = job.error and job.error.message
        reason = f"{job.error.code}: {job.error.message}" if known else "No reason was given."
        raise CommandError(f"The job failed. {reason}")
    if job.status != "succeeded":
        raise CommandError(f"The job was {job.status}.")
