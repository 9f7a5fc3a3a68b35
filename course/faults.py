"""Practise bad days: ask the sandbox to fail on purpose, and to stop it.

    set_fault(client, "rate_limit", times=2, retry_after=1)
    clear_faults(client)

For a single call there is the header instead: `extra_headers={"X-Sandbox-Fault": "rate_limit"}`.
Only a sandbox can do this; a hosted provider answers such calls with 404 (and ignores the header).
"""

from __future__ import annotations

from typing import Any

import openai
from openai import OpenAI

ADDRESS = "/sandbox/faults"
HEADER = "X-Sandbox-Fault"


class NoSandboxError(RuntimeError):
    """The client talks to a provider that has no faults for practice."""


def set_fault(client: OpenAI, name: str, times: int = 1, **details: Any) -> list[dict[str, Any]]:
    """Let the next `times` calls that it can happen to meet a fault; returns what is set now.

    Raises openai.BadRequestError, naming all faults, for a name or a detail that nobody knows.
    """
    body = {"fault": name, "times": times, "details": details}
    return _data(_ask(client, "post", body=body))


def clear_faults(client: OpenAI) -> int:
    """End every fault of this key's project; returns how many there were."""
    return int(_ask(client, "delete")["cleared"])


def list_faults(client: OpenAI) -> list[dict[str, Any]]:
    """The faults that are set: name, times_left and details of each."""
    return _data(_ask(client, "get"))


def known_faults(client: OpenAI) -> list[dict[str, Any]]:
    """All faults there are: name, what, happens_to and details of each."""
    return list(_ask(client, "get")["known"])


def _ask(client: OpenAI, method: str, **options: Any) -> dict[str, Any]:
    # The client's own way of calling: its address, its key, its time limits.
    call = getattr(client, method)
    try:
        return dict(call(ADDRESS, cast_to=object, **options))
    except openai.NotFoundError as error:
        raise NoSandboxError(
            "Only the sandbox fails on request, and this is another provider. Delete "
            "OPENAI_API_KEY from .env to use the sandbox."
        ) from error


def _data(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return list(answer["data"])
