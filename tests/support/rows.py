"""Rows for the store, complete but for what a test says."""

from __future__ import annotations

from typing import Any

from sandbox.store.tables import BatchRow, JobRow, ModelRow


def new_job(training_file: str, **fields: Any) -> JobRow:
    """A job that is not stored yet: of the project learner, on the base "tiny"."""
    usual = {"project": "learner", "model": "tiny", "seed": 5, "method": {}, "hyperparameters": {}}
    return JobRow(training_file=training_file, **usual | fields)


def new_batch(input_file: str, **fields: Any) -> BatchRow:
    """A batch that is not stored yet, of the project learner."""
    usual = {"project": "learner", "endpoint": "/v1/completions"}
    return BatchRow(input_file=input_file, **usual | fields)


def new_model(name: str, job: JobRow, step: int = 4, **fields: Any) -> ModelRow:
    """A model that is not stored yet, in the folder that its job gives it."""
    usual = {
        "project": job.project,
        "base": job.model,
        "path": f"{job.id}-{step}",
        "format": "chat",
    }
    return ModelRow(name=name, job_id=job.id, step=step, **usual | fields)
