"""The application: its routes, its parts, and what happens at start and stop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse

from sandbox import __version__
from sandbox.api import batches, chat, completions, embeddings, files, jobs, models
from sandbox.api.batch_runner import BatchRunner
from sandbox.api.context import Context, ContextOf, Sampler, Trainers
from sandbox.api.docs import render
from sandbox.api.errors import ERRORS, install_handlers
from sandbox.api.faults import routes as fault_routes
from sandbox.api.faults.box import FaultBox
from sandbox.api.faults.middleware import Faults
from sandbox.api.middleware import Envelope
from sandbox.api.rate_limits import RateLimits
from sandbox.api.seeds import Seeds
from sandbox.api.validation import Validator
from sandbox.config import BaseModel, Settings
from sandbox.store import Store

DESCRIPTION = """An OpenAI-compatible server that really fine-tunes and samples a small model.

Every address under /v1 needs a key: `python -m sandbox keys create` makes one."""


class Worker(Protocol):
    """Something that runs beside the API: the processes of the sampler and of the trainers."""

    async def start(self) -> None:
        """Begin to start it; do not wait until it is ready."""

    async def stop(self) -> None:
        """End it, if it was started."""


def create_app(
    settings: Settings,
    store: Store,
    bases: Sequence[BaseModel],
    sampler: Sampler,
    trainers: Trainers | None = None,
    workers: Sequence[Worker] = (),
) -> FastAPI:
    """Return the application. ``workers`` are started and stopped together with it."""
    context = Context(
        settings=settings,
        store=store,
        bases=tuple(bases),
        sampler=sampler,
        trainers=trainers,
        validator=Validator(store, tuple(bases), trainers),
        seeds=Seeds(settings.seed),
        batches=BatchRunner(),
        faults=FaultBox(),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            for worker in workers:
                await worker.start()
            context.validator.submit_waiting()
            await context.batches.start(context)
            yield
        finally:
            await context.batches.stop()
            # All at once: each may need a moment to finish what it is doing.
            await asyncio.gather(*(worker.stop() for worker in workers))
            await run_in_threadpool(context.validator.close)

    app = FastAPI(
        title="Superhero sandbox",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        # A redirect would lose the body of a POST; an unknown address gets a plain 404.
        redirect_slashes=False,
        # FastAPI's own page loads its scripts from the internet; ours works offline.
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    install_handlers(app)
    app.include_router(_routes())
    app.add_api_route("/health", health, methods=["GET"], tags=["health"])
    app.add_api_route("/docs", docs_page, methods=["GET"], include_in_schema=False)
    # Last added is outermost: a fault is no request that counts, and gets its headers too.
    if settings.requests_per_minute is not None:
        app.add_middleware(RateLimits, context=context, per_minute=settings.requests_per_minute)
    app.add_middleware(Faults, context=context)
    app.add_middleware(Envelope)
    return app


def _routes() -> APIRouter:
    routes = APIRouter(prefix="/v1", responses=ERRORS)
    for module in (files, jobs, models, chat, completions, embeddings, batches, fault_routes):
        routes.include_router(module.router)
    return routes


def docs_page(request: Request) -> HTMLResponse:
    """The list of all addresses, for readers."""
    return HTMLResponse(render(request.app.openapi()))


def health(context: ContextOf) -> dict[str, Any]:
    """Whether the server is well: "ok", or "degraded" with the reason. Needs no key."""
    answer: dict[str, Any] = {"status": "ok", "version": __version__}
    if context.trainers is not None and (reason := context.trainers.degraded):
        answer |= {"status": "degraded", "reason": reason}
    return answer
