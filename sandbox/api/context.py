"""What the routes work with: one object, made at start-up, found through the request.

It holds leaves only. Work that goes on after an answer is out gets there through the two queues:
a route puts an id in, validation.py and batch_runner.py take it out.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends, Request

from sandbox.api.faults.waiting import Faults
from sandbox.api.seeds import Seeds
from sandbox.bases import Base
from sandbox.config import Settings
from sandbox.engine.sampler.messages import Delta, Embed, Generate, Usage
from sandbox.store.database import Store


class Sampler(Protocol):
    """The part of the sampler client that the routes use."""

    def generate(self, request: Generate) -> AsyncIterator[Delta | Usage]:
        """Yield the pieces of the answer and, last, the token counts."""

    async def embed(self, request: Embed) -> tuple[list[str], Usage]:
        """Return the vectors in base64, and the token counts."""


class Trainers(Protocol):
    """The part of the trainers that the routes use. May be called from any thread."""

    @property
    def degraded(self) -> str | None:
        """Why jobs are not trained as they should be, or None."""

    def wake(self) -> None:
        """Look at the queue: a job has been added."""

    def ask(self, job_id: str) -> None:
        """Do what was asked of this job: cancel, pause, resume."""


@dataclass(frozen=True)
class Context:
    """The server's parts. The queues, like `faults`, are for the event loop only."""

    settings: Settings
    store: Store
    bases: tuple[Base, ...]
    sampler: Sampler
    seeds: Seeds
    trainers: Trainers | None = None  # None: jobs wait in the queue
    faults: Faults = field(default_factory=Faults)
    # Ids of jobs whose files have to be checked.
    new_jobs: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    # Ids of batches that have to be run or, when they run already, to be stopped.
    new_batches: asyncio.Queue[str] = field(default_factory=asyncio.Queue)


def context_of(request: Request) -> Context:
    """Return the server's parts for a request."""
    return request.app.state.context


ContextOf = Annotated[Context, Depends(context_of)]
