"""Checking the files of new jobs, in the background, straight after their creation."""

import logging
from concurrent.futures import ThreadPoolExecutor

from sandbox.api.context import Trainers
from sandbox.api.faults.answers import FLAGGED_FILE
from sandbox.config import BaseModel
from sandbox.store import Store, files, jobs, models
from sandbox.store.jobs import JobRow

log = logging.getLogger(__name__)


class Validator:
    """Moves jobs from validating_files to queued or failed.

    It has threads of its own, so that a bad file fails at once even while another job trains.
    """

    def __init__(
        self, store: Store, bases: tuple[BaseModel, ...], trainers: Trainers | None
    ) -> None:
        self._store = store
        self._trainers = trainers
        self._bases = {base.name: base for base in bases}
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="validation")

    def submit(self, job_id: str) -> None:
        """Have a new job's files checked."""
        self._pool.submit(self._run, job_id)

    def submit_waiting(self) -> None:
        """Have the files of jobs checked that a stop of the server left unchecked."""
        for job in jobs.list_jobs_in(self._store, "validating_files"):
            self.submit(job.id)

    def close(self) -> None:
        """Finish the checks that have begun; the others are made at the next start."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, job_id: str) -> None:
        try:
            job = jobs.get_job(self._store, None, job_id)
            if job is not None and job.status == "validating_files":
                self._validate(job)
        except Exception as error:
            log.exception("The files of %s could not be checked", job_id)
            message = f"The sandbox could not check the files ({type(error).__name__})."
            jobs.finish_failed(self._store, job_id, code="server_error", message=message)

    def _validate(self, job: JobRow) -> None:
        # Imported here: the tokenizer library is not needed before the first job.
        from sandbox.engine.text.examples import TrainingFileError, validate_training_file

        base = self._base_of(job)
        if base is None:
            message = f"The model {job.model} is no longer there."
            jobs.finish_failed(self._store, job.id, code="model_not_found", message=message)
            return
        try:
            path = files.file_path(self._store, job.training_file)
            validate_training_file(path, base.path, "training")
            if job.validation_file is not None:
                path = files.file_path(self._store, job.validation_file)
                validate_training_file(path, base.path, "validation")
        except TrainingFileError as error:
            jobs.finish_failed(
                self._store, job.id, code=error.code, message=error.message, param=error.param
            )
        else:
            self._pass(job)

    def _pass(self, job: JobRow) -> None:
        """Queue a job whose files are good, unless it was asked for as one that is flagged."""
        if job.fault is not None and job.fault["name"] == "moderation":
            message = FLAGGED_FILE.format(lines=job.fault["lines"])
            jobs.finish_failed(
                self._store,
                job.id,
                code="invalid_training_file",
                message=message,
                param="training_file",
            )
        else:
            jobs.mark_queued(self._store, job.id)
            if self._trainers is not None:
                self._trainers.wake()

    def _base_of(self, job: JobRow) -> BaseModel | None:
        own = models.get_model(self._store, job.project, job.model)
        return self._bases.get(own.base if own else job.model)
