"""Processes that are kept running, and the sampler's process through its client."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from sandbox.engine.load import load_model
from sandbox.engine.parent.process import Child, RestartPolicy
from sandbox.engine.parent.sampler import SamplerClient
from sandbox.engine.sampler.decode import DecodeLoop
from sandbox.engine.sampler.forward import make_forward
from sandbox.engine.sampler.messages import Delta, Embed, EngineError, Generate, TokenInfo, Usage
from sandbox.engine.text.encoder import Encoder
from tests.support.children import broken, echo, stubborn, what_it_sees
from tests.support.generate import ask
from tests.support.tiny import CONTEXT, make_base
from tests.support.tiny_embedder import kept_embedder

ROOT = Path(__file__).resolve().parents[2]
FAST = RestartPolicy(first_wait=0.01, longest_wait=0.05, limit=3)


class Mailbox:
    """What a process has sent."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Any] = asyncio.Queue()

    async def next(self) -> Any:
        return await asyncio.wait_for(self.messages.get(), 300)


def child(target: Any, *args: Any, **options: Any) -> tuple[Child, Mailbox]:
    box = Mailbox()
    options = {"policy": FAST, "on_message": box.messages.put_nowait, **options}
    return Child("test", target, args, **options), box


async def started(target: Any, *args: Any, **options: Any) -> tuple[Child, Mailbox]:
    made, box = child(target, *args, **options)
    await made.start()
    await made.wait_ready()
    return made, box


def test_messages_go_both_ways_and_prints_disturb_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        worker, box = child(echo)
        assert not worker.ready
        with pytest.raises(ConnectionError):
            worker.send("too early")
        await worker.start()
        await worker.wait_ready()
        assert worker.ready
        worker.send({"any": ("thing", 1.5)})
        assert await box.next() == {"any": ("thing", 1.5)}
        await worker.stop()
        assert not worker.ready and worker.pid is None
        with pytest.raises(RuntimeError, match="has been stopped"):
            await worker.wait_ready()
        await worker.start()
        await worker.wait_ready()
        worker.send("again")
        assert await box.next() == "again"
        await worker.stop()

    asyncio.run(main())
    assert capfd.readouterr().out == ""


def test_a_process_does_not_hear_ctrl_c_and_torch_will_wait_passively() -> None:
    async def main() -> None:
        worker, box = await started(what_it_sees)
        assert await box.next() == ("PASSIVE", True, False)
        await worker.stop()

    asyncio.run(main())


def test_a_dead_process_is_started_again() -> None:
    async def main() -> None:
        exits = asyncio.Semaphore(0)
        worker, _ = await started(echo, on_exit=exits.release)
        first = worker.pid
        worker.send("die")
        await exits.acquire()
        await worker.wait_ready()
        assert worker.pid not in (None, first)
        os.kill(worker.pid, signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
        await exits.acquire()
        await worker.wait_ready()
        assert worker.failure is None
        await worker.stop()

    asyncio.run(main())


def test_a_process_that_keeps_dying_is_given_up() -> None:
    async def main() -> tuple[int, str]:
        exits: list[int] = []
        worker, _ = child(broken, on_exit=lambda: exits.append(1))
        await worker.start()
        with pytest.raises(RuntimeError, match="no such library"):
            await worker.wait_ready()
        with pytest.raises(ConnectionError):
            worker.send("hello")
        await worker.stop()
        return len(exits), worker.failure or ""

    deaths, failure = asyncio.run(main())
    assert deaths == FAST.limit
    assert "3 times in a row" in failure


def test_a_process_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.engine.parent.process.QUIT_SECONDS", 0.2)

    async def main() -> None:
        worker, _ = await started(stubborn, 600)
        # It reads nothing, and far more than a pipe holds is sent: nobody waits for it.
        worker.send(b"x" * 20_000_000)
        process = psutil.Process(worker.pid)
        await worker.stop()
        assert not process.is_running()

    asyncio.run(main())


def test_a_large_message_arrives_and_the_event_loop_goes_on() -> None:
    async def main() -> None:
        worker, box = await started(echo)
        worker.send([b"x" * 100_000_000, "last"])
        waits, answer = [], asyncio.create_task(box.next())
        while not answer.done():
            begun = time.perf_counter()
            await asyncio.sleep(0.001)
            waits.append(time.perf_counter() - begun)
        assert answer.result()[1] == "last" and len(answer.result()[0]) == 100_000_000
        # Had the loop waited for the message, it would have done so once and for the whole time.
        assert max(waits) < sum(waits) / 2
        await worker.stop()

    asyncio.run(main())


ORPHAN = """
import asyncio
from sandbox.engine.parent.process import Child
from tests.support.children import echo

async def main():
    child = Child("test", echo, on_message=print)
    await child.start()
    await child.wait_ready()
    print(child.pid, flush=True)
    await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_process_ends_with_the_server_even_after_kill_9(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(ORPHAN, encoding="utf-8")
    # Its child is a program of its own, which has to find the tests' functions too.
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment
    ) as it:
        orphan = psutil.Process(int(it.stdout.readline()))
        it.kill()
    orphan.wait(300)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a count of CPU time")
def test_an_idle_process_costs_no_cpu() -> None:
    async def main() -> None:
        worker, _ = await started(echo)
        child = psutil.Process(worker.pid)
        for _ in range(20):  # on a busy machine, what it does after "ready" takes a while
            before = child.num_ctx_switches().voluntary
            await asyncio.sleep(1)
            # A look at a queue every quarter second would be four.
            if quiet := child.num_ctx_switches().voluntary - before <= 1:
                break
        await worker.stop()
        assert quiet

    asyncio.run(main())


def test_waits_grow_up_to_a_limit() -> None:
    policy = RestartPolicy(first_wait=1, longest_wait=5)
    assert [policy.wait(deaths) for deaths in (1, 2, 3, 4, 9)] == [1, 2, 4, 5, 5]


def test_the_server_side_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import pkgutil, sys, importlib\n"
        "import sandbox.engine.parent, sandbox.engine.text, sandbox.engine.sampler.messages\n"
        "for package in (sandbox.engine.parent, sandbox.engine.text):\n"
        "    for module in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
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


@pytest.fixture(scope="module")
def with_client(base: Path) -> Iterator[Callable[[Body], None]]:
    """Run tests' bodies on one client."""
    with asyncio.Runner() as runner:
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
        assert client.child.pid is not None
        os.kill(client.child.pid, signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
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
        wanted = Embed(str(kept_embedder()), [[5, 6, 7], [5, 6, 7], [9, 8]])
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
