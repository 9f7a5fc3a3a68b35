"""`heroes jobs`: follow fine-tuning jobs, look at them, steer them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heroes import defaults
from heroes.following import Every, follow_job, show_event
from heroes.job_create import create
from heroes.output import (
    NOT_THERE,
    All,
    CommandError,
    Json,
    Limit,
    client,
    console,
    first,
    group,
    note,
    plainly,
    show_fields,
    show_json,
    show_table,
    when,
)

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob

app = group("Fine-tuning jobs.")

JobId = Annotated[str, typer.Argument(help="The job's id, as `heroes jobs list` shows it.")]


app.command()(create)


@app.command()
@plainly
def follow(job_id: JobId, every: Every = defaults.POLL_SECONDS, json: Json = False) -> None:
    """Show a job's events until it ends. Exit code 0 only if it has succeeded.

    Ctrl-C ends the following, not the job. With --json: a line for each event, then the job.

    Example: heroes jobs follow ftjob-abc123
    """
    with client() as api:
        follow_job(api, job_id, every, json)


@app.command("list")
@plainly
def list_(limit: Limit = defaults.LIST_LIMIT, all_: All = False, json: Json = False) -> None:
    """List the fine-tuning jobs, newest first.

    Example: heroes jobs list --limit 5
    """
    with client() as api:
        found = first(api.fine_tuning.jobs.list(), limit, all_)
    if json:
        show_json(found)
        return
    rows = [(j.id, j.status, j.model, when(j.created_at), j.fine_tuned_model) for j in found]
    show_table(
        ["id", "status", "base model", "created", "tuned model"], rows, empty="There are no jobs."
    )


@app.command()
@plainly
def get(job_id: JobId, json: Json = False) -> None:
    """Show a job: its state, its settings, its model, why it failed.

    Example: heroes jobs get ftjob-abc123
    """
    with client() as api:
        _show(api.fine_tuning.jobs.retrieve(job_id), json)


@app.command()
@plainly
def cancel(job_id: JobId, json: Json = False) -> None:
    """Cancel a job. What it has learned is lost.

    Example: heroes jobs cancel ftjob-abc123
    """
    with client() as api:
        _show_state(api.fine_tuning.jobs.cancel(job_id), json)


@app.command()
@plainly
def pause(job_id: JobId, json: Json = False) -> None:
    """Pause a job after its present step.

    Example: heroes jobs pause ftjob-abc123
    """
    with client() as api:
        _show_state(api.fine_tuning.jobs.pause(job_id), json)


@app.command()
@plainly
def resume(job_id: JobId, json: Json = False) -> None:
    """Let a paused job go on where it stopped.

    Example: heroes jobs resume ftjob-abc123
    """
    with client() as api:
        _show_state(api.fine_tuning.jobs.resume(job_id), json)


@app.command()
@plainly
def events(
    job_id: JobId,
    limit: Limit = defaults.LIST_LIMIT,
    all_: All = False,
    json: Json = False,
) -> None:
    """Show the latest events of a job, in the order in which they happened.

    Example: heroes jobs events ftjob-abc123 --all
    """
    with client() as api:
        found = first(api.fine_tuning.jobs.list_events(job_id, limit=100), limit, all_)[::-1]
    if json:
        show_json(found)
        return
    for event in found:
        show_event(event)


@app.command()
@plainly
def checkpoints(job_id: JobId, json: Json = False) -> None:
    """List the models that a job has saved on its way, newest first.

    Example: heroes jobs checkpoints ftjob-abc123
    """
    with client() as api:
        found = list(api.fine_tuning.jobs.checkpoints.list(job_id))
    if json:
        show_json(found)
        return
    rows = [
        (
            c.step_number,
            _number(c.metrics.train_loss),
            _number(c.metrics.full_valid_loss),
            c.fine_tuned_model_checkpoint,
        )
        for c in found
    ]
    show_table(
        ["step", "training loss", "exam loss", "model"], rows, empty="There is no checkpoint yet."
    )


@app.command()
@plainly
def results(
    job_id: JobId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file, not to the screen.")
    ] = None,
    json: Json = False,
) -> None:
    """Fetch the numbers of every training step, as CSV (or JSON).

    Exit code 3 while there are none.

    Example: heroes jobs results ftjob-abc123 -o losses.csv
    """
    from helpers.data import replace_text
    from helpers.events import result_frame

    with client() as api:
        job = api.fine_tuning.jobs.retrieve(job_id)
        if not job.result_files:
            raise CommandError(f"The job has no results: its status is {job.status}.", NOT_THERE)
        try:
            frame = result_frame(api, job)
        except ValueError as error:
            raise CommandError(str(error)) from error
    text = (
        frame.to_json(orient="records", lines=False) + "\n" if json else frame.to_csv(index=False)
    )
    if output is None:
        typer.echo(text, nl=False)
    else:
        replace_text(output, text)
        note(f"Written: {output}")


def _show(job: FineTuningJob, json: bool) -> None:
    if json:
        show_json(job)
        return
    numbers = job.hyperparameters.model_dump(exclude_none=True) if job.hyperparameters else {}
    show_fields(
        {
            "id": job.id,
            "status": job.status,
            "why": f"{job.error.code}: {job.error.message}" if job.error and job.error.code else "",
            "base model": job.model,
            "tuned model": job.fine_tuned_model,
            "created": when(job.created_at),
            "finished": when(job.finished_at),
            "expected": "" if job.finished_at else when(job.estimated_finish),
            "training file": job.training_file,
            "validation file": job.validation_file,
            "result files": ", ".join(job.result_files or []),
            "settings": ", ".join(f"{name} {value}" for name, value in numbers.items()),
            "seed": job.seed,
            "labels": ", ".join(f"{name}={value}" for name, value in (job.metadata or {}).items()),
            "trained tokens": f"{job.trained_tokens:,}" if job.trained_tokens else None,
        }
    )


def _show_state(job: FineTuningJob, json: bool) -> None:
    if json:
        show_json(job)
    else:
        console.print(f"{job.id} is {job.status.replace('_', ' ')}.")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
