"""What the routes work with: one object, made at start-up, found through the request."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

from fastapi import Depends, Request

from sandbox.config import BaseModel, Settings
from sandbox.store import Store

if TYPE_CHECKING:
    from sandbox.api.batch_runner import BatchRunner
    from sandbox.api.faults.box import FaultBox
    from sandbox.api.seeds import Seeds
    from sandbox.api.validation import Validator
    from sandbox.engine.sampler.messages import Delta, Embed, Generate, Usage


class Sampler(Protocol):
    """The part of the sampler client that the routes use."""

    def generate(self, request: "Generate") -> AsyncIterator["Delta | Usage"]:
        """Yield the pieces of the answer and, last, the token counts."""

    async def embed(self, request: "Embed") -> tuple[list[str], "Usage"]:
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
    """The server's parts."""

    settings: Settings
    store: Store
    bases: tuple[BaseModel, ...]
    sampler: Sampler
    trainers: Trainers | None  # None: jobs wait in the queue
    validator: "Validator"
    seeds: "Seeds"
    batches: "BatchRunner"
    faults: "FaultBox"


def context_of(request: Request) -> Context:
    """Return the server's parts for a request."""
    return request.app.state.context


ContextOf = Annotated[Context, Depends(context_of)]
