"""The configured endpoint: a client, what its lists hold, and deleting from it."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from heroes.output import confirm, note, show

if TYPE_CHECKING:
    from openai import OpenAI

T = TypeVar("T")


def client() -> OpenAI:
    """A client for the configured endpoint, by default the sandbox; silent on stdout."""
    from helpers.connect import connect

    with contextlib.redirect_stdout(sys.stderr):
        return connect(announce=False)


def first(pages: Iterable[T], limit: int, every: bool) -> list[T]:
    """The first `limit` things of a list that the server hands out in pages, or every one."""
    found = list(pages if every else itertools.islice(pages, limit + 1))
    if every or len(found) <= limit:
        return found
    note("There are more: --all shows every one.")
    return found[:limit]


def delete_all(resource: str, ids: list[str], yes: bool, json: bool) -> None:
    """Delete files or models from the server, after asking."""
    confirm(f"Delete {' and '.join(ids)}? This cannot be undone.", yes)
    with client() as api:
        deleted = [getattr(api, resource).delete(each) for each in ids]
    show(deleted, json, "\n".join(f"Deleted: {each.id}" for each in deleted))
