"""Tokens a second with 8 clients at once: the sandbox against `transformers serve`.

`python -m bench.serving`: the same model, the same prompts, the same number of new tokens, one
server after the other, in turns.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from bench.common import WEIGHTS, own_sandbox, show
from course.grid import superhero_grid
from helpers.connect import connect_async
from helpers.settings import load_settings

CLIENTS = 8
REQUESTS = 24
NEW_TOKENS = 100


@contextmanager
def transformers_serve() -> Iterator[str]:
    """`transformers serve` on a free port; its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(WEIGHTS)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        _wait(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes], limit: float = 120.0) -> None:
    # Its list of models looks into the Hub's cache and fails where there is none; /health does not.
    health = url.removesuffix("/v1") + "/health"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(int(limit)):
        try:
            with opener.open(health, timeout=5):
                return
        except OSError:
            if server.poll() is not None:
                raise SystemExit(
                    "transformers serve ended at once. Its own packages are missing: "
                    "pip install 'transformers[serving]'"
                ) from None
            time.sleep(1)
    raise SystemExit("transformers serve was not ready after two minutes.")


async def _tokens_per_second(client: AsyncOpenAI, model: str) -> float:
    """REQUESTS answers by CLIENTS clients at once; new tokens a second over all."""
    prompts = iter(superhero_grid()["prompt"].head(REQUESTS))
    made = 0

    async def one_client() -> None:
        nonlocal made
        for prompt in prompts:
            stream = await client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": prompt}],
                max_tokens=NEW_TOKENS,
                stream=True,
            )
            async for chunk in stream:
                made += bool(chunk.choices and chunk.choices[0].delta.content)

    started = time.perf_counter()
    await asyncio.gather(*(one_client() for _ in range(CLIENTS)))
    return made / (time.perf_counter() - started)


def measure(url: str | None) -> float:
    """The sandbox's tokens a second, or those of the server at `url`."""

    async def work() -> float:
        if url is None:
            async with connect_async() as client:
                return await _tokens_per_second(client, load_settings().base_model)
        http = DefaultAsyncHttpxClient(trust_env=False)
        async with AsyncOpenAI(api_key="none", base_url=url, http_client=http) as client:
            return await _tokens_per_second(client, str(WEIGHTS))

    return asyncio.run(work())


def run(rounds: int = 3) -> None:
    with own_sandbox(), transformers_serve() as url:
        measure(None), measure(url)  # warm
        pairs = [(measure(None), measure(url)) for _ in range(rounds)]
    ours, theirs = (median(side) for side in zip(*pairs, strict=True))
    name = f"{CLIENTS} clients, tokens/s: sandbox / transformers serve"
    show(name, ours / theirs, "x", ">= 3", f"{ours:,.0f} / {theirs:,.0f} pieces/s")


if __name__ == "__main__":
    run()
