"""Notebooks 11 and 13: projects of their own in the learner's sandbox, and faults on request.

A project has a key of its own: it sees none of the learner's files, jobs and models, and a fault
that is set for it happens to no other project. Opening one empties it.

    set_fault(client, "rate_limit", times=2, retry_after=1)
    clear_faults(client)

For a single call there is the header instead: `extra_headers={"X-Sandbox-Fault": "rate_limit"}`.
Only a sandbox can do this; a hosted provider answers such calls with 404 (and ignores the header).
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import openai
from openai import OpenAI

from helpers.connect import connect
from helpers.sandbox import run_keys
from helpers.settings import read_variable

PRACTICE = "practice"
CLASSROOM = "classroom"
FOLDERS = ("HEROES_MY", "HEROES_SANDBOX_STATE")
# It has ended, is gone, or is in use: the next emptying finds it.
NOT_NOW = (openai.BadRequestError, openai.NotFoundError, openai.ConflictError)


class NoSandboxError(RuntimeError):
    """The client talks to a provider that has no faults for practice."""


def open_lab() -> tuple[OpenAI, Path]:
    """A client of an empty practice project, and an empty folder that is deleted at the end.

    It is always the sandbox on this machine: this process forgets the key, the address and the
    `.env` file that are configured. Raises SandboxError if the sandbox cannot be started.
    """
    folder = Path(tempfile.mkdtemp(prefix="heroes-lab-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return open_practice(use_sandbox(folder / ".env")), folder


def use_sandbox(env_file: str | Path = os.devnull) -> OpenAI:
    """A client of the sandbox on this machine, whatever is configured.

    From then on, this process forgets the key, the address and the `.env` file. Raises
    SandboxError if the sandbox cannot be started.
    """
    os.environ |= {name: value for name in FOLDERS if (value := read_variable(name))}
    os.environ["HEROES_ENV_FILE"] = str(env_file)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        os.environ.pop(name, None)
    return connect()


def open_practice(client: OpenAI) -> OpenAI:
    """An empty practice project: a client with a key of its own, which never retries.

    `client` must be one of the sandbox on this machine. Raises SandboxError if no key can be made.
    """
    return _open(client.with_options(max_retries=0), [PRACTICE], PRACTICE)[PRACTICE]


def open_classroom(client: OpenAI, names: Sequence[str]) -> dict[str, OpenAI]:
    """A client for each student, by their names (a-z, 0-9 and dashes), each in an empty project.

    The keys of an earlier lesson are revoked. Raises SandboxError if no key can be made.
    """
    return _open(client, names, CLASSROOM)


def close_classroom(students: Mapping[str, OpenAI]) -> None:
    """Delete all that the students have made, and revoke their keys."""
    for each in students.values():
        _empty(each)
    _revoke(CLASSROOM)


def _open(client: OpenAI, projects: Sequence[str], label: str) -> dict[str, OpenAI]:
    def client_for(project: str) -> OpenAI:
        made = run_keys("create", "--project", project, "--name", label)
        return client.with_options(api_key=made["key"])

    _revoke(label)
    # Each key is a command of its own, which mostly waits for Python to start.
    with ThreadPoolExecutor(max_workers=4) as pool:
        clients = dict(zip(projects, pool.map(client_for, projects), strict=True))
    for each in clients.values():
        _empty(each)
    return clients


def _revoke(label: str) -> None:
    """Revoke the keys with this name, by which those of an earlier visit are found again."""
    live = [row["id"] for row in run_keys("list") if row["name"] == label and not row["revoked_at"]]
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda key_id: run_keys("revoke", key_id), live))


def _empty(client: OpenAI) -> None:
    clear_faults(client)
    jobs, models = client.fine_tuning.jobs, client.models
    # Batches and jobs first: one that still runs makes models and needs its file.
    for found, remove in (
        (client.batches.list, client.batches.cancel),
        (jobs.list, jobs.cancel),
        (lambda: (model for model in models.list() if model.id.startswith("ft:")), models.delete),
        (client.files.list, client.files.delete),
    ):
        for each in found():
            with suppress(*NOT_NOW):
                remove(each.id)


def set_fault(client: OpenAI, name: str, times: int = 1, **details: Any) -> list[dict[str, Any]]:
    """Let the next `times` calls that it can happen to meet a fault; returns what is set now.

    Raises openai.BadRequestError, naming all faults, for an unknown name or detail.
    """
    body = {"fault": name, "times": times, "details": details}
    return _ask(client.post, body=body)["data"]


def clear_faults(client: OpenAI) -> int:
    """End every fault of this key's project; returns how many there were."""
    return _ask(client.delete)["cleared"]


def list_faults(client: OpenAI) -> list[dict[str, Any]]:
    """The faults that are set: name, times_left and details of each."""
    return _ask(client.get)["data"]


def known_faults(client: OpenAI) -> list[dict[str, Any]]:
    """All faults there are: name, what, happens_to and details of each."""
    return _ask(client.get)["known"]


def _ask(call: Callable[..., Any], **options: Any) -> Any:
    """Make the call by the client's own method: its address, its key, its time limits."""
    try:
        return call("/sandbox/faults", cast_to=object, **options)
    except openai.NotFoundError as error:
        raise NoSandboxError(
            "Only the sandbox fails on request, and this is another provider. Delete "
            "OPENAI_API_KEY from .env to use the sandbox."
        ) from error
