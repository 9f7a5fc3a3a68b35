"""Supervision of the processes, and the sampler's process through its client."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandbox.engine.parent.sampler import SamplerClient
from sandbox.engine.sampler.decode import DecodeLoop
from sandbox.engine.sampler.forward import make_forward
from sandbox.engine.sampler.messages import (
    Delta,
    Embed,
    EngineError,
    Generate,
    TokenInfo,
    Usage,
)
from sandbox.engine.sampler.models import load_model
from sandbox.engine.supervisor import RestartPolicy, Worker, sampler_arguments, trainer_arguments
from sandbox.engine.text.encoder import Encoder
from tests.support.generate import ask
from tests.support.tiny import CONTEXT, make_base

FAST = RestartPolicy(first_wait=0.01, longest_wait=0.05, limit=3)

ECHO = """
import json, sys
print(json.dumps({"op": "ready"}), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if message["op"] == "die":
        sys.exit("I was told to die")
    print(json.dumps(message), flush=True)
"""
STUBBORN = """
import json, sys, time
print(json.dumps({"op": "ready"}), flush=True)
time.sleep(600)
"""


def script(folder: Path, text: str) -> list[str]:
    path = folder / "worker.py"
    path.write_text(text, encoding="utf-8")
    return [str(path)]


def test_messages_go_both_ways(tmp_path: Path) -> None:
    async def main() -> list[dict[str, Any]]:
        got: list[dict[str, Any]] = []
        arrived = asyncio.Event()

        def receive(message: dict[str, Any]) -> None:
            got.append(message)
            arrived.set()

        worker = Worker("echo", script(tmp_path, ECHO), on_message=receive)
        assert not worker.ready
        await worker.start()
        await worker.wait_ready()
        assert worker.ready
        await worker.send(b'{"op": "hello"}\n')
        await arrived.wait()
        await worker.stop()
        assert not worker.ready
        with pytest.raises(RuntimeError, match="has been stopped"):
            await worker.wait_ready()
        return got

    assert asyncio.run(main()) == [{"op": "hello"}]


def test_a_dead_worker_is_started_again(tmp_path: Path) -> None:
    async def main() -> bool:
        exits = asyncio.Semaphore(0)
        worker = Worker("echo", script(tmp_path, ECHO), on_exit=exits.release, policy=FAST)
        await worker.start()
        await worker.wait_ready()
        assert worker.process is not None
        first = worker.process.pid
        await worker.send(b'{"op": "die"}\n')
        await exits.acquire()
        await worker.wait_ready()
        assert worker.process is not None
        assert worker.process.pid != first
        given_up = worker.failure is not None
        await worker.stop()
        return given_up

    assert not asyncio.run(main())


def test_a_worker_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    async def main() -> tuple[int, str | None]:
        exits: list[int] = []
        lines = script(tmp_path, "import sys; sys.exit('no such library')")
        worker = Worker("broken", lines, on_exit=lambda: exits.append(1), policy=FAST)
        await worker.start()
        with pytest.raises(RuntimeError, match="no such library"):
            await worker.wait_ready()
        with pytest.raises(ConnectionError):
            await worker.send(b"{}\n")
        await worker.stop()
        return len(exits), worker.failure

    deaths, failure = asyncio.run(main())
    assert deaths == FAST.limit
    assert failure is not None
    assert "3 times in a row" in failure


def test_a_program_that_is_not_there_is_given_up(tmp_path: Path) -> None:
    async def main() -> str | None:
        worker = Worker("nothing", [str(tmp_path / "nothing.py")], policy=FAST)
        await worker.start()
        with pytest.raises(RuntimeError):
            await worker.wait_ready()
        await worker.stop()
        return worker.failure

    assert "not started again" in (asyncio.run(main()) or "")


def test_a_worker_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.engine.supervisor.QUIT_SECONDS", 0.2)

    async def main() -> int | None:
        worker = Worker("stubborn", script(tmp_path, STUBBORN), policy=FAST)
        await worker.start()
        await worker.wait_ready()
        process = worker.process
        await worker.stop()
        assert process is not None
        return process.returncode

    assert asyncio.run(main()) not in (None, 0)


def test_a_line_that_is_no_message_costs_the_worker_its_life(tmp_path: Path) -> None:
    text = 'import sys; print("hello", flush=True); sys.stdin.read()'

    async def main() -> str | None:
        worker = Worker("chatty", script(tmp_path, text), policy=FAST)
        await worker.start()
        with pytest.raises(RuntimeError):
            await worker.wait_ready()
        await worker.stop()
        return worker.failure

    assert asyncio.run(main()) is not None


def test_waits_grow_up_to_a_limit() -> None:
    policy = RestartPolicy(first_wait=1, longest_wait=5)
    assert [policy.wait(deaths) for deaths in (1, 2, 3, 4, 9)] == [1, 2, 4, 5, 5]


def test_arguments() -> None:
    assert sampler_arguments([Path("a")]) == [
        "-m",
        "sandbox.engine.sampler.worker",
        "--preload",
        "a",
    ]
    arguments = trainer_arguments(Path("state"), {"tiny": Path("b")})
    start = ["-m", "sandbox.engine.trainer", "--state", "state"]
    assert arguments == [*start, "--name", "trainer-1", "--base", "tiny=b"]


def test_the_api_side_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, sandbox.engine.parent.sampler, sandbox.engine.examples\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


pytestmark = pytest.mark.slow

ENDLESS = {0: -100.0, 4: -100.0}


@pytest.fixture(scope="module")
def base(tiny: Path) -> Path:
    return tiny


async def whole(client: SamplerClient, request: Generate) -> tuple[list[Delta], Usage]:
    pieces = [piece async for piece in client.generate(request)]
    assert isinstance(pieces[-1], Usage)
    return [piece for piece in pieces if isinstance(piece, Delta)], pieces[-1]


Body = Callable[[SamplerClient], Coroutine[Any, Any, None]]


# A library that keeps printing while the sampler works, from Python and below it.
CHATTER = """
import os, sys, threading
def chatter():
    if 'sandbox.engine.sampler.decode' in sys.modules:
        print('hello from a library', flush=True)
        os.write(1, b'hello from below')
    timer = threading.Timer(0.02, chatter)
    timer.daemon = True
    timer.start()
threading.Timer(0.02, chatter).start()
"""


@pytest.fixture(scope="module")
def with_client(
    base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Body], None]]:
    """Run tests' bodies on one client; stray prints in its process must not disturb it."""
    folder = tmp_path_factory.mktemp("chatter")
    (folder / "sitecustomize.py").write_text(CHATTER)
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        client = SamplerClient([base], policy=FAST)
        runner.run(client.start())
        try:
            yield lambda body: runner.run(body(client))
        finally:
            runner.run(client.stop())


def test_the_process_answers_as_the_loop_in_process(
    base: Path, with_client: Callable[[Body], None]
) -> None:
    chat = [{"role": "user", "content": "40, woman ->"}]
    requests = [
        ask(chat, base, n=2, top_logprobs=2, stream=False),
        ask(folder=base, stop=("e",), temperature=0.5, top_p=0.9),
        ask(folder=base, echo=True, top_logprobs=0, presence_penalty=0.5, frequency_penalty=0.5),
        ask([0, 60, 61], base, logit_bias={70: 5.0}),
    ]
    loop = DecodeLoop(make_forward(load_model(base)), Encoder(base))
    expected: dict[int, list[Any]] = {i: [] for i in range(len(requests))}
    for number, request in enumerate(requests):
        loop.add(number, request)
    while loop.busy:
        for output in loop.step():
            expected[output.id] += [*output.deltas, *([output.usage] if output.usage else [])]

    async def body(client: SamplerClient) -> None:
        answers = await asyncio.gather(*(whole(client, request) for request in requests))
        for (deltas, usage), pieces in zip(answers, expected.values(), strict=True):
            assert joined(deltas) == joined([p for p in pieces if isinstance(p, Delta)])
            assert usage == pieces[-1]

    with_client(body)


def joined(deltas: list[Delta]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for delta in deltas:
        text, tokens, _ = found.get(delta.choice, ("", [], None))
        new = [rounded(token) for token in delta.tokens]
        found[delta.choice] = (text + delta.text, tokens + new, delta.finish_reason)
    return found


def rounded(token: TokenInfo) -> TokenInfo:
    """Which requests share a step is chance, and it moves the last digits of a logprob."""
    top = [(text, raw, round(logprob, 9)) for text, raw, logprob in token.top]
    logprob = None if token.logprob is None else round(token.logprob, 9)
    return replace(token, logprob=logprob, top=top)


def test_closing_the_stream_cancels_and_errors_stay_apart(
    base: Path, tmp_path: Path, with_client: Callable[[Body], None]
) -> None:
    broken = make_base(tmp_path / "broken")
    (broken / "config.json").write_text("{}")

    async def body(client: SamplerClient) -> None:
        stream = client.generate(ask(folder=base, max_tokens=None, logit_bias=ENDLESS))
        assert isinstance(await anext(stream), Delta)
        await stream.aclose()
        steady = asyncio.create_task(
            whole(client, ask(folder=base, max_tokens=150, logit_bias=ENDLESS))
        )
        for request, code in [
            (ask(folder=base, max_tokens=CONTEXT), "context_length_exceeded"),
            (ask(folder=broken), "model_unavailable"),
            (ask(folder=tmp_path / "nowhere"), "model_unavailable"),
            (ask([{"role": "user"}], base), "engine_failed"),
        ]:
            with pytest.raises(EngineError) as caught:
                await whole(client, request)
            assert caught.value.code == code
        assert (await steady)[1].completion_tokens == 150

    with_client(body)


def test_after_kill_9_the_open_requests_fail_and_the_next_ones_work(
    base: Path, with_client: Callable[[Body], None]
) -> None:
    async def body(client: SamplerClient) -> None:
        expected = await whole(client, ask(folder=base))
        stream = client.generate(ask(folder=base, max_tokens=None, n=64, logit_bias=ENDLESS))
        await anext(stream)
        assert client.pid is not None
        os.kill(client.pid, signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
        with pytest.raises(EngineError) as caught:
            async for _ in stream:
                continue
        assert caught.value.code == "engine_crashed"
        assert await whole(client, ask(folder=base)) == expected

    with_client(body)


def test_embeddings_come_through_the_process_and_one_bad_request_harms_no_other(
    base: Path, with_client: Callable[[Body], None]
) -> None:
    async def body(client: SamplerClient) -> None:
        wanted = Embed(str(base), [[5, 6, 7], [5, 6, 7], [9, 8]])
        vectors, bad = await asyncio.gather(
            client.embed(wanted),
            client.embed(Embed(str(base / "nowhere"), [[5]])),
            return_exceptions=True,
        )
        assert isinstance(bad, EngineError)
        first, again, other = (
            np.frombuffer(base64.b64decode(vector), dtype="<f4") for vector in vectors[0]
        )
        assert np.allclose(first, again) and not np.allclose(first, other)
        assert np.linalg.norm(first) == pytest.approx(1, abs=1e-4)

    with_client(body)
