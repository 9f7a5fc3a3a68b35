"""Step 04: fine-tuning jobs, created once and found again by their labels."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import openai
from openai import OpenAI
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob

from helpers.agree import agree
from helpers.data import find
from helpers.money import estimate_training
from helpers.settings import Settings

COURSE = "superheroes"
SEED = 42
FILES = {
    "chat": ("train.jsonl", "validation.jsonl"),
    "completion": ("train_completions.jsonl", "validation_completions.jsonl"),
}
# As in notebook 04: suffix and epochs (None: the server chooses).
RECIPES = {"chat": ("SuperHero", None), "completion": ("SuperHero-pairs", 3)}
WIND_DOWN = (
    "OpenAI is closing its fine-tuning platform and takes no jobs from new organisations. Delete "
    "OPENAI_API_KEY from .env to use the sandbox, or name another provider: see notebook 04."
)


class UploadError(RuntimeError):
    """A file was uploaded but the server could not use it; the message says why."""


class JobLost(RuntimeError):
    """The answer to the creation was lost, and perhaps not the job; the message says so."""


def upload(client: OpenAI, path: str | Path, *, max_wait: float = 600.0) -> FileObject:
    """Upload a training file and wait until the server has looked at it, if it tells a status.

    Raises UploadError if the server can't use it, or needs longer than `max_wait` seconds.
    """
    file = client.files.create(file=Path(path), purpose="fine-tune")
    deadline = time.monotonic() + max_wait
    while file.status in ("uploaded", "running", "pending"):
        if time.monotonic() > deadline:
            raise UploadError(f"{file.filename} is still not processed after {max_wait:.0f} s.")
        time.sleep(0.2)
        file = client.files.retrieve(file.id)
    if file.status == "error":
        reason = file.status_details or "no reason given"
        raise UploadError(f"{file.filename} could not be processed: {reason}")
    return file


def create_once(client: OpenAI, **request: Any) -> FineTuningJob:
    """`client.fine_tuning.jobs.create(**request)`, never repeated: that would make a second job.

    If the answer is lost, the job is looked for in the list; JobLost: that can't be read either.
    """
    newest = partial(client.fine_tuning.jobs.list, limit=100)
    known = {job.id for job in newest().data}
    try:
        return client.with_options(max_retries=0).fine_tuning.jobs.create(**request)
    except (openai.APIConnectionError, openai.InternalServerError) as error:
        sent = (request["training_file"], request.get("metadata") or {})
        try:
            new = [job for job in newest().data if job.id not in known]
        except openai.APIError:
            raise JobLost(
                "No answer came to the creation of the job. Before you send it again, look "
                "whether it exists: heroes jobs list"
            ) from error
        for job in new:
            if (job.training_file, job.metadata or {}) == sent:
                return job
        raise
    except openai.PermissionDeniedError as error:
        if error.code == "training_not_available":
            error.add_note(WIND_DOWN)
        raise


def find_job(
    client: OpenAI, labels: dict[str, str], *, base_model: str | None = None
) -> FineTuningJob | None:
    """The newest job with these labels that has not failed, whose model exists; else None."""
    for job in client.fine_tuning.jobs.list(limit=100):  # not every provider can filter it
        # Hosted APIs may answer with the dated name of the model that was asked for.
        bases = (None, job.model, re.sub(r"-\d{4}-\d\d-\d\d$", "", job.model))
        fits = base_model in bases and labels.items() <= (job.metadata or {}).items()
        if not fits or job.status in ("failed", "cancelled"):
            continue
        if job.status != "succeeded" or job.fine_tuned_model is None:
            return job  # some providers name a model only when it is deployed
        with suppress(openai.NotFoundError):  # its model was deleted
            client.models.retrieve(job.fine_tuned_model)
            return job
    return None


def ensure_job(client: OpenAI, settings: Settings, format: str = "chat") -> FineTuningJob:
    """The course's job of this format: the newest usable one, or else a new one.

    On the sandbox, pairs train the generator, which takes seconds; all else trains the base model.
    A new job reads the files of step 03, the learner's own if there are any. One that costs money
    is created only after a yes. The job may still be running: `helpers.follow.follow` waits for it.
    """
    base = settings.base_model
    if format == "completion" and settings.endpoint == "sandbox":
        base = settings.generator_model
    labels = {"course": COURSE, "format": format}
    if found := find_job(client, labels, base_model=base):
        return found
    suffix, n_epochs = RECIPES[format]
    training, validation = (find(name) for name in FILES[format])
    agree(estimate_training(training, base, n_epochs, provider=settings.provider))
    numbers = {"n_epochs": n_epochs or "auto"}
    return create_once(
        client,
        model=base,
        training_file=upload(client, training).id,
        validation_file=upload(client, validation).id,
        suffix=suffix,
        seed=SEED,
        method={"type": "supervised", "supervised": {"hyperparameters": numbers}},
        metadata=labels,
        **settings.job_options,
    )


def labels_for(rows: Sequence[Any], n_epochs: int, rate: float) -> dict[str, str]:
    """The metadata by which an experiment is found again: what was changed, and its rows."""
    text = json.dumps(list(rows), ensure_ascii=False, sort_keys=True)
    return {
        "course": COURSE,
        "format": "experiment",
        "rows": str(len(rows)),
        "epochs": str(n_epochs),
        "rate": f"{rate:g}",
        "data": hashlib.sha256(text.encode()).hexdigest()[:16],
    }
