"""What the clients were told and the sandbox does not have any more, or has twice, after kills."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from openai import APIError, NotFoundError, OpenAI
from openai.types.fine_tuning import FineTuningJob

from bench import clients
from bench.clients import Told, end_of
from bench.common import PROJECT, Server
from bench.undisturbed import Undisturbed, checkpoints, results, settle, story, wait, weights
from sandbox.store import batches, files, jobs, models
from sandbox.store.database import Store

CANCELLED = "The job has been cancelled"
# Of a response. One in the background whose sampler is killed is told to be sent once more.
ENDS = ("completed: ", "incomplete: ", "cancelled: ", "failed: The sampler process ended while")


def lost(client: OpenAI, server: Server, told: Told, expected: Undisturbed) -> list[str]:
    """Wait for everything to end, stop the server, and say all that is not as it should be.

    A check that dies of what it meets has found something, too.
    """
    shown = (lost_files, lost_in_jobs, lost_in_batches, lost_responses)
    problems = _found(lambda: settle(client, server))
    for check in shown:
        problems += _found(partial(check, client, told, expected))
    if (code := server.stop()) != 0:
        problems.append(f"the server's exit code is {code}")
    problems += server.orphans()
    return problems + _found(partial(lost_in_state, server.state, told, expected))


def _found(check: Callable[[], Iterable[str] | None]) -> list[str]:
    problems: list[str] = []
    try:
        problems.extend(check() or ())
    except Exception as error:  # noqa: BLE001 - whatever it dies of is a problem
        problems.append(f"{type(error).__name__}: {error}")
    return problems


def lost_files(client: OpenAI, told: Told, expected: Undisturbed) -> Iterator[str]:
    """Files that are not there, or not as they were sent, or there though they were deleted."""
    there = {file.id for file in client.files.list()}
    yield from (f"{file_id} is gone" for file_id in told.files.keys() - there)
    yield from (f"{file_id} was deleted and is there" for file_id in told.deleted & there)
    for file_id in told.files.keys() & there:
        try:
            content = client.files.content(file_id).read()
        except APIError as error:
            yield f"{file_id} cannot be read: {error}"
        else:
            if content != told.files[file_id]:
                yield f"{file_id} has another content"


def lost_in_jobs(client: OpenAI, told: Told, expected: Undisturbed) -> Iterator[str]:
    """Jobs that are gone, or have not become what they would have without a kill."""
    found = {job.id: job for job in client.fine_tuning.jobs.list(limit=100)}
    yield from (f"{job_id} is gone" for job_id in told.jobs.keys() - found.keys())
    for job in found.values():
        events = [each.id for each in client.fine_tuning.jobs.list_events(job.id, limit=100)][::-1]
        known = told.jobs.get(job.id, {})
        if [event for event in events if event in known] != list(known):
            yield f"{job.id}: events that were listed are gone or in another order"
        if job.status == "succeeded" and job.id not in told.cancelled:
            faults = faults_of_success(client, job, told, expected)
        elif job.status == "cancelled":
            faults = faults_of_cancelled(client, job, expected)
        else:
            faults = iter([f"it is {job.status}: {job.error and job.error.message}"])
        yield from (f"{job.id}: {fault}" for fault in faults)


def faults_of_success(
    client: OpenAI, job: FineTuningJob, told: Told, expected: Undisturbed
) -> Iterator[str]:
    """In what a job that has succeeded differs from the undisturbed one."""
    yield from differences(story(client, job.id), expected.story)
    if results(client, job) != expected.results:
        yield "its result file has other rows"
    if (found := checkpoints(client, job.id)) != expected.checkpoints:
        yield f"checkpoints of the steps {found} instead of {expected.checkpoints}"
    kept = {each.id: each for each in client.fine_tuning.jobs.checkpoints.list(job.id)}
    for checkpoint, (owner, step) in told.checkpoints.items():
        if owner == job.id and checkpoint not in kept and step in expected.checkpoints:
            yield f"the checkpoint {checkpoint} of step {step} is gone"
    names = {job.fine_tuned_model, *(each.fine_tuned_model_checkpoint for each in kept.values())}
    for name in names:
        try:
            client.completions.create(model=name, prompt="x", max_tokens=1)
        except APIError as error:
            yield f"its model {name} does not answer: {error}"


def faults_of_cancelled(client: OpenAI, job: FineTuningJob, expected: Undisturbed) -> Iterator[str]:
    """In what a job that was cancelled differs from the beginning of the undisturbed one."""
    happened = story(client, job.id)
    yield from differences(happened, [*expected.story[: len(happened) - 1], CANCELLED])


def differences(happened: list[str], expected: list[str]) -> Iterator[str]:
    """The first event, if any, that is not the expected one."""
    for number, (event, wanted) in enumerate(zip(happened, expected, strict=False), start=1):
        if event != wanted:
            yield f"its event {number} is {event!r} instead of {wanted!r}"
            return
    if len(happened) != len(expected):
        yield f"it has {len(happened)} events instead of {len(expected)}: {happened[-2:]}"


def lost_in_batches(client: OpenAI, told: Told, expected: Undisturbed) -> Iterator[str]:
    """Batches that are gone, and lines that are not answered, and counted, exactly once."""
    found = {batch.id: batch for batch in client.batches.list(limit=100)}
    yield from (f"{batch_id} is gone" for batch_id in told.batches - found.keys())
    lines = len(clients.LINES)
    for batch_id, batch in found.items():
        if batch.status != "completed" or batch.error_file_id or not batch.output_file_id:
            yield f"{batch_id} is {batch.status} with {batch.request_counts}: {batch.errors}"
            continue
        content = client.files.content(batch.output_file_id).text.splitlines()
        if [json.loads(line)["custom_id"] for line in content] != clients.LINES:
            yield f"{batch_id}: its lines are not each answered once, in order"
        counts, tokens = batch.request_counts, batch.usage.output_tokens
        if (counts.total, counts.completed, counts.failed) != (lines, lines, 0):
            yield f"{batch_id}: {counts} of {lines} lines"
        if tokens != lines * clients.LINE_TOKENS:
            yield f"{batch_id}: {tokens} tokens instead of {lines * clients.LINE_TOKENS}"


def lost_responses(client: OpenAI, told: Told, expected: Undisturbed) -> Iterator[str]:
    """Stored responses that are gone, or have not ended as they were seen to, or may."""
    for response_id, end in told.responses.items():
        find = partial(client.responses.retrieve, response_id)
        try:
            wait(lambda find=find: end_of(find()) is not None, f"{response_id} did not end")
        except NotFoundError:
            yield f"{response_id} is gone"
            continue
        found = end_of(find())
        if end not in (None, found):
            yield f"{response_id} is {found!r} and was {end!r}"
        elif not found.startswith(ENDS):
            yield f"{response_id} is {found!r}"


def lost_in_state(state: Path, told: Told, expected: Undisturbed) -> Iterator[str]:
    """What only the state folder shows, after the server's end."""
    with closing(sqlite3.connect(state / "sandbox.db")) as db:
        if (found := db.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            yield f"the database: {found}"
        orphans = {table for table, *_ in db.execute("PRAGMA foreign_key_check")}
        yield from (f"the database: rows of {table} belong to nothing" for table in orphans)
    with Store(state) as store:
        for job in jobs.list_jobs(store, PROJECT, limit=100_000).rows:
            own = dict(weights(store, job.id))
            same = own == expected.weights
            if job.status == "cancelled":
                both = own.keys() & expected.weights.keys()
                same = all(own[step] == expected.weights[step] for step in both)
            if not same:
                yield f"{job.id}: its models have other weights than without a kill"
        file_ids = {file.id for file in files.list_files(store, PROJECT).rows}
        folders = {model.path for model in models.list_models(store, PROJECT)}
        yield from mismatch(store.files_dir, file_ids)
        yield from mismatch(store.models_dir, folders)
        yield from mismatch(store.jobs_dir, set())  # every job has ended
        for batch in batches.list_unfinished(store):
            yield f"{batch.id} is still {batch.status}"


def mismatch(folder: Path, rows: set[str]) -> Iterator[str]:
    """Names that the database knows and the folder does not have, and the other way round."""
    there = {path.name for path in folder.iterdir()}
    yield from (f"{folder.name}/{name} is recorded and not there" for name in rows - there)
    yield from (f"{folder.name}/{name} is there and not recorded" for name in there - rows)
