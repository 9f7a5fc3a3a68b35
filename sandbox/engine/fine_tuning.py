"""One fine-tuning job from claim to end: reads the store, trains, records what happens."""

from __future__ import annotations

import csv
import io
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from sandbox.engine.examples import TrainingFileError
from sandbox.engine.hyperparameters import Hyperparameters, resolve
from sandbox.engine.lease import LEASE_SECONDS, Lease
from sandbox.engine.sampler.models import load_model
from sandbox.engine.text.encoder import Encoder
from sandbox.engine.training import Run, StepReport, TrainingFailed, add_lora, uses_lora
from sandbox.engine.training_data import ExampleSet
from sandbox.engine.training_state import save_model_folder
from sandbox.store import (
    JobStateError,
    LeaseLost,
    ModelInUse,
    Store,
    checkpoints,
    events,
    files,
    ids,
    jobs,
    models,
)
from sandbox.store.jobs import JobRow

KEPT_CHECKPOINTS = 3
MOST_ATTEMPTS = 4  # without getting further
FIRST_ESTIMATE = 5  # steps until the time of the end can be guessed
CSV_COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")


def run_job_inline(store: Store, bases: Mapping[str, Path]) -> JobRow | None:
    """Claim the next job and run it here and now: for tests and for debugging.

    Returns the job as it is afterwards, or None when nothing was waiting.
    """
    owner = f"inline-{ids.random_text(8)}"
    job = jobs.claim_next_job(store, owner, LEASE_SECONDS)
    if job is None:
        return None
    run_job(store, job, owner, bases, threading.Event())
    return jobs.get_job(store, None, job.id)


def run_job(
    store: Store,
    job: JobRow,
    owner: str,
    bases: Mapping[str, Path],
    stopping: threading.Event,
) -> None:
    """Train a claimed job to its end, or until it is paused, cancelled, or ``stopping`` is set.

    Never raises for what is wrong with the job: then it fails, and says why.
    """
    with Lease(store, job.id, owner, stopping) as lease:
        try:
            if job.attempt > MOST_ATTEMPTS:
                raise TrainingFailed(
                    "training_crashed",
                    f"The training process died {MOST_ATTEMPTS} times at the same place.",
                )
            _FineTuning(lease, job, bases).run()
        except (LeaseLost, JobStateError) as error:
            print(f"{job.id}: left alone: {error}", file=sys.stderr)
        except Exception as error:  # noqa: BLE001 - the job must get an end
            if not stopping.is_set():  # else the sandbox is going down and may pull files away
                _fail(lease, error)
    finished = jobs.get_job(store, None, job.id)
    if finished is not None and finished.status in jobs.FINISHED:
        shutil.rmtree(store.jobs_dir / job.id, ignore_errors=True)


def _fail(lease: Lease, error: Exception) -> None:
    """Record an error as the job's end."""
    if isinstance(error, TrainingFailed):
        code, message, param = error.code, error.message, None
    elif isinstance(error, TrainingFileError):
        code, message, param = error.code, error.message, error.param
    elif isinstance(error, OSError):
        code, param = "storage_error", None
        message = f"Training could not read or write its files: {error.strerror or error}"
    else:
        traceback.print_exception(error)
        code, param = "training_failed", None
        message = f"Training stopped with an error: {type(error).__name__}: {error}"
    try:
        jobs.finish_failed(
            lease.store, lease.job_id, owner=lease.owner, code=code, message=message, param=param
        )
    except (LeaseLost, JobStateError) as lost:
        print(f"{lease.job_id}: {lost}", file=sys.stderr)


@dataclass(frozen=True)
class _Start:
    """What a job starts from: a folder, and the base model it descends from."""

    folder: Path
    base: str
    base_folder: Path


class _FineTuning:
    """The work on one job; the ``Listener`` of its run."""

    def __init__(self, lease: Lease, job: JobRow, bases: Mapping[str, Path]) -> None:
        self._lease = lease
        self._store = lease.store
        self._job = job
        self._folder = self._store.jobs_dir / job.id
        self._start = self._find_start(bases)
        self._encoder = Encoder(self._start.folder)
        self._began = time.monotonic()
        self._first_step = 0
        self._threads = torch.get_num_threads()
        self._wish: str | None = None
        self._last: StepReport | None = None

    def run(self) -> None:
        """Train, then end the job as the outcome says."""
        training = self._read(self._job.training_file, "training")
        validation = None
        if self._job.validation_file is not None:
            validation = self._read(self._job.validation_file, "validation")
        self._format = training.format
        model = load_model(self._start.folder, for_training=True)
        lora = uses_lora(model)
        self._numbers = resolve(
            self._job.hyperparameters, self._start.base_folder, len(training), lora
        )
        self._mark_running(None)
        if lora:
            model = add_lora(model, self._job.seed)
        self._run = Run(
            model, training, validation, self._numbers, self._job.seed, self._folder, self
        )
        self._began = time.monotonic()
        try:
            self._share_cores()
            self._run.start()
        finally:
            torch.set_num_threads(self._threads)
        self._finish(training.n_tokens * self._numbers.n_epochs)

    def on_step(self, report: StepReport) -> None:
        """Record the metrics of a step, and now and then when the job will end."""
        self._last = report
        events.append_metrics(
            self._store, self._job.id, report.step, _step_text(report), report.metrics
        )
        self._suffer(report)
        self._first_step = self._first_step or report.step
        trained = report.step - self._first_step + 1
        if trained == FIRST_ESTIMATE or (report.epoch_ends and trained > FIRST_ESTIMATE):
            pace = (time.monotonic() - self._began) / trained
            self._mark_running(int(time.time() + pace * (report.total_steps - report.step)) + 1)

    def _suffer(self, report: StepReport) -> None:
        """Fail here if the job was asked for as one that does (a fault, for practice)."""
        fault = self._job.fault
        if fault is None or "steps" not in fault:
            return
        if report.step >= fault["steps"]:
            raise TrainingFailed(
                "server_error",
                f"The job failed due to an internal error after step {report.step} of "
                f"{report.total_steps}. (The sandbox was asked for this: {fault['name']}.)",
            )
        if report.step == report.total_steps:
            text = f"The fault {fault['name']} did not happen: the job has only {report.step} steps"
            events.append_event(self._store, self._job.id, text, level="warn")

    def on_checkpoint(self, report: StepReport) -> None:
        """Make the model of this epoch usable; the last one is the job's own result."""
        if report.step == report.total_steps:
            return
        model = self._save_model(report.step, self._checkpoint_name(report.step))
        models.add_model(self._store, model)
        checkpoints.add_checkpoint(
            self._store, self._job.id, report.step, model.name, _checkpoint_metrics(report)
        )
        self._drop_checkpoints(KEPT_CHECKPOINTS)

    def stop_wanted(self) -> bool:
        """Whether somebody wants the run to end here."""
        self._share_cores()
        self._wish = self._lease.wish()
        if self._wish == "lost":
            raise LeaseLost(f"{self._lease.owner} does not hold {self._job.id} any more.")
        return self._wish is not None

    def _share_cores(self) -> None:
        """Take all cores alone, and a fair part of them beside other jobs.

        The number of threads changes how long a step takes, and nothing else.
        """
        share = max(1, self._threads // max(1, jobs.count_leased(self._store)))
        if share != torch.get_num_threads():
            torch.set_num_threads(share)

    def _find_start(self, bases: Mapping[str, Path]) -> _Start:
        name = self._job.model
        if name in bases:
            return _Start(bases[name], name, bases[name])
        tuned = models.get_model(self._store, self._job.project, name)
        if tuned is None or tuned.base not in bases:
            raise TrainingFailed(
                "model_not_found",
                f"The model `{name}` does not exist any more; it cannot be tuned.",
            )
        return _Start(models.model_path(self._store, tuned), tuned.base, bases[tuned.base])

    def _read(self, file_id: str, role: str) -> ExampleSet:
        if files.get_file(self._store, self._job.project, file_id) is None:
            raise TrainingFailed("file_not_found", f"The {role} file {file_id} has been deleted.")
        return ExampleSet.read(files.file_path(self._store, file_id), self._encoder, role)

    def _mark_running(self, estimated_finish: int | None) -> None:
        jobs.mark_running(
            self._store,
            self._job.id,
            self._lease.owner,
            hyperparameters=self._numbers.public(),
            estimated_finish=estimated_finish,
        )

    def _finish(self, trained_tokens: int) -> None:
        """Succeed if every step was made; else do what stopped the run."""
        report = self._last
        if self._wish == "cancel":
            jobs.finish_cancelled(self._store, self._job.id, self._lease.owner)
        elif report is None or report.step < report.total_steps:
            if self._wish == "pause":
                jobs.mark_paused(self._store, self._job.id, self._lease.owner)
            return  # "shut down": the next trainer goes on from the saved state
        else:
            self._drop_checkpoints(KEPT_CHECKPOINTS - 1)
            name = ids.tuned_model_name(self._start.base, self._job.project, self._job.suffix)
            jobs.finish_succeeded(
                self._store,
                self._job.id,
                self._lease.owner,
                model=self._save_model(report.step, name),
                metrics=_checkpoint_metrics(report),
                trained_tokens=trained_tokens,
                result_csv=_result_csv(self._store, self._job.id),
            )

    def _checkpoint_name(self, step: int) -> str:
        """The name a step's model has already (the process may have died since), or a new one."""
        for model in models.list_models_of_job(self._store, self._job.id):
            if model.step == step:
                return model.name
        base, project, suffix = self._start.base, self._job.project, self._job.suffix
        return ids.checkpoint_model_name(base, project, suffix, step)

    def _save_model(self, step: int, name: str) -> models.NewModel:
        path = f"{self._job.id}-{step}"
        readme = _readme(name, self._start.base, self._job, self._numbers, step)
        save_model_folder(
            self._store.models_dir / path, self._run.model, self._start.folder, readme
        )
        return models.NewModel(
            name=name,
            project=self._job.project,
            base=self._start.base,
            job_id=self._job.id,
            path=path,
            format=self._format,
            step=step,
        )

    def _drop_checkpoints(self, keep: int) -> None:
        """Forget all but the newest checkpoints and their models."""
        for model in models.list_models_of_job(self._store, self._job.id)[:-keep]:
            try:
                models.delete_model(self._store, self._job.project, model.name)
            except ModelInUse:
                continue  # another job starts from it
            checkpoints.drop_checkpoint(self._store, self._job.id, model.step)


def _step_text(report: StepReport) -> str:
    metrics = report.metrics
    text = f"Step {report.step}/{report.total_steps}: training loss={metrics['train_loss']:.2f}"
    if "valid_loss" in metrics:
        text += f", validation loss={metrics['valid_loss']:.2f}"
    if "full_valid_loss" in metrics:
        text += f", full validation loss={metrics['full_valid_loss']:.2f}"
    return text


def _checkpoint_metrics(report: StepReport) -> dict[str, float]:
    return {name: value for name, value in report.metrics.items() if name != "total_steps"}


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


def _readme(name: str, base: str, job: JobRow, numbers: Hyperparameters, step: int) -> str:
    return f"""---
base_model: {base}
library_name: transformers
---
# {name}

`{base}`, fine-tuned by the job `{job.id}` up to step {step}
({numbers.n_epochs} epochs, batch size {numbers.batch_size}, learning rate
{numbers.learning_rate:g}, seed {job.seed}).

A plain Hugging Face folder:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("this folder")
tokenizer = AutoTokenizer.from_pretrained("this folder")
```
"""
