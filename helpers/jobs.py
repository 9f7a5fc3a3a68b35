"""Step 04: the course's fine-tuning jobs, found again or submitted.

Notebook 04 makes its calls in the open. This module is for the later steps, which start cold:
they need *a* job, and don't care who submitted it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import openai
from openai import OpenAI
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob

from helpers.data import find
from helpers.settings import Settings, load_settings
from heroes.new_job import create_once

Format = Literal["chat", "completion"]

COURSE = "superheroes"
SEED = 42
FILES: dict[Format, tuple[str, str]] = {
    "chat": ("train.jsonl", "validation.jsonl"),
    "completion": ("train_completions.jsonl", "validation_completions.jsonl"),
}
# As in notebook 04: the job on pairs is shorter, and its model can be told from the other.
SUFFIXES: dict[Format, str] = {"chat": "SuperHero", "completion": "SuperHero-pairs"}
EPOCHS: dict[Format, int | str] = {"chat": "auto", "completion": 3}
USABLE = ("validating_files", "queued", "running", "paused", "succeeded")
WIND_DOWN = (
    "OpenAI is closing its fine-tuning platform and takes no jobs from new organisations. Delete "
    "OPENAI_API_KEY from .env to use the sandbox, or name another provider: see notebook 04."
)


class UploadError(RuntimeError):
    """A file was uploaded but the server could not use it; the message says why."""


def tags(format: Format = "chat") -> dict[str, str]:
    """The metadata by which the course finds its jobs again."""
    return {"course": COURSE, "format": format}


def upload(client: OpenAI, path: str | Path, *, max_wait: float = 600.0) -> FileObject:
    """Upload a training file and wait until the server has looked at it.

    Some providers never tell a status: then the file counts as ready. Raises UploadError if the
    server finds fault with it, or needs longer than `max_wait` seconds.
    """
    file = client.files.create(file=Path(path), purpose="fine-tune")
    deadline, pause = time.monotonic() + max_wait, 0.2
    # A server that tells no status leaves None here; waiting for one would never end.
    while file.status in ("uploaded", "running", "pending"):
        if time.monotonic() > deadline:
            raise UploadError(f"{file.filename} is still not processed after {max_wait:.0f} s.")
        time.sleep(pause)
        pause = min(pause * 1.5, 5.0)
        file = client.files.retrieve(file.id)
    if file.status in ("error", "deleted"):
        why = file.status_details or "the server gives no reason"
        raise UploadError(f"{file.filename} could not be processed: {why}.")
    return file


def course_jobs(client: OpenAI, format: Format = "chat") -> Iterator[FineTuningJob]:
    """The course's jobs of a format, newest first, whatever became of them."""
    return labelled_jobs(client, tags(format))


def labelled_jobs(client: OpenAI, labels: dict[str, str]) -> Iterator[FineTuningJob]:
    """The jobs whose metadata hold all these labels, newest first, whatever became of them."""
    try:
        found = list(client.fine_tuning.jobs.list(limit=100, metadata=labels))
    except openai.BadRequestError:
        found = list(client.fine_tuning.jobs.list(limit=100))  # a provider without this filter
    for job in found:
        metadata = job.metadata or {}
        if all(metadata.get(name) == value for name, value in labels.items()):
            yield job


def find_job(client: OpenAI, base_model: str, format: Format = "chat") -> FineTuningJob | None:
    """The newest course job on this base model that lives or succeeded; None if there is none.

    A succeeded job whose model was deleted is of no use any more, and is passed over.
    """
    return find_labelled(client, base_model, tags(format))


def find_labelled(client: OpenAI, base_model: str, labels: dict[str, str]) -> FineTuningJob | None:
    """Like `find_job`, for jobs with labels of your own."""
    for job in labelled_jobs(client, labels):
        if job.status not in USABLE or not _is_base(job.model, base_model):
            continue
        if job.status != "succeeded" or _model_exists(client, job.fine_tuned_model):
            return job
    return None


def _is_base(model: str, base_model: str) -> bool:
    # Hosted APIs may answer with the dated name of the model that was asked for.
    return model == base_model or model.startswith(f"{base_model}-20")


def _model_exists(client: OpenAI, name: str | None) -> bool:
    if name is None:
        return True  # some providers name the model only when it is deployed
    try:
        client.models.retrieve(name)
    except openai.NotFoundError:
        return False
    return True


def submit(
    client: OpenAI, settings: Settings, format: Format = "chat", **changes: Any
) -> FineTuningJob:
    """Upload the course's two files and create the job. `changes` go to `jobs.create`."""
    training, validation = (upload(client, find(name)) for name in FILES[format])
    numbers = {"n_epochs": EPOCHS[format]}
    request: dict[str, Any] = {
        "model": settings.base_model,
        "training_file": training.id,
        "validation_file": validation.id,
        "suffix": SUFFIXES[format],
        "seed": SEED,
        "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
        "metadata": tags(format),
        **settings.job_options,
        **changes,
    }
    try:
        return create_once(client, request)
    except openai.PermissionDeniedError as error:
        if error.code == "training_not_available":
            error.add_note(WIND_DOWN)
        raise


def ensure_job(
    client: OpenAI, settings: Settings | None = None, format: Format = "chat"
) -> FineTuningJob:
    """The course's job of this format: the newest usable one, or else a new one.

    Finding it takes two calls; making it uploads the files of step 03, the learner's own if there
    are any. The job may still be running: `helpers.follow.follow` waits for it.
    """
    if format not in FILES:
        raise ValueError(f"format is {format!r}; choose from {', '.join(FILES)}.")
    settings = settings or load_settings()
    return find_job(client, settings.base_model, format) or submit(client, settings, format)
