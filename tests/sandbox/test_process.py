"""Supervision: start, ready, death, back-off, giving up, the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.engine.supervisor import RestartPolicy, Worker, sampler_arguments, trainer_arguments

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
    assert sampler_arguments([Path("a")]) == ["-m", "sandbox.engine.sampler", "--preload", "a"]
    arguments = trainer_arguments(Path("state"), {"tiny": Path("b")})
    start = ["-m", "sandbox.engine.trainer", "--state", "state"]
    assert arguments == [*start, "--name", "trainer-1", "--base", "tiny=b"]


def test_the_api_side_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, sandbox.engine.sampler_client, sandbox.engine.examples\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
