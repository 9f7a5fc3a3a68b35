"""`heroes jobs create`: check and upload the files, tell the price, send the job, follow it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heroes import defaults
from heroes.files import NoCheck, check_or_refuse, upload_file
from heroes.following import follow_job
from heroes.output import (
    INTERRUPTED,
    CommandError,
    Json,
    client,
    console,
    note,
    plainly,
    show_json,
)
from heroes.paying import Agreed, MaxUsd, paying

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

    from helpers.money import Estimate
    from heroes.new_job import NewJob


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
    from helpers.settings import load_settings
    from heroes.new_job import NewJob

    labels = _labels(metadata or [])
    train_path = _find_and_check(training, True, no_check)
    valid_path = _find_and_check(validation, False, no_check) if validation else None
    settings = load_settings()
    base = model or settings.base_model
    with client() as api:
        cost = _estimate(api, training, train_path, base, epochs, settings.provider)
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


def _labels(pairs: list[str]) -> dict[str, str]:
    labels = dict(pair.split("=", 1) if "=" in pair else (pair, "") for pair in pairs)
    if "" in labels.values() or "" in labels:
        raise typer.BadParameter("A label has the form KEY=VALUE.", param_hint="--metadata")
    return labels


def _find_and_check(named: str, training: bool, no_check: bool) -> Path | None:
    """The local file that is meant, checked; None for an uploaded one."""
    from heroes.new_job import local_file

    path = local_file(named)
    if path and not no_check:
        check_or_refuse(path, training=training)
    return path


def _file_id(api: OpenAI, named: str, path: Path | None) -> str:
    return upload_file(api, path).id if path else named


def _estimate(
    api: OpenAI, named: str, path: Path | None, model: str, epochs: int | None, provider: str
) -> Estimate:
    """What training will cost, from the file's text or, if it is far away, from its size."""
    from helpers.money import estimate_training, estimate_training_size

    if path:
        return estimate_training(path, model, epochs, exact=True, provider=provider)
    size = api.files.retrieve(named).bytes
    return estimate_training_size(size, model, epochs, provider=provider)


def _send(api: OpenAI, new: NewJob) -> FineTuningJob:
    from heroes.new_job import create_once

    try:
        return create_once(api, new.request())
    except KeyboardInterrupt:
        raise CommandError(
            "Interrupted while the job was being sent. Whether it exists: heroes jobs list",
            INTERRUPTED,
        ) from None
