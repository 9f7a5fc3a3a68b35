"""What the routes work with: one object, made at start-up, found through the request.

It holds leaves only. Work that goes on after an answer is out gets there through the two queues:
a route puts an id in, validation.py and batch_runner.py take it out.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from sandbox.api.faults.waiting import Faults
from sandbox.api.seeds import Seeds
from sandbox.api.streaming import Broadcast
from sandbox.bases import Base
from sandbox.config import Settings
from sandbox.engine.parent.sampler import SamplerClient
from sandbox.engine.parent.trainers import Trainers
from sandbox.store.database import Store


@dataclass(frozen=True)
class Context:
    """The server's parts. The queues, `runs` and `faults` are for the event loop only."""

    settings: Settings
    store: Store
    bases: tuple[Base, ...]
    sampler: SamplerClient
    seeds: Seeds
    trainers: Trainers | None = None  # None: jobs wait in the queue
    faults: Faults = field(default_factory=Faults)
    # Responses in the background, by their ids: those under way, and some that have ended.
    runs: dict[str, Broadcast] = field(default_factory=dict)
    # Ids of jobs whose files have to be checked.
    new_jobs: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    # Ids of batches that have to be run or, when they run already, to be stopped.
    new_batches: asyncio.Queue[str] = field(default_factory=asyncio.Queue)


def context_of(request: Request) -> Context:
    """Return the server's parts for a request."""
    return request.app.state.context


ContextOf = Annotated[Context, Depends(context_of)]
