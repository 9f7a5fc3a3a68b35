"""`heroes jobs`: create, follow, look at and steer fine-tuning jobs."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from heroes.files import NoCheck, Output, check_or_refuse, upload_file
from heroes.output import (
    INTERRUPTED,
    LIST_LIMIT,
    NOT_THERE,
    All,
    CommandError,
    Commands,
    Json,
    Limit,
    client,
    console,
    fail,
    first,
    note,
    printable,
    show_fields,
    show_json,
    show_table,
    when,
)
from heroes.paying import Agreed, MaxUsd, agree

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

    from helpers.settings import Settings

app = Commands("Fine-tuning jobs.")

JobId = Annotated[str, typer.Argument(help="The job's id, as `heroes jobs list` shows it.")]
Every = Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")]


@app.command()
def create(
    training: Annotated[
        str,
        typer.Option("--training-file", "-t", help="A file to upload, or an uploaded one's id."),
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="The model to tune; the endpoint's own by default."),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option("--validation-file", "-v", help="A validation file: measured, not trained."),
    ] = None,
    suffix: Annotated[str | None, typer.Option(help="A word in the new model's name.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the examples; else the server chooses.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Examples in one step; else the server chooses.")
    ] = None,
    learning_rate_multiplier: Annotated[
        float | None, typer.Option(help="Size of each step; else the server chooses.")
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
    """Create a fine-tuning job: check and upload its files, create it, follow it.

    Ctrl-C ends the following, not the job.

    Example: heroes jobs create -t data/train.jsonl -v data/validation.jsonl --suffix SuperHero
    """
    from helpers.jobs import create_once
    from helpers.settings import load_settings

    labels = _labels(metadata or [])
    files = {
        "training_file": _local(training),
        "validation_file": validation and _local(validation),
    }
    for role, file in files.items():
        if isinstance(file, Path) and not no_check:
            check_or_refuse(file, training=role == "training_file")
    settings = load_settings()
    base = model or settings.base_model
    numbers = {
        "n_epochs": epochs,
        "batch_size": batch_size,
        "learning_rate_multiplier": learning_rate_multiplier,
    }
    with client() as api:
        _refuse_untrainable(api, base, settings)
        _agree_to_train(api, files["training_file"], base, epochs, settings, yes, max_usd)
        request = {
            "model": base,
            **{r: upload_file(api, f).id if isinstance(f, Path) else f for r, f in files.items()},
            "suffix": suffix,
            "seed": seed,
            "metadata": labels or None,
            "method": {"type": "supervised", "supervised": {"hyperparameters": _given(numbers)}},
        }
        try:
            job = create_once(api, **_given(request), **settings.job_options)
        except KeyboardInterrupt:
            words = "Interrupted while the job was being created. Is it there? heroes jobs list"
            raise CommandError(words, INTERRUPTED) from None
        note(f"Created {job.id}")
        if follow:
            _follow(api, job.id, 1.0, json)
        elif json:
            show_json(job)
        else:
            note(f"Follow it with: heroes jobs follow {job.id}")
            console.print(job.id)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Without what was left out: there the server chooses."""
    return {name: value for name, value in values.items() if value is not None}


def _labels(pairs: list[str]) -> dict[str, str]:
    labels = dict(pair.partition("=")[::2] for pair in pairs)
    if "" in labels.values() or "" in labels:
        raise typer.BadParameter("A label has the form KEY=VALUE.", param_hint="--metadata")
    return labels


def _local(named: str) -> Path | str:
    """The file on this disk that is meant, else the id of an uploaded one.

    Raises FileNotFoundError for what looks like a path and leads nowhere.
    """
    path = Path(named).expanduser()
    if path.is_file():
        return path
    if path.suffix or "/" in named or "\\" in named or path.is_dir():
        raise FileNotFoundError(f"There is no file {named} here.")
    return named


def _refuse_untrainable(api: OpenAI, base: str, settings: Settings) -> None:
    """Before anything is uploaded: the sandbox knows its models, a price list those of others."""
    from helpers.prices import price_of

    if settings.provider == "sandbox":
        trainable = base in (names := [model.id for model in api.models.list()])
        hint = f"This sandbox has: {', '.join(names)}."
    else:
        price = price_of(base, settings.provider)
        trainable = price is None or price.training is not None
        hint = "`heroes cost FILE` lists the models that can be."
    if not trainable:
        raise CommandError(f"{base} cannot be fine-tuned here. {hint} Nothing was uploaded.")


def _agree_to_train(
    api: OpenAI,
    file: Path | str,
    base: str,
    epochs: int | None,
    settings: Settings,
    yes: bool,
    max_usd: float | None,
) -> None:
    """Ask about the cost, from the file's text or, if it was uploaded before, from its size."""
    from helpers.money import estimate_training, estimate_training_size

    provider = settings.provider
    if isinstance(file, Path):
        cost = estimate_training(file, base, epochs, exact=True, provider=provider)
    else:
        size = api.files.retrieve(file).bytes
        cost = estimate_training_size(size, base, epochs, provider=provider)
    agree(cost, yes, max_usd)


@app.command()
def follow(job_id: JobId, every: Every = 1.0, json: Json = False) -> None:
    """Show a job's events until it ends. Exit code 0 only if it has succeeded.

    Ctrl-C ends the following, not the job. With --json: a line for each event, then the job.

    Example: heroes jobs follow ftjob-abc123
    """
    with client() as api:
        _follow(api, job_id, every, json)


def _follow(api: OpenAI, job_id: str, every: float, json: bool) -> None:
    from helpers.events import metrics_of
    from helpers.follow import watch

    live = console.is_terminal and not json
    try:
        with console.status(Text("waiting")) if live else contextlib.nullcontext() as status:
            for job, events in watch(api, job_id, every=every, on_trouble=note):  # noqa: B007
                for event in events:
                    row = metrics_of(event) if status else None
                    if json:
                        show_json(event, indent=None)
                    elif row:  # on a terminal the steps change one line at the bottom
                        loss = f", loss {row['train_loss']:.3f}" if "train_loss" in row else ""
                        status.update(Text(f"step {row['step']} of {row['total_steps']}{loss}"))
                    else:
                        _show_event(event)
    except KeyboardInterrupt:
        note(f"Stopped following; the job goes on.\nFollow it again: heroes jobs follow {job_id}")
        note(f"End it:          heroes jobs cancel {job_id}")
        raise typer.Exit(INTERRUPTED) from None
    if json:
        show_json(job, indent=None)
    _end(job, json)


def _show_event(event: FineTuningJobEvent) -> None:
    moment = datetime.datetime.fromtimestamp(event.created_at).strftime("%H:%M:%S")
    level = "" if event.level == "info" else f"{event.level}: "
    console.print(f"{moment}  {level}{printable(event.message)}")


def _end(job: FineTuningJob, json: bool) -> None:
    """The last line, and the exit code: 0 only for a job that has succeeded."""
    if job.status == "succeeded":
        if not json:
            console.print(f"The job succeeded. The model is called {job.fine_tuned_model}")
    elif job.status == "paused":
        note(f"The job is paused. Resume it: heroes jobs resume {job.id}")
        raise typer.Exit(NOT_THERE)
    elif job.status == "failed":
        fail(f"The job failed. {_why(job) or 'No reason was given.'}")
    else:
        fail(f"The job was {job.status}.")


def _why(job: FineTuningJob) -> str:
    return f"{job.error.code}: {job.error.message}" if job.error and job.error.message else ""


@app.command("list")
def list_(limit: Limit = LIST_LIMIT, all_: All = False, json: Json = False) -> None:
    """List the fine-tuning jobs, newest first.

    Example: heroes jobs list --limit 5
    """
    with client() as api:
        found = first(api.fine_tuning.jobs.list(), limit, all_)
    if json:
        show_json(found)
        return
    rows = [(j.id, j.status, j.model, when(j.created_at), j.fine_tuned_model) for j in found]
    columns = ["id", "status", "base model", "created", "tuned model"]
    show_table(columns, rows, empty="There are no jobs.")


@app.command()
def get(job_id: JobId, json: Json = False) -> None:
    """Show a job: its state, its settings, its model, why it failed.

    Example: heroes jobs get ftjob-abc123
    """
    with client() as api:
        job = api.fine_tuning.jobs.retrieve(job_id)
    if json:
        show_json(job)
        return
    numbers = job.hyperparameters.model_dump(exclude_none=True) if job.hyperparameters else {}
    fields = {
        "id": job.id,
        "status": job.status,
        "why": _why(job),
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
    show_fields(fields)


@app.command()
def cancel(job_id: JobId, json: Json = False) -> None:
    """Cancel a job. What it has learned is lost.

    Example: heroes jobs cancel ftjob-abc123
    """
    _steer("cancel", job_id, json)


@app.command()
def pause(job_id: JobId, json: Json = False) -> None:
    """Pause a job after its present step.

    Example: heroes jobs pause ftjob-abc123
    """
    _steer("pause", job_id, json)


@app.command()
def resume(job_id: JobId, json: Json = False) -> None:
    """Resume a paused job where it stopped.

    Example: heroes jobs resume ftjob-abc123
    """
    _steer("resume", job_id, json)


def _steer(verb: str, job_id: str, json: bool) -> None:
    with client() as api:
        job = getattr(api.fine_tuning.jobs, verb)(job_id)
    if json:
        show_json(job)
    else:
        console.print(f"{job.id} is {job.status.replace('_', ' ')}.")


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
        _show_event(event)


@app.command()
def checkpoints(job_id: JobId, json: Json = False) -> None:
    """List the models that a job saved during training, newest first.

    Example: heroes jobs checkpoints ftjob-abc123
    """
    with client() as api:
        found = list(api.fine_tuning.jobs.checkpoints.list(job_id))
    if json:
        show_json(found)
        return
    rows = []
    for each in found:
        losses = (each.metrics.train_loss, each.metrics.full_valid_loss)
        shown = ["" if loss is None else f"{loss:.3f}" for loss in losses]
        rows.append((each.step_number, *shown, each.fine_tuned_model_checkpoint))
    columns = ["step", "training loss", "validation loss", "model"]
    show_table(columns, rows, empty="There is no checkpoint yet.")


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
        except ValueError as error:
            raise CommandError(str(error)) from error
    text = frame.to_json(orient="records") + "\n" if json else frame.to_csv(index=False)
    if output is None:
        typer.echo(text, nl=False)
    else:
        replace_text(output, text)
        note(f"Written: {output}")
