"""`heroes jobs create`: check and upload the files, agree on the cost, create the job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import BadParameter, Option

from heroes.endpoint import client
from heroes.files import check_or_refuse, upload_file
from heroes.jobs_follow import follow_job
from heroes.options import Agreed, Json, MaxUsd, NoCheck
from heroes.output import INTERRUPTED, CommandError, note, show
from heroes.paying import agree

if TYPE_CHECKING:
    from openai import OpenAI

    from helpers.money import Estimate


def create(
    training: Annotated[
        str, Option("--training-file", "-t", help="A file to upload, or an uploaded one's id.")
    ],
    model: Annotated[
        str | None, Option("--model", "-m", help="The model to tune; else the endpoint's own.")
    ] = None,
    validation: Annotated[
        str | None,
        Option("--validation-file", "-v", help="A validation file: measured, not trained."),
    ] = None,
    suffix: Annotated[str | None, Option(help="A word in the new model's name.")] = None,
    epochs: Annotated[
        int | None, Option(min=1, help="Passes over the examples; else the server chooses.")
    ] = None,
    batch_size: Annotated[
        int | None, Option(min=1, help="Examples in one step; else the server chooses.")
    ] = None,
    rate: Annotated[
        float | None,
        Option("--learning-rate-multiplier", help="Size of each step; else the server chooses."),
    ] = None,
    seed: Annotated[
        int | None, Option(help="Makes the job repeatable, as far as the server can.")
    ] = None,
    metadata: Annotated[
        list[str] | None, Option(metavar="KEY=VALUE", help="A label; may be repeated.")
    ] = None,
    follow: Annotated[
        bool, Option("--follow/--no-follow", help="Watch the job until it ends.")
    ] = True,
    no_check: NoCheck = False,
    max_usd: MaxUsd = None,
    yes: Agreed = False,
    json: Json = False,
) -> None:
    """Create a fine-tuning job: check and upload its files, create it, follow it.

    Example: heroes jobs create -t data/train.jsonl -v data/validation.jsonl --suffix SuperHero
    """
    from helpers.jobs import create_once
    from helpers.settings import load_settings

    settings = load_settings()
    labels, base = _labels(metadata or []), model or settings.base_model
    train_on, measure_on = _local(training), validation and _local(validation)
    for file in (train_on, measure_on):
        if isinstance(file, Path) and not no_check:
            check_or_refuse(file, training=file is train_on)
    numbers = _given(n_epochs=epochs, batch_size=batch_size, learning_rate_multiplier=rate)
    with client() as api:
        _refuse_untrainable(api, base, settings.provider)
        agree(_estimate(api, train_on, base, epochs, settings.provider), yes, max_usd)
        request = _given(
            model=base,
            training_file=_uploaded(api, train_on),
            validation_file=measure_on and _uploaded(api, measure_on),
            suffix=suffix,
            seed=seed,
            metadata=labels or None,
            method={"type": "supervised", "supervised": {"hyperparameters": numbers}},
        )
        try:
            job = create_once(api, **request, **settings.job_options)
        except KeyboardInterrupt:
            words = "Interrupted while the job was being created. Is it there? heroes jobs list"
            raise CommandError(words, INTERRUPTED) from None
        note(f"Created {job.id}")
        if follow:
            follow_job(api, job.id, json)
        else:
            note(f"Follow it with: heroes jobs follow {job.id}")
            show(job, json, job.id)


def _given(**values: Any) -> dict[str, Any]:
    """Without what was left out: there the server chooses."""
    return {name: value for name, value in values.items() if value is not None}


def _labels(pairs: list[str]) -> dict[str, str]:
    labels = dict(pair.partition("=")[::2] for pair in pairs)
    if "" in labels.values() or "" in labels:
        raise BadParameter("A label has the form KEY=VALUE.", param_hint="--metadata")
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


def _uploaded(api: OpenAI, file: Path | str) -> str:
    return upload_file(api, file).id if isinstance(file, Path) else file


def _refuse_untrainable(api: OpenAI, base: str, provider: str) -> None:
    """Before anything is uploaded: the sandbox knows its models, a price list those of others."""
    from helpers.prices import price_of

    if provider == "sandbox":
        trainable = base in (names := [model.id for model in api.models.list()])
        hint = f"This sandbox has: {', '.join(names)}."
    else:
        price = price_of(base, provider)
        trainable = price is None or price.training is not None
        hint = "`heroes cost FILE` lists the models that can be."
    if not trainable:
        raise CommandError(f"{base} cannot be fine-tuned here. {hint} Nothing was uploaded.")


def _estimate(
    api: OpenAI, file: Path | str, base: str, epochs: int | None, provider: str
) -> Estimate:
    """From the file's text or, if it was uploaded before, from its size."""
    from helpers.money import estimate_training, estimate_training_size

    if isinstance(file, Path):
        return estimate_training(file, base, epochs, exact=True, provider=provider)
    return estimate_training_size(api.files.retrieve(file).bytes, base, epochs, provider=provider)
