"""What the server and a trainer process say to each other; dataclasses, pickled. No torch here.

A job in messages (▶ to the trainer, ◀ to the server)::

    Train ▶   ◀ Started   ◀ Step ...   ◀ Checkpoint, Sync   Synced ▶   ◀ Step ...   ◀ Done
                                                              Stop ▶   ◀ Stopped
                                                                       ◀ Failed

A trainer writes two kinds of folders, the saved state of its job and models; everything that the
API shows is written by the server. It saves a state only after ``Synced``: a job never goes on
from a step whose metrics or checkpoint the server has not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Train:
    """Train this job, from its saved state if there is one."""

    job_id: str
    start: Path  # the folder of the model to tune: a base, or a tuned model with all its weights
    adapter: Path | None  # the folder of the LoRA adapter to go on from, if the model has one
    advice: Mapping[str, Any]  # the base's, on hyperparameters and on adapters
    folder: Path  # of the job: the saved state, and the lock of who trains it
    models: Path  # the model of step 6 becomes the folder JOB_ID-6 in here
    training_file: Path
    validation_file: Path | None
    hyperparameters: Mapping[str, Any]
    seed: int
    fault: Mapping[str, Any] | None  # for practice: "steps" after which the job fails, and "name"


@dataclass(frozen=True)
class Stop:
    """Stop the job after the step at work; ``save`` its state if it is to go on later."""

    save: bool


@dataclass(frozen=True)
class Synced:
    """Everything that was sent before ``Sync`` is recorded."""


@dataclass(frozen=True)
class Share:
    """So many jobs train at the same time: use your part of the cores."""

    jobs: int


@dataclass(frozen=True)
class Started:
    """The data and the model are loaded; "auto" has become numbers."""

    hyperparameters: dict[str, Any]
    learning_rate: float  # the base's own times the multiplier
    device: str  # "cpu", "cuda" or "mps"
    precision: str  # of the base's weights, such as "bfloat16"
    adapters: int | None  # weights of the LoRA adapters; None if all weights are trained


@dataclass(frozen=True)
class Step:
    """One optimizer step was made."""

    step: int
    total_steps: int
    done: float  # share of the job's work, up to 1.0; not all steps take equally long
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """The model as it is after a step, such as the last one of an epoch, is in its folder."""

    step: int
    metrics: dict[str, Any]
    format: str  # of the training file: "chat" or "completion"


@dataclass(frozen=True)
class Sync:
    """Answer with ``Synced`` when everything up to here is recorded."""


@dataclass(frozen=True)
class Done:
    """Every step was made, and the model is in its folder."""

    step: int
    metrics: dict[str, Any]
    format: str
    trained_tokens: int


@dataclass(frozen=True)
class Failed:
    """The job cannot go on; these become its error."""

    code: str
    message: str
    param: str | None = None


@dataclass(frozen=True)
class Stopped:
    """The job was stopped as asked."""

    saved: bool  # its state, just now
