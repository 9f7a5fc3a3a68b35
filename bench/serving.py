"""Tokens a second through HTTP: the sandbox against `transformers serve`, and against others.

`python -m bench.serving [--base-model NAME_OR_FOLDER] [NAME=URL …]`: the same model, the same
prompts, the same number of new tokens, for 1, 8 and 32 clients; one server after the other, in
turns. A URL is that of any other server that speaks OpenAI's API and already runs. The sandbox is
also measured against its own decode loop in this process, which pays for no HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from bench import clients, decoding
from bench.common import WEIGHTS, Server, show
from course.grid import superhero_grid
from sandbox.bases import find_base

REQUESTS = {1: 3, 8: 8, 32: 32}  # how many, by so many clients
NEW_TOKENS = 100
ROUNDS = 3
READY_SECONDS = 120


@contextmanager
def transformers_serve(folder: Path) -> Iterator[str]:
    """`transformers serve` on a free port; its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder)]
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


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    # Its list of models looks into the Hub's cache and fails where there is none; /health does not.
    health = url.removesuffix("/v1") + "/health"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(READY_SECONDS):
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
    raise SystemExit(f"transformers serve was not ready after {READY_SECONDS} seconds.")


@contextmanager
def sandbox(base: str) -> Iterator[tuple[Server, str]]:
    """A sandbox of its own with a base model, and its base URL."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "sandbox", Path(base), threads=0)
        try:
            client = clients.new_client(server.key)
            deadline = time.monotonic() + READY_SECONDS
            while not server.note.is_file() and time.monotonic() < deadline:
                time.sleep(0.2)
            clients.find_server(client, server.note)
            yield server, str(client.base_url)
        finally:
            server.stop()


def measure(url: str, key: str, model: str, together: int, **options: Any) -> tuple[float, float]:
    """New tokens a second over all clients, and the median seconds to the first one."""

    async def work() -> tuple[float, float]:
        http = DefaultAsyncHttpxClient(trust_env=False)
        async with AsyncOpenAI(api_key=key, base_url=url, http_client=http) as client:
            return await _measure(client, model, together, options)

    return asyncio.run(work())


async def _measure(
    client: AsyncOpenAI, model: str, together: int, options: dict[str, Any]
) -> tuple[float, float]:
    prompts = iter(superhero_grid()["prompt"].head(REQUESTS[together]))
    made, waited = 0, []

    async def one_client() -> None:
        nonlocal made
        for prompt in prompts:
            asked, first = time.perf_counter(), None
            stream = await client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": prompt}],
                max_tokens=NEW_TOKENS,
                stream=True,
                **options,
            )
            async for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    first = first or time.perf_counter() - asked
                    made += 1
            waited.append(first or time.perf_counter() - asked)

    started = time.perf_counter()
    await asyncio.gather(*(one_client() for _ in range(together)))
    return made / (time.perf_counter() - started), median(waited)


def run(
    base: str = str(WEIGHTS), others: dict[str, str] | None = None, rounds: int = ROUNDS
) -> None:
    """Measure a base by its name or folder."""
    folder = find_base(base).path
    with sandbox(base) as (server, url), transformers_serve(folder) as theirs:
        servers = {"sandbox": (url, server.key, server.model)}
        servers["transformers serve"] = (theirs, "none", str(folder))
        servers |= {name: (other, "none", "default") for name, other in (others or {}).items()}
        for where in servers.values():
            measure(*where, 1)  # warm
        for together in REQUESTS:
            found = [
                {name: measure(*where, together) for name, where in servers.items()}
                for _ in range(rounds)
            ]
            _show(together, found)
        sampler = max(worker.memory_info().rss for worker in server.workers())
        show("memory of the sampler", sampler / 1e9, "GB", "<= 1.2", "resident, after all this")
        _against_the_loop(folder, servers["sandbox"], rounds)


def _show(together: int, found: list[dict[str, tuple[float, float]]]) -> None:
    """Print how fast each server was for so many clients, and how soon it began."""
    speeds = {name: median(one[name][0] for one in found) for name in found[0]}
    for name in list(speeds)[1:]:
        ratio, detail = speeds["sandbox"] / speeds[name], f"{speeds['sandbox']:.1f} / "
        aim = ">= 3" if together == 8 and name == "transformers serve" else ""
        title = f"{together} clients, tokens/s: sandbox / {name}"
        show(title, ratio, "x", aim, f"{detail}{speeds[name]:.1f} pieces/s")
    waited = {name: median(one[name][1] for one in found) for name in speeds}
    detail = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in waited.items())
    show(f"{together} clients: first token", waited["sandbox"], "s", "", detail)


def _against_the_loop(folder: Path, where: tuple[str, str, str], rounds: int) -> None:
    """What HTTP costs: the same prompts through the API, and in this process."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from sandbox.engine.sampler.models import ModelCache

    loop = ModelCache().get(str(folder))
    never = {str(token): -100 for token in loop.encoder.stop_ids}  # all answers are equally long
    for together, count in REQUESTS.items():
        prompts = superhero_grid()["prompt"].head(count).tolist()
        pairs = []
        for _ in range(rounds):
            groups = [prompts[i : i + together] for i in range(0, len(prompts), together)]
            alone = [decoding.in_process(loop, group, NEW_TOKENS) for group in groups]
            through = measure(*where, together, logit_bias=never)[0]
            pairs.append((through, median(alone)))
        through, inside = (median(side) for side in zip(*pairs, strict=True))
        detail = f"{through:.1f} / {inside:.1f} tokens/s"
        name = f"{together} clients: through HTTP / in this process"
        show(name, through / inside, "x", ">= 0.9", detail)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("others", nargs="*", metavar="NAME=URL")
    parser.add_argument("--base-model", default=str(WEIGHTS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    others = dict(other.split("=", 1) for other in given.others)
    run(given.base_model, others, given.rounds)
