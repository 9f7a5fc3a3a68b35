"""Notebook 04 in short: check two files, upload them, and order a fine-tuning job.

python scripts/04_job_submission.py --epochs 4
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from helpers.check_file import check_file
from helpers.connect import connect
from helpers.data import find
from helpers.money import estimate_training
from helpers.settings import load_settings


def upload(client: OpenAI, path: Path, training: bool) -> str:
    """The id of the uploaded file, once it is checked here and processed there."""
    report = check_file(path, training=training)
    print(report.summary)
    if not report.ok:
        raise SystemExit(str(report))
    file = client.files.create(file=path, purpose="fine-tune")
    while client.files.retrieve(file.id).status == "uploaded":
        time.sleep(1)
    return file.id


def order(client: OpenAI, training_file: str, validation_file: str, epochs: int) -> FineTuningJob:
    """The click. Retries are off: a lost answer must not become a second job."""
    settings = load_settings()
    return client.with_options(max_retries=0).fine_tuning.jobs.create(
        model=settings.base_model,
        training_file=training_file,
        validation_file=validation_file,
        suffix="SuperHero",
        seed=42,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": epochs}}},
        metadata={"course": "superheroes", "format": "chat"},
        **settings.job_options,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--training-file", type=Path, default=find("train.jsonl"))
    parser.add_argument("--validation-file", type=Path, default=find("validation.jsonl"))
    options = parser.parse_args()

    client = connect()
    print(estimate_training(options.training_file, load_settings().base_model, options.epochs))
    files = [
        upload(client, options.training_file, training=True),
        upload(client, options.validation_file, training=False),
    ]
    job = order(client, *files, options.epochs)
    print(f"Ordered: {job.id}")
    while job.status == "validating_files":
        time.sleep(0.5)
        job = client.fine_tuning.jobs.retrieve(job.id)
    print(f"Status: {job.status}", job.error.message if job.status == "failed" else "")
    for event in list(client.fine_tuning.jobs.list_events(job.id))[::-1][:3]:
        print(f"  {event.level}: {event.message}")
    print(f"Watch it: python scripts/05_polling.py {job.id}")


if __name__ == "__main__":
    main()
