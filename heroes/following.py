"""Show a job's events as they come, and end with an exit code that tells how it went."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from heroes.output import (
    FAILED,
    INTERRUPTED,
    NOT_THERE,
    console,
    fail,
    note,
    printable,
    show_json_line,
)

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
    from rich.status import Status

Every = Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")]


def follow_job(api: OpenAI, job_id: str, every: float, json: bool) -> None:
    """Follow a job to its end; Ctrl-C ends only the following."""
    from helpers.follow import watch

    try:
        job = _show(watch(api, job_id, every=every, on_trouble=note), json)
    except KeyboardInterrupt:
        _left(job_id)
    _end(job, json)


def show_event(event: FineTuningJobEvent) -> None:
    """One event as one line."""
    moment = datetime.datetime.fromtimestamp(event.created_at).strftime("%H:%M:%S")
    level = "" if event.level == "info" else f"{event.level}: "
    console.print(f"{moment}  {level}{printable(event.message)}")


def _show(
    looks: Iterator[tuple[FineTuningJob, list[FineTuningJobEvent]]], json: bool
) -> FineTuningJob:
    live = console.is_terminal and not json
    with console.status("waiting") if live else contextlib.nullcontext() as status:
        for job, events in looks:  # noqa: B007 - the last one is wanted
            for event in events:
                if json:
                    show_json_line(event)
                elif status is None or not _in_the_status(event, status):
                    show_event(event)
    return job


def _in_the_status(event: FineTuningJobEvent, status: Status) -> bool:
    """On a terminal the numbers of the steps change one line at the bottom."""
    from helpers.events import metrics_of

    if (row := metrics_of(event)) is None:
        return False
    total = f" of {row['total_steps']}" if row["total_steps"] else ""
    loss = f", loss {row['train_loss']:.3f}" if "train_loss" in row else ""
    status.update(f"step {row['step']}{total}{loss}")
    return True


def _left(job_id: str) -> NoReturn:
    note("Stopped following; the job goes on.")
    note(f"Follow it again: heroes jobs follow {job_id}")
    note(f"End it:          heroes jobs cancel {job_id}")
    raise typer.Exit(INTERRUPTED)


def _end(job: FineTuningJob, json: bool) -> None:
    """The last line, and the exit code: 0 only for a job that has succeeded."""
    if json:
        show_json_line(job)
    if job.status == "succeeded":
        if not json:
            console.print(f"The job succeeded. The model is called {job.fine_tuned_model}")
    elif job.status == "failed":
        why = f"{job.error.code}: {job.error.message}" if job.error and job.error.message else ""
        fail(f"The job failed. {why or 'No reason was given.'}")
    elif job.status == "paused":
        note(f"The job is paused. Let it go on: heroes jobs resume {job.id}")
        raise typer.Exit(NOT_THERE)
    else:
        fail(f"The job was {job.status}.", FAILED)
