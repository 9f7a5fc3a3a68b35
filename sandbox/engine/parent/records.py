"""What a job leaves in the store while it trains: events, checkpoints, its model and its end.

No torch here. A disk may be full at any time, so each method can be called again after an OSError
or an sqlite3.OperationalError, and then leaves the same as if it had succeeded the first time.
"""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.bases import Base
from sandbox.engine.trainer.messages import Checkpoint, Done, Failed, Started, Step, Train
from sandbox.store import checkpoints, events, files, ids, jobs, models
from sandbox.store.database import Store
from sandbox.store.errors import InUse
from sandbox.store.tables import FINISHED, JobRow, ModelRow

KEPT_CHECKPOINTS = 3
ESTIMATE_EVERY = 5  # steps: so often the time of the end is guessed
ESTIMATE_FROM = 20  # steps: from the pace of so many, for a machine may be busier now than before
CSV_COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")


class JobRecord:
    """The record of one job that a trainer works on.

    Its methods raise StateError when the job has ended or been paused meanwhile.
    """

    def __init__(self, store: Store, job: JobRow, bases: Mapping[str, Base]) -> None:
        self._store = store
        self._job = job
        self._bases = bases
        self._base = job.model
        self._started = Started({}, 0.0, "cpu", "float32", None)
        self._steps = 0  # made since it was started or went on
        # The time at each of the latest steps, and the share of the work that was done then.
        self._recent: deque[tuple[float, float]] = deque(maxlen=ESTIMATE_FROM)

    @property
    def _folder(self) -> Path:
        return self._store.jobs_dir / self._job.id

    def train_message(self) -> Train | Failed:
        """What a trainer needs to know, or why the job cannot be trained any more."""
        job, store = self._job, self._store
        tuned = None
        if job.model not in self._bases:
            tuned = models.get_model(store, job.project, job.model)
            if tuned is None or tuned.base not in self._bases:
                text = f"The model `{job.model}` does not exist any more; it cannot be tuned."
                return Failed("model_not_found", text)
            self._base = tuned.base
        base = self._bases[self._base]
        start, adapter = base.path, None
        if tuned is not None and tuned.adapter is not None:
            adapter = models.model_path(store, tuned)
        elif tuned is not None:
            start = models.model_path(store, tuned)
        paths: dict[str, Path] = {}
        for role, file_id in (("training", job.training_file), ("validation", job.validation_file)):
            if file_id is not None:
                if files.get_file(store, job.project, file_id) is None:
                    text = f"The {role} file {file_id} has been deleted."
                    return Failed("file_not_found", text, f"{role}_file")
                paths[role] = files.file_path(store, file_id)
        return Train(
            job_id=job.id,
            start=start,
            adapter=adapter,
            advice=base.advice,
            folder=self._folder,
            models=store.models_dir,
            training_file=paths["training"],
            validation_file=paths.get("validation"),
            hyperparameters=job.hyperparameters,
            seed=job.seed,
            fault=job.fault,
        )

    def write(self, message: Started | Step | Checkpoint | Done | Failed) -> None:
        """Record what a trainer has said."""
        match message:
            case Started():
                self._started = message
                self._start(None)
            case Step():
                self._step(message)
            case Checkpoint():
                self._checkpoint(message)
            case Done():
                self._done(message)
            case Failed():
                jobs.finish_failed(self._store, self._job.id, **vars(message))

    def requested(self) -> str | None:
        """What was asked of the job: "cancel", "pause" or None."""
        job = jobs.get_job(self._store, None, self._job.id)
        return None if job is None else job.requested

    def stopped(self, saved: bool) -> None:
        """Do what was asked of the job, now that no trainer holds it. Nothing: it goes on later."""
        if saved:
            jobs.reset_crashes(self._store, self._job.id)
        jobs.release(self._store, self._job.id)

    def crashed(self, most: int) -> None:
        """Count a death of the job's trainer; fail the job at the ``most``-th without progress."""
        if jobs.count_crash(self._store, self._job.id) >= most:
            text = f"The training process died {most} times at the same place."
            self.write(Failed("training_crashed", text))

    def tidy(self) -> None:
        """Delete the folder of a job that has finished, and models of it that have no row."""
        job = jobs.get_job(self._store, None, self._job.id)
        if job is not None and job.status in FINISHED:
            shutil.rmtree(self._folder, ignore_errors=True)
            kept = {model.path for model in models.list_models_of_job(self._store, job.id)}
            for path in self._store.models_dir.glob(f"{job.id}-*"):
                if path.name not in kept:
                    shutil.rmtree(path, ignore_errors=True)

    def _start(self, estimated_finish: int | None) -> None:
        jobs.start(
            self._store,
            self._job.id,
            hyperparameters=self._started.hyperparameters,
            estimated_finish=estimated_finish,
            how=_how(self._started),
        )

    def _step(self, step: Step) -> None:
        new = events.append_metrics(
            self._store, self._job.id, step.step, _step_text(step), step.metrics
        )
        fault = self._job.fault
        if new and step.step == step.total_steps and fault is not None and "steps" in fault:
            text = f"The fault {fault['name']} did not happen: the job has only {step.step} steps"
            if step.step < fault["steps"]:
                events.append_event(self._store, self._job.id, text, level="warn")
        if self._recent and step.done <= self._recent[-1][1]:
            return  # recorded once more, after an error
        self._steps += 1
        # The first step is slower than the others: the clock starts behind it.
        self._recent.append((time.monotonic(), step.done))
        if self._steps % ESTIMATE_EVERY == 0:
            (began, before), (now, done) = self._recent[0], self._recent[-1]
            self._start(int(time.time() + (now - began) / (done - before) * (1 - done)) + 1)

    def _checkpoint(self, made: Checkpoint) -> None:
        """Make a model that was kept on the way usable."""
        model = self._model(made, self._checkpoint_name(made.step))
        checkpoints.add_checkpoint(self._store, model, _checkpoint_metrics(made.metrics))
        self._drop_checkpoints(KEPT_CHECKPOINTS)

    def _done(self, made: Done) -> None:
        self._drop_checkpoints(KEPT_CHECKPOINTS - 1)
        name = ids.tuned_model_name(self._base, self._job.project, self._job.suffix)
        jobs.finish_succeeded(
            self._store,
            self._job.id,
            model=self._model(made, name),
            metrics=_checkpoint_metrics(made.metrics),
            trained_tokens=made.trained_tokens,
            result_csv=_result_csv(self._store, self._job.id),
        )

    def _checkpoint_name(self, step: int) -> str:
        """The name a step's model has already (from before an interruption), or a new one."""
        for model in models.list_models_of_job(self._store, self._job.id):
            if model.step == step:
                return model.name
        base, project, suffix = self._base, self._job.project, self._job.suffix
        return ids.checkpoint_model_name(base, project, suffix, step)

    def _model(self, made: Checkpoint | Done, name: str) -> ModelRow:
        """Describe a model that a trainer has saved, and write its README."""
        path = f"{self._job.id}-{made.step}"
        folder = self._store.models_dir / path
        is_adapter = (folder / "adapter_config.json").is_file()
        readme = _readme(name, self._base, self._job, self._started, made.step, is_adapter)
        (folder / "README.md").write_text(readme, encoding="utf-8")
        return ModelRow(
            name=name,
            project=self._job.project,
            base=self._base,
            job_id=self._job.id,
            path=path,
            format=made.format,
            step=made.step,
            adapter=path if is_adapter else None,
        )

    def _drop_checkpoints(self, keep: int) -> None:
        """Forget all but the newest checkpoints and their models."""
        for model in models.list_models_of_job(self._store, self._job.id)[:-keep]:
            with contextlib.suppress(InUse):  # another job starts from it
                checkpoints.drop_checkpoint(self._store, model)


def _step_text(step: Step) -> str:
    metrics = step.metrics
    text = f"Step {step.step}/{step.total_steps}: training loss={metrics['train_loss']:.2f}"
    if "valid_loss" in metrics:
        text += f", validation loss={metrics['valid_loss']:.2f}"
    if "full_valid_loss" in metrics:
        text += f", full validation loss={metrics['full_valid_loss']:.2f}"
    return text


def _checkpoint_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name != "total_steps"}


def _result_csv(store: Store, job_id: str) -> str:
    """One row per step, from the events, so that steps before an interruption are in it too."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for event in events.list_metrics(store, job_id):
        data = event.data or {}
        names = ("train_loss", "train_mean_token_accuracy", "valid_loss", CSV_COLUMNS[-1])
        values = [data.get(name) for name in names]
        writer.writerow([data["step"], *("" if v is None else f"{v:.5f}" for v in values)])
    return table.getvalue()


def _how(started: Started) -> str | None:
    """What a job on adapters says of itself; all weights in float32 are nothing to talk about."""
    if started.adapters is None:
        return None
    device = {"cpu": "the processor", "mps": "the GPU"}.get(started.device, "the GPU (CUDA)")
    return (
        f"Training LoRA adapters ({started.adapters:,} weights in float32) on {device}; "
        f"the base model's weights stay as they are, in {started.precision}"
    )


def _readme(
    name: str, base: str, job: JobRow, started: Started, step: int, is_adapter: bool
) -> str:
    numbers = started.hyperparameters
    return f"""---
base_model: {base}
library_name: {"peft" if is_adapter else "transformers"}
---
# {name}

`{base}`, fine-tuned by the job `{job.id}` up to step {step}
({numbers["n_epochs"]} epochs, batch size {numbers["batch_size"]}, learning rate
{started.learning_rate:g}, seed {job.seed}).
"""
