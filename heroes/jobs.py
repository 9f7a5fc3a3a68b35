"""`heroes jobs`: list, show, cancel, pause and resume fine-tuning jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from heroes.endpoint import client, first
from heroes.jobs_create import create
from heroes.jobs_follow import follow, show_event
from heroes.options import LIST_LIMIT, All, JobId, Json, Limit, Output
from heroes.output import NOT_THERE, CommandError, note, show, show_json
from heroes.tables import show_fields, show_list, when

app = typer.Typer(name="jobs", help="Fine-tuning jobs.", no_args_is_help=True)
app.command()(create)
app.command()(follow)


@app.command("list")
def list_(limit: Limit = LIST_LIMIT, all_: All = False, json: Json = False) -> None:
    """List the fine-tuning jobs, newest first.

    Example: heroes jobs list --limit 5
    """
    with client() as api:
        found = first(api.fine_tuning.jobs.list(), limit, all_)
    row = lambda j: (j.id, j.status, j.model, when(j.created_at), j.fine_tuned_model)  # noqa: E731
    columns = ["id", "status", "base model", "created", "tuned model"]
    show_list(found, json, columns, row, "There are no jobs.")


@app.command()
def get(job_id: JobId, json: Json = False) -> None:
    """Show a job: its state, its settings, its model, why it failed.

    Example: heroes jobs get ftjob-abc123
    """
    with client() as api:
        show_fields(api.fine_tuning.jobs.retrieve(job_id), json)


STEERING = {
    "cancel": "Cancel a job. What it has learned is lost.",
    "pause": "Pause a job after its current step.",
    "resume": "Resume a paused job where it stopped.",
}


def _steering(verb: str) -> Callable[..., None]:
    def steer(job_id: JobId, json: Json = False) -> None:
        with client() as api:
            job = getattr(api.fine_tuning.jobs, verb)(job_id)
        show(job, json, f"{job.id} is {job.status.replace('_', ' ')}.")

    return steer


for verb, what in STEERING.items():
    app.command(verb, help=f"{what}\n\nExample: heroes jobs {verb} ftjob-abc123")(_steering(verb))


@app.command()
def events(job_id: JobId, limit: Limit = LIST_LIMIT, all_: All = False, json: Json = False) -> None:
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
def checkpoints(job_id: JobId, json: Json = False) -> None:
    """List the models that a job saved during training, newest first.

    Example: heroes jobs checkpoints ftjob-abc123
    """
    with client() as api:
        found = list(api.fine_tuning.jobs.checkpoints.list(job_id))

    def row(each: Any) -> tuple[object, ...]:
        losses = (each.metrics.train_loss, each.metrics.full_valid_loss)
        shown = ["" if loss is None else f"{loss:.3f}" for loss in losses]
        return each.step_number, *shown, each.fine_tuned_model_checkpoint

    columns = ["step", "training loss", "validation loss", "model"]
    show_list(found, json, columns, row, "There is no checkpoint yet.")


@app.command()
def results(job_id: JobId, output: Output = None, json: Json = False) -> None:
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
        except ValueError as error:  # what came is no table
            raise CommandError(str(error)) from error
    text = frame.to_json(orient="records") + "\n" if json else frame.to_csv(index=False)
    if output is None:
        typer.echo(text, nl=False)
    else:
        replace_text(output, text)
        note(f"Written: {output}")
