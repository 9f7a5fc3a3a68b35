"""`heroes jobs`: create fine-tuning jobs, follow them, steer them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from helpers.commands import defaults
from helpers.commands.base import (
    INTERRUPTED,
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
from helpers.commands.files import NoCheck, check_or_refuse, upload_file
from helpers.commands.following import Every, follow_job, show_event
from helpers.commands.paying import Agreed, MaxUsd, paying

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

    from helpers.costs import Estimate
    from helpers.new_job import NewJob

app = group("Fine-tuning jobs.")

JobId = Annotated[str, typer.Argument(help="The job's id, as `heroes jobs list` shows it.")]


@app.command()
@plainly
def create(
    training: Annotated[
        str,
        typer.Option(
            "--training-file", "-t", help="A file to upload, or the id of an uploaded one."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="The model to tune; the endpoint's own by default."),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option("--validation-file", "-v", help="An exam, as path or id. Never learned from."),
    ] = None,
    suffix: Annotated[str | None, typer.Option(help="A word in the new model's name.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Walks through the examples; else the server chooses.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Examples for one step; else the server chooses.")
    ] = None,
    learning_rate_multiplier: Annotated[
        float | None, typer.Option(help="How boldly to learn; else the server chooses.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="For a job that can be repeated, as far as the server can.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label; may be repeated.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Watch the job until it ends.")
    ] = True,
    no_check: NoCheck = False,
    max_usd: MaxUsd = None,
    yes: Agreed = False,
    json: Json = False,
) -> None:
    """Create a fine-tuning job: check and upload its files, send it, follow it.

    Ctrl-C ends the following, not the job.

    Example: heroes jobs create -t data/train.jsonl -v data/validation.jsonl --suffix SuperHero
    """
    from helpers.new_job import NewJob
    from helpers.settings import load_settings

    labels = _labels(metadata or [])
    train_path = _find_and_check(training, True, no_check)
    valid_path = _find_and_check(validation, False, no_check) if validation else None
    settings = load_settings()
    base = model or settings.base_model
    with client() as api:
        cost = _estimate(api, training, train_path, base, epochs)
        with paying(cost, yes, max_usd):
            new = NewJob(
                model=base,
                training_file=_file_id(api, training, train_path),
                validation_file=_file_id(api, validation, valid_path) if validation else None,
                suffix=suffix,
                seed=seed,
                n_epochs=epochs,
                batch_size=batch_size,
                learning_rate_multiplier=learning_rate_multiplier,
                metadata=labels,
                options=settings.job_options,
            )
            job = _send(api, new)
        note(f"Created {job.id}")
        if follow:
            follow_job(api, job.id, defaults.POLL_SECONDS, json)
            return
    if json:
        show_json(job)
    else:
        note(f"Follow it with: heroes jobs follow {job.id}")
        console.print(job.id)


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
    from helpers.artefacts import replace_text
    from helpers.training_log import result_frame

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


def _labels(pairs: list[str]) -> dict[str, str]:
    labels = dict(pair.split("=", 1) if "=" in pair else (pair, "") for pair in pairs)
    if "" in labels.values() or "" in labels:
        raise typer.BadParameter("A label has the form KEY=VALUE.", param_hint="--metadata")
    return labels


def _find_and_check(named: str, training: bool, no_check: bool) -> Path | None:
    """The local file that is meant, checked; None for an uploaded one."""
    from helpers.new_job import local_file

    path = local_file(named)
    if path and not no_check:
        check_or_refuse(path, training=training)
    return path


def _file_id(api: OpenAI, named: str, path: Path | None) -> str:
    return upload_file(api, path).id if path else named


def _estimate(
    api: OpenAI, named: str, path: Path | None, model: str, epochs: int | None
) -> Estimate:
    """What training will cost, from the file's text or, if it is far away, from its size."""
    from helpers.costs import estimate_training, estimate_training_size

    if path:
        return estimate_training(path, model, epochs, exact=True)
    return estimate_training_size(api.files.retrieve(named).bytes, model, epochs)


def _send(api: OpenAI, new: NewJob) -> FineTuningJob:
    from helpers.new_job import create_once

    try:
        return create_once(api, new.request())
    except KeyboardInterrupt:
        raise CommandError(
            "Interrupted while the job was being sent. Whether it exists: heroes jobs list",
            INTERRUPTED,
        ) from None


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
