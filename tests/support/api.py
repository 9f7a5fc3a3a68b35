"""The application in this process, on a real socket, without a model: for special settings."""

import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import uvicorn

from sandbox.api.app import create_app
from sandbox.api.context import Sampler
from sandbox.config import BaseModel, Settings
from sandbox.engine.protocol import Delta, EmbedRequest, EngineError, GenerateRequest, Usage
from sandbox.store import Store, keys


class NoSampler:
    """What the application has when its model's process is gone for good."""

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Delta | Usage]:
        raise EngineError("model_unavailable", f"{request.model_path} cannot be loaded.")
        yield  # pragma: no cover - makes this a generator

    async def embed(self, request: EmbedRequest) -> tuple[list[str], Usage]:
        raise EngineError("model_unavailable", f"{request.model_path} cannot be loaded.")


@contextmanager
def running(
    settings: Settings, sampler: Sampler | None = None, bases: tuple[BaseModel, ...] = ()
) -> Iterator[tuple[str, str]]:
    """Serve until the block ends; gives the URL and a key."""
    with Store(settings.state_dir) as store:
        key = keys.create_key(store, "learner", "")[1]
        app = create_app(settings, store, bases, sampler or NoSampler())
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", key
        finally:
            server.should_exit = True
            thread.join()
