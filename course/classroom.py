"""Step 11: several students on one sandbox, each with a key and a project of their own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import openai
from openai import OpenAI

from helpers.sandbox import run_keys

NOTE = "classroom"  # by which its keys are found again
AT_WORK = ("validating_files", "queued", "running", "paused")


def open_classroom(client: OpenAI, names: Sequence[str]) -> dict[str, OpenAI]:
    """A client for each student, by their names (a-z, 0-9 and dashes).

    `client` must be one of the sandbox on this machine, where keys can be made. The keys of an
    earlier lesson are revoked. Raises SandboxError if no key can be made.
    """
    _revoke_keys()
    students = {name: client.with_options(api_key=key) for name, key in _new_keys(names).items()}
    for student in students.values():
        _tidy(student)
    return students


def close_classroom(students: dict[str, OpenAI]) -> None:
    """End what the students have left running, delete their files, and revoke their keys."""
    for student in students.values():
        _tidy(student)
    _revoke_keys()


def _new_keys(names: Sequence[str]) -> dict[str, str]:
    def make(name: str) -> str:
        return str(run_keys("create", "--project", name, "--name", NOTE)["key"])

    # Each is a command of its own, which mostly waits for Python to start.
    with ThreadPoolExecutor(max_workers=4) as pool:
        return dict(zip(names, pool.map(make, names), strict=True))


def _revoke_keys() -> None:
    rows: list[dict[str, Any]] = run_keys("list")
    live = [row["id"] for row in rows if row["name"] == NOTE and not row["revoked_at"]]
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda key_id: run_keys("revoke", key_id), live))


def _tidy(student: OpenAI) -> None:
    for batch in student.batches.list():
        with suppress(openai.BadRequestError):  # it has ended already
            student.batches.cancel(batch.id)
    for job in student.fine_tuning.jobs.list():
        if job.status in AT_WORK:
            with suppress(openai.BadRequestError):
                student.fine_tuning.jobs.cancel(job.id)
    for file in student.files.list():
        with suppress(openai.ConflictError):  # something still needs it
            student.files.delete(file.id)
