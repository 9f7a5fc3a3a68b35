"""Checking the files of new jobs, in the background, straight after their creation."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from starlette.concurrency import run_in_threadpool

from sandbox.api.catalog import find_model
from sandbox.api.context import Context
from sandbox.api.errors import NotFound
from sandbox.store import files, jobs
from sandbox.store.errors import StateError, StorageError
from sandbox.store.tables import JobRow

log = logging.getLogger(__name__)
# Threads of its own, so that a bad file fails at once even while others are being uploaded.
CHECKS_AT_ONCE = 2
RETRY_SECONDS = 5.0  # while the state folder cannot be written
FLAGGED_FILE = (
    "The job failed due to an invalid training file. This training file was blocked by our "
    "moderation system because it contains too many examples that violate the usage policies. "
    "Flagged lines: {lines}."
)


async def check_new_jobs(context: Context) -> None:
    """Move jobs from validating_files to queued or failed, until cancelled.

    The checks that have begun are finished; the others are made at the next start.
    """
    for job in await run_in_threadpool(jobs.list_jobs_in, context.store, "validating_files"):
        context.new_jobs.put_nowait(job.id)
    pool = ThreadPoolExecutor(CHECKS_AT_ONCE, thread_name_prefix="validation")
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(CHECKS_AT_ONCE):
                group.create_task(_check_one_after_another(context, pool))
    finally:
        await run_in_threadpool(pool.shutdown)


async def _check_one_after_another(context: Context, pool: ThreadPoolExecutor) -> None:
    loop = asyncio.get_running_loop()
    while True:
        job_id = await context.new_jobs.get()
        while not await loop.run_in_executor(pool, _check, context, job_id):
            await asyncio.sleep(RETRY_SECONDS)


def _check(context: Context, job_id: str) -> bool:
    """Check a job's files; return whether the outcome could be stored."""
    try:
        job = jobs.get_job(context.store, None, job_id)
        if job is not None and job.status == "validating_files":
            _validate(context, job)
    except StorageError as error:
        log.error("%s waits: %s", job_id, error)
        return False
    except StateError:
        log.info("%s was cancelled while its files were checked", job_id)
    return True


def _validate(context: Context, job: JobRow) -> None:
    """Queue a job or fail it. Raises StorageError or StateError."""
    # Imported here: the tokenizer library is not needed before the first job.
    from sandbox.engine.text.examples import TrainingFileError, validate_training_file

    try:
        base = find_model(context, job.project, job.model).base
        for file_id, kind in ((job.training_file, "training"), (job.validation_file, "validation")):
            if file_id is not None:
                validate_training_file(files.file_path(context.store, file_id), base.path, kind)
        if job.fault is not None and job.fault["name"] == "moderation":
            message = FLAGGED_FILE.format(lines=job.fault["lines"])
            raise TrainingFileError("invalid_training_file", message, "training")
    except (TrainingFileError, NotFound) as error:
        told = {"code": error.code, "message": error.message, "param": error.param}
        jobs.finish_failed(context.store, job.id, **told)
    except StorageError:
        raise
    except Exception as error:
        log.exception("The files of %s could not be checked", job.id)
        message = f"The sandbox could not check the files ({type(error).__name__})."
        jobs.finish_failed(context.store, job.id, code="server_error", message=message)
    else:
        jobs.mark_queued(context.store, job.id)
        if context.trainers is not None:
            context.trainers.wake()
