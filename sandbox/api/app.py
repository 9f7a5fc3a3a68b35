"""The application: its routes, its parts, and what happens at start and stop."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import RedirectResponse

from sandbox import __version__
from sandbox.api import (
    batches,
    chat,
    completions,
    embeddings,
    files,
    jobs,
    models,
    responses,
    stored_chats,
)
from sandbox.api.batch_runner import run_batches
from sandbox.api.context import Context, ContextOf
from sandbox.api.document import ERRORS, document_errors
from sandbox.api.errors import install_handlers
from sandbox.api.faults import routes as fault_routes
from sandbox.api.faults.middleware import FaultsHappen
from sandbox.api.middleware import Envelope
from sandbox.api.rate_limits import RateLimits
from sandbox.api.response_background import run_responses
from sandbox.api.seeds import Seeds
from sandbox.api.validation import check_new_jobs
from sandbox.bases import Base
from sandbox.config import MEBIBYTE, Settings
from sandbox.engine.parent.sampler import SamplerClient
from sandbox.engine.parent.trainers import Trainers
from sandbox.store.database import Store

DESCRIPTION = """An OpenAI-compatible server that really fine-tunes and samples a small model.

Every address under /v1 needs a key: `python -m sandbox keys create` makes one."""
# Less room than this in the state folder, and the next checkpoint may not fit.
LEAST_FREE_BYTES = 64 * MEBIBYTE


class Worker(Protocol):
    """Something that runs beside the API: the processes of the sampler and of the trainers."""

    async def start(self) -> None:
        """Begin to start it; do not wait until it is ready."""

    async def stop(self) -> None:
        """End it, if it was started."""


def create_app(
    settings: Settings,
    store: Store,
    bases: Sequence[Base],
    sampler: SamplerClient,
    trainers: Trainers | None = None,
    workers: Sequence[Worker] = (),
) -> FastAPI:
    """Return the application. ``workers`` are started and stopped together with it."""
    context = Context(settings, store, tuple(bases), sampler, Seeds(settings.seed), trainers)
    app = FastAPI(
        title="Superhero sandbox",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan(context, workers),
        # A redirect would lose the body of a POST; an unknown address gets a plain 404.
        redirect_slashes=False,
        # FastAPI's own page loads its scripts from the internet.
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    install_handlers(app)
    app.include_router(_routes())
    app.add_api_route("/health", health, methods=["GET"], tags=["health"], responses=ERRORS)
    app.add_api_route("/docs", show_document, methods=["GET"], include_in_schema=False)
    document_errors(app)
    # Last added is outermost: a fault is no request that counts, and gets its headers too.
    if settings.requests_per_minute is not None:
        app.add_middleware(RateLimits, context=context, per_minute=settings.requests_per_minute)
    app.add_middleware(FaultsHappen, context=context)
    app.add_middleware(Envelope, host=settings.host)
    return app


def _lifespan(context: Context, workers: Sequence[Worker]) -> Any:
    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        background = []
        try:
            for worker in workers:
                await worker.start()
            background = [
                asyncio.create_task(work(context), name=work.__name__)
                for work in (check_new_jobs, run_batches, run_responses)
            ]
            app.state.background = background
            yield
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            # All at once: each may need a moment to finish what it is doing.
            await asyncio.gather(*(worker.stop() for worker in workers))

    return run


def _routes() -> APIRouter:
    routes = APIRouter(prefix="/v1", responses=ERRORS)
    for module in (
        files,
        jobs,
        models,
        chat,
        stored_chats,
        completions,
        embeddings,
        responses,
        batches,
        fault_routes,
    ):
        routes.include_router(module.router)
    return routes


def show_document() -> RedirectResponse:
    """All addresses and their parameters, for readers and programs."""
    return RedirectResponse("/openapi.json")


def health(request: Request, context: ContextOf) -> dict[str, Any]:
    """Whether the server is well: "ok", or "degraded" with the `problems`. Needs no key."""
    free = shutil.disk_usage(context.store.state_dir).free
    problems = [
        f"{task.get_name()} has ended: restart the sandbox and look at its output."
        for task in request.app.state.background
        if task.done()
    ]
    if context.trainers is not None and context.trainers.degraded is not None:
        problems.append(context.trainers.degraded)
    if free < LEAST_FREE_BYTES:
        problems.append(
            f"Storage: {free // MEBIBYTE} MiB are left in {context.store.state_dir}. Make room "
            "there; uploads, training and batches then go on by themselves."
        )
    answer: dict[str, Any] = {"status": "degraded" if problems else "ok", "version": __version__}
    return answer | ({"problems": problems} if problems else {})
