"""Processes that are killed or stopped, and states that are damaged: nothing is lost, or told."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from openai import APIStatusError

from bench import clients
from bench.clients import Told
from bench.common import ROOT, Server
from bench.kills import kill_for, run, sleep_each
from bench.lost import lost
from bench.undisturbed import Undisturbed, count_steps, settle, wait
from sandbox.store import files, keys, models
from sandbox.store.database import Store
from tests.support.tiny import kept_base

posix = pytest.mark.skipif(os.name == "nt", reason="signals and modes are a matter of POSIX")
pytestmark = [pytest.mark.slow, posix]

# The sandbox with a clock that jumps a day ahead at the first signal, and two back at the next.
JUMPING = """
import itertools, signal, sys, time
real, jumps, ahead = time.time, itertools.cycle([86_400, -2 * 86_400]), [0]
time.time = lambda: real() + sum(ahead)
signal.signal(signal.SIGUSR1, lambda *_: ahead.append(next(jumps)))
from sandbox.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("undisturbed") / "own", kept_base())


def refusal(state: Path, *before: str) -> str:
    """What the sandbox says when it refuses to start on a state."""
    command = [*before, sys.executable, "-m", "sandbox", "--port", "0", "--state", str(state)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_fifty_kills_lose_nothing(tmp_path: Path, undisturbed: Undisturbed) -> None:
    disturb = partial(kill_for, rng=random.Random(1), kills=50, seconds=60)
    line, problems = run(tmp_path, disturb, 1, kept_base(), undisturbed)
    assert not problems, "\n".join([line, *problems])


def test_nothing_is_lost_while_processes_are_asleep(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    disturb = partial(sleep_each, seconds=10)
    line, problems = run(tmp_path, disturb, 1, kept_base(), undisturbed)
    assert not problems, "\n".join([line, *problems])


@pytest.fixture
def jumping(tmp_path: Path) -> Iterator[Server]:
    """A server with the jumping clock, and with a second trainer that could take a job over."""
    server = Server(tmp_path / "own", kept_base(), "--trainers", "2")
    server.process.kill()
    server.process.wait()
    server.arguments[:2] = ["-c", JUMPING]
    server.start()
    yield server
    server.process.kill()
    server.process.wait()
    assert server.orphans() == []


def test_a_job_does_not_mind_a_clock_that_jumps(jumping: Server, undisturbed: Undisturbed) -> None:
    with clients.new_client(jumping.key) as client:
        settle(client, jumping)
        job_id = clients.upload_and_train(client, jumping.model)

        def wait_for_three_more_steps() -> None:
            count = count_steps(client, job_id) + 3
            wait(lambda: count_steps(client, job_id) >= count, f"{job_id} makes no steps")

        wait_for_three_more_steps()
        for _ in range(2):
            jumping.process.send_signal(signal.SIGUSR1)
            wait_for_three_more_steps()
        assert lost(client, jumping, Told(jobs={job_id: {}}), undisturbed) == []


def test_one_of_two_servers_that_start_at_once_gets_the_state(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--state", str(tmp_path / "state")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
    wait(lambda: any(server.poll() is not None for server in both), "both servers run")
    loser, winner = sorted(both, key=lambda server: server.returncode is None)
    said, why = loser.communicate()
    ready = winner.stdout.readline()
    winner.terminate()
    assert winner.communicate(timeout=60)[0] == "" and winner.returncode == 0
    assert (loser.returncode, said) == (1, "") and "already using" in why
    assert ready.startswith("sandbox ready")


def test_a_damaged_page_is_told_and_nothing_is_touched(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        keys.create_key(store, "bench", "kills")
        for number in range(200):
            files.add_file(store, "bench", f"{number}-{'x' * 200}", "user_data", b"{}")
    with store.path.open("r+b") as database:
        database.seek(4096 * (store.path.stat().st_size // 4096 // 2))
        database.write(os.urandom(4096))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    why = refusal(tmp_path)
    assert f"{store.path} is damaged" in why and ".recover" in why
    assert {path: path.read_bytes() for path in before} == before


def test_a_read_only_state_is_told(tmp_path: Path) -> None:
    state = tmp_path / "state"
    Store(state).close()
    # Root may write everywhere, if that right is not taken away.
    rights = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    if rights and not shutil.which("setpriv"):
        pytest.skip("root may write everywhere, and there is no setpriv to take it away")
    state.chmod(0o500)
    why = refusal(state, *rights)
    state.chmod(0o700)
    assert str(state) in why and "ermission" in why and "--state" in why


def test_truncated_weights_are_told_and_do_no_harm_to_others(undisturbed: Undisturbed) -> None:
    server = undisturbed.server
    with Store(server.state) as store:
        *_, earlier, model = models.list_models_of_job(store, undisturbed.job_id)
        os.truncate(models.model_path(store, model) / "model.safetensors", 10_000)
    server.start()
    with clients.new_client(server.key) as client:
        settle(client, server)
        with pytest.raises(APIStatusError) as refused:
            client.completions.create(model=model.name, prompt="x")
        assert f"{model.path} cannot be loaded" in refused.value.message
        assert "train it again" in refused.value.message
        for name in (server.model, earlier.name):
            client.completions.create(model=name, prompt="x", max_tokens=1)
    assert server.stop() == 0
