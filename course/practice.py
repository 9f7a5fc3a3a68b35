"""Step 10: a project of its own in the learner's sandbox, for breaking things.

Its key sees none of the learner's files, jobs and models, and a fault that is set for it meets
nobody else.
"""

from __future__ import annotations

from contextlib import suppress

import openai
from openai import OpenAI

from course.faults import clear_faults
from helpers.sandbox import run_keys

PROJECT = "laboratory"
ENDED = ("succeeded", "failed", "cancelled")


def open_laboratory(client: OpenAI) -> OpenAI:
    """An empty laboratory: a client with a key of its own, which sends nothing twice.

    `client` must be one of the sandbox on this machine, where keys can be made. What an earlier
    visit has left is thrown away. Raises SandboxError if no key can be made.
    """
    _revoke_keys()
    key = run_keys("create", "--project", PROJECT, "--name", "notebook 10")["key"]
    lab = client.with_options(api_key=key, max_retries=0)
    _empty(lab)
    return lab


def close_laboratory(lab: OpenAI) -> None:
    """Throw everything away that is in the laboratory, and its key too."""
    _empty(lab)
    _revoke_keys()


def _empty(lab: OpenAI) -> None:
    clear_faults(lab)
    # Jobs first: one that still trains makes models and needs its file.
    for job in lab.fine_tuning.jobs.list():
        if job.status not in ENDED:
            with suppress(openai.BadRequestError):  # it has ended at this moment
                lab.fine_tuning.jobs.cancel(job.id)
    for model in lab.models.list():
        if model.owned_by == PROJECT:
            with suppress(openai.NotFoundError, openai.ConflictError):
                lab.models.delete(model.id)
    for file in lab.files.list():
        with suppress(openai.NotFoundError, openai.ConflictError):
            lab.files.delete(file.id)


def _revoke_keys() -> None:
    for row in run_keys("list"):
        if row["project"] == PROJECT and not row["revoked_at"]:
            run_keys("revoke", row["id"])
