"""The application in this process, on a real socket, without a model and without trainers."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI
from openai import OpenAI
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from sandbox.api.app import create_app
from sandbox.api.serve import listen
from sandbox.bases import Base, find_base
from sandbox.config import Settings
from sandbox.engine.parent.sampler import SamplerClient
from sandbox.engine.sampler.messages import Delta, Embed, EngineError, Generate, Usage
from sandbox.store import keys
from sandbox.store.database import Store
from tests.support.scripted import ScriptedSampler
from tests.support.server import PATIENCE
from tests.support.tiny import kept_base
from tests.support.tiny_embedder import NAME as EMBEDDER


class NoSampler:
    """What the application has when its model's process is gone for good."""

    async def generate(self, request: Generate) -> AsyncIterator[Delta | Usage]:
        raise EngineError("model_unavailable", f"{request.folder} cannot be loaded.")
        yield  # pragma: no cover - makes this a generator

    async def embed(self, request: Embed) -> tuple[list[str], Usage]:
        raise EngineError("model_unavailable", f"{request.folder} cannot be loaded.")


class Documented:
    """The application, watched: which answers does its OpenAPI document not speak of?"""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.undocumented: set[tuple[str, str, int, str]] = set()
        self._answers = {
            (method.upper(), re.compile(_pattern(path))): operation["responses"]
            for path, operations in app.openapi()["paths"].items()
            for method, operation in operations.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def look(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._look(scope, message["status"], Headers(raw=message["headers"]))
            await send(message)

        await self.app(scope, receive, look)

    def _look(self, scope: Scope, status: int, headers: Headers) -> None:
        for (method, path), answers in self._answers.items():
            # The client of a 499 has gone: it reads no answer.
            if method == scope["method"] and path.fullmatch(scope["path"]) and status != 499:
                kind = headers.get("content-type", "").partition(";")[0]
                content = answers.get(str(status), {}).get("content", ["application/json"])
                if str(status) not in answers or kind not in content:
                    self.undocumented.add((method, path.pattern, status, kind))


def _pattern(path: str) -> str:
    """A path of the document as a regular expression: only a model's name may hold slashes."""
    return re.sub(r"\{\w+\}", "[^/]+", path.replace("{name}", ".+"))


@contextmanager
def running(
    settings: Settings, sampler: SamplerClient | None = None, bases: tuple[Base, ...] = ()
) -> Iterator[tuple[str, str]]:
    """Serve until the block ends; gives the URL and a key."""
    with Store(settings.state_dir) as store:
        key = keys.create_key(store, "learner", "")[1]
        app = create_app(settings, store, bases, sampler or NoSampler())
        listener = listen(Settings(port=0))
        watched = Documented(app)
        server = uvicorn.Server(uvicorn.Config(watched, log_config=None, ws="none"))
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
        assert not watched.undocumented


@dataclass(frozen=True)
class Api:
    """A running application with the tests' tiny model, answered for by a scripted sampler."""

    state: Path
    url: str
    key: str
    other_key: str

    def client(self, key: str | None = None, **options: Any) -> OpenAI:
        """The SDK; retries are off, so that a test sees the first answer."""
        options = {"max_retries": 0, "timeout": PATIENCE, **options}
        return OpenAI(base_url=self.url, api_key=key or self.key, **options)

    def http(self) -> httpx2.Client:
        """A plain client that sends the key, for what the SDK would not send."""
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=PATIENCE, trust_env=False)


def both_bases() -> tuple[Base, ...]:
    """The tiny model, and under another name the same as one that embeds: nothing loads them."""
    base = find_base(str(kept_base()))
    return base, replace(base, name=EMBEDDER, embeds=True)


@contextmanager
def running_api(
    state: Path, sampler: SamplerClient | None = None, **settings: Any
) -> Iterator[Api]:
    """Serve the tiny model until the block ends; `settings` are those of the server."""
    bases = both_bases()
    with Store(state) as store:
        other = keys.create_key(store, "other", "")[1]
    with running(Settings(state_dir=state, **settings), sampler or ScriptedSampler(), bases) as (
        url,
        key,
    ):
        yield Api(state, url, key, other)
