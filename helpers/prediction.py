"""Step 06: the hero as a drawn card, and the record by which the tuned model is found again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from openai.types.fine_tuning import FineTuningJob

from course.hero_card import HeroCard, hero_card
from helpers.data import replace_text
from helpers.settings import Settings

__all__ = ["HeroCard", "ModelRecord", "hero_card", "load_record", "record_of", "save_record"]


@dataclass(frozen=True)
class ModelRecord:
    """What one must know of a tuned model to use it next month, or to make it again.

    Times are Unix seconds. The key is not in here, and must never be.
    """

    fine_tuned_model: str
    base_model: str
    job_id: str
    endpoint: str
    provider: str
    created_at: int | None
    hyperparameters: dict[str, Any]
    seed: int | None
    training_file: str
    validation_file: str | None
    n_rows: int
    trained_tokens: int | None


def record_of(job: FineTuningJob, settings: Settings, n_rows: int) -> ModelRecord:
    """The record of a succeeded job. Raises ValueError for a job that made no model."""
    if job.status != "succeeded" or not job.fine_tuned_model:
        raise ValueError(f"The job made no model: its status is {job.status}.")
    numbers = job.hyperparameters.model_dump() if job.hyperparameters else {}
    return ModelRecord(
        fine_tuned_model=job.fine_tuned_model,
        base_model=job.model,
        job_id=job.id,
        endpoint=settings.endpoint,
        provider=settings.provider,
        created_at=job.finished_at or job.created_at,
        hyperparameters=numbers,
        seed=job.seed,
        training_file=job.training_file,
        validation_file=job.validation_file,
        n_rows=n_rows,
        trained_tokens=job.trained_tokens,
    )


def save_record(path: str | Path, record: ModelRecord) -> Path:
    """Write the record as JSON, all or nothing; the path comes back."""
    path = Path(path)
    replace_text(path, json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n")
    return path


def load_record(path: str | Path) -> ModelRecord:
    """Read a record. FileNotFoundError, or ValueError that names what is wrong in it."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no {path.name}: notebook 06 saves it.") from None
    except ValueError as error:
        raise ValueError(f"{path.name} is not a JSON file: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} must hold one JSON object.")
    known = {field.name for field in fields(ModelRecord)}
    if absent := sorted(known - content.keys()):
        raise ValueError(f"{path.name} lacks {', '.join(absent)}. Save it again in notebook 06.")
    for name in ("fine_tuned_model", "base_model", "job_id"):
        if not isinstance(content[name], str) or not content[name]:
            raise ValueError(f"{path.name}: {name} must be a non-empty string.")
    return ModelRecord(**{name: content[name] for name in known})
