"""From rows to the objects of the API, built with the SDK's own types.

Only the fields that are given here go out: what the specification calls optional is absent
rather than null.
"""

from typing import Any

from openai import BaseModel
from openai.types import Batch, FileDeleted, FileObject, Model, ModelDeleted
from openai.types.batch import Errors
from openai.types.batch_error import BatchError
from openai.types.batch_request_counts import BatchRequestCounts
from openai.types.batch_usage import BatchUsage, InputTokensDetails, OutputTokensDetails
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.fine_tuning_job import Error
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from sandbox.api.body import dump
from sandbox.config import ORGANIZATION
from sandbox.store.batches import BatchRow
from sandbox.store.checkpoints import CheckpointRow
from sandbox.store.events import EventRow
from sandbox.store.files import FileRow
from sandbox.store.jobs import JobRow

# Values the hosted API sends although the SDK's types lack them: those cannot be validated.
NOT_IN_TYPES = {"evals", "paused"}
NO_ERROR = {"code": None, "message": None, "param": None}


def file_object(row: FileRow) -> dict[str, Any]:
    """Return a file as the API shows it. It was checked on arrival, so it is processed."""
    fields: dict[str, Any] = {
        "id": row.id,
        "object": "file",
        "bytes": row.bytes,
        "created_at": row.created_at,
        "filename": row.filename,
        "purpose": row.purpose,
        "status": "processed",
    }
    if row.expires_at is not None:
        fields["expires_at"] = row.expires_at
    return dump(_build(FileObject, row.purpose, fields))


def file_deleted(file_id: str) -> dict[str, Any]:
    return dump(FileDeleted(id=file_id, object="file", deleted=True))


def model_object(name: str, created: int, owner: str) -> dict[str, Any]:
    return dump(Model(id=name, object="model", created=created, owned_by=owner))


def model_deleted(name: str) -> dict[str, Any]:
    return dump(ModelDeleted(id=name, object="model", deleted=True))


def job_object(row: JobRow) -> dict[str, Any]:
    """Return a job as the API shows it; a healthy one has an error object full of nulls."""
    numbers = {
        name: row.hyperparameters.get(name, "auto")
        for name in ("n_epochs", "batch_size", "learning_rate_multiplier")
    }
    fields: dict[str, Any] = {
        "object": "fine_tuning.job",
        "id": row.id,
        "model": row.model,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "fine_tuned_model": row.fine_tuned_model,
        "organization_id": ORGANIZATION,
        "result_files": row.result_files,
        "status": row.status,
        "validation_file": row.validation_file,
        "training_file": row.training_file,
        "hyperparameters": numbers,
        "trained_tokens": row.trained_tokens,
        "error": Error.construct(**(row.error or NO_ERROR)),
        "user_provided_suffix": row.suffix,
        "seed": row.seed,
        "estimated_finish": row.estimated_finish,
        "integrations": [],
        "metadata": row.metadata,
        "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
    }
    return dump(_build(FineTuningJob, row.status, fields))


def event_object(row: EventRow) -> dict[str, Any]:
    return dump(
        FineTuningJobEvent(
            object="fine_tuning.job.event",
            id=row.id,
            created_at=row.created_at,
            level=row.level,
            message=row.message,
            data=row.data or {},
            type=row.type,
        )
    )


def checkpoint_object(row: CheckpointRow) -> dict[str, Any]:
    metrics = {"step": row.step} | {k: v for k, v in row.metrics.items() if v is not None}
    return dump(
        FineTuningJobCheckpoint(
            object="fine_tuning.job.checkpoint",
            id=row.id,
            created_at=row.created_at,
            fine_tuned_model_checkpoint=row.model,
            fine_tuning_job_id=row.job_id,
            step_number=row.step,
            metrics=metrics,
        )
    )


BATCH_FIELDS = (
    "id",
    "endpoint",
    "completion_window",
    "status",
    "model",
    "metadata",
    "created_at",
    "in_progress_at",
    "expires_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
)


def batch_object(row: BatchRow) -> dict[str, Any]:
    """Return a batch as the API shows it, the times it has not reached as nulls."""
    errors = [BatchError(**error) for error in row.errors or []]
    return dump(
        Batch(
            object="batch",
            **{name: getattr(row, name) for name in BATCH_FIELDS},
            input_file_id=row.input_file,
            output_file_id=row.output_file,
            error_file_id=row.error_file,
            errors=Errors(object="list", data=errors) if errors else None,
            request_counts=BatchRequestCounts(
                total=row.total, completed=row.completed, failed=row.failed
            ),
            usage=BatchUsage(
                input_tokens=row.input_tokens,
                input_tokens_details=InputTokensDetails(cached_tokens=0),
                output_tokens=row.output_tokens,
                output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
                total_tokens=row.input_tokens + row.output_tokens,
            ),
        )
    )


def _build(kind: type[BaseModel], value: str, fields: dict[str, Any]) -> BaseModel:
    return kind.construct(**fields) if value in NOT_IN_TYPES else kind(**fields)
