"""Does the sandbox lose anything when its processes are killed, or asleep?

`python -m bench.kills [--kills N] [--seconds N] [--seed N]`: while clients upload, train, run
batches and chat, the server, its trainer and its sampler get a SIGKILL again and again, some
before they have quite started. With `--asleep SECONDS` each of them, and then all together, is
stopped for so long and goes on. Afterwards everything that was acknowledged must be there, and
nothing done twice. Prints one line of counts; if there is a problem, says which, and exits with 1.
"""

from __future__ import annotations

import argparse
import math
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import psutil

from bench.clients import CUT_OFF, Clients, Told, new_client
from bench.common import WEIGHTS, Server
from bench.lost import lost
from bench.undisturbed import Undisturbed

WORKERS_BEFORE_SERVER = 4  # kills: a worker that dies six times in a row is given up
MOST_CRASHES = 3  # of one job's trainer since its last saved state: at the fourth, it fails
PATIENCE_SECONDS = 60  # for the progress that a kill waits for
MOMENTS = ("files", "events", "checkpoints", "chats", "responses")  # in the middle of these
FACTS = (*MOMENTS, "jobs", "batches")  # told, and counted


Disturb = Callable[[Server, Told], Counter[str]]  # returns how often it did what


def run(
    folder: Path, disturb: Disturb, seed: int, base: Path, expected: Undisturbed
) -> tuple[str, list[str]]:
    """Disturb a server that clients use, then check; return the counts, and the problems."""
    server = Server(folder / "own", base)
    crowd = Clients(server.note, server.key, server.model, seed)
    try:
        done = disturb(server, crowd.told)
    finally:
        crowd.stop()
    with new_client(server.key) as client:
        problems = crowd.told.faults + lost(client, server, crowd.told, expected)
    if problems:
        problems.append(_tail(server.log))
    counts = ", ".join(f"{crowd.told.counts[name]:,} {name}" for name in FACTS)
    kinds = ", ".join(f"{name} {number}" for name, number in sorted(done.items()))
    cut_off = crowd.told.counts[CUT_OFF]
    line = f"{done.total()} times ({kinds}); {cut_off:,} calls cut off; told: {counts}"
    return f"{line}; problems: {len(problems)}", problems


def sleep_each(server: Server, told: Told, seconds: float) -> Counter[str]:
    """Stop the server, each kind of worker, and all of them for some seconds (SIGSTOP)."""
    asleep = Counter[str]()
    for kind in ("server", "trainer", "sampler", "all"):
        _wait_for_progress(told, "events", PATIENCE_SECONDS)  # a job trains
        processes = {"server": [psutil.Process(server.process.pid)]}
        for worker in server.workers():
            processes.setdefault(_worker_name(worker), []).append(worker)
        processes["all"] = [process for group in processes.values() for process in group]
        for process in processes[kind]:
            process.suspend()
        time.sleep(seconds)
        for process in processes[kind]:
            process.resume()
        asleep[kind] += 1
    return asleep


def kill_for(
    server: Server, told: Told, rng: random.Random, kills: int, seconds: float
) -> Counter[str]:
    """Kill one process after the other at random moments, until either limit is reached."""
    killed, in_a_row = Counter[str](), 0
    end = time.monotonic() + seconds
    while killed.total() < kills:
        _wait_for_a_moment(told, rng, min(PATIENCE_SECONDS, end - time.monotonic()))
        if time.monotonic() > end:
            break
        victim, name = _choose(server, rng, in_a_row)
        if name == "server":
            _kill_server(server, told)
        else:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        in_a_row = 0 if name == "server" else in_a_row + 1
        killed[name] += 1
    return killed


def _wait_for_a_moment(told: Told, rng: random.Random, patience: float) -> None:
    """Half of the moments lie in the middle of something, which may have to start first."""
    if rng.random() < 0.5:
        _wait_for_progress(told, rng.choice(MOMENTS), patience)
        time.sleep(rng.uniform(0, 0.2))
    else:  # the other half wherever it is, which is often in a start
        time.sleep(rng.uniform(0, 1.5))


def _wait_for_progress(told: Told, kind: str, patience: float) -> None:
    before, deadline = told.counts[kind], time.monotonic() + patience
    while told.counts[kind] == before and time.monotonic() < deadline:
        time.sleep(0.005)


def _choose(server: Server, rng: random.Random, in_a_row: int) -> tuple[psutil.Process, str]:
    """The process to kill and what it is. A worker that dies too often is given up for good."""
    itself = psutil.Process(server.process.pid)
    victims = server.workers() if in_a_row < WORKERS_BEFORE_SERVER else []
    victim = rng.choice([itself, *victims])
    name = "server" if victim == itself else _worker_name(victim)
    if name not in ("server", "sampler") and _crashes(server.state) >= MOST_CRASHES:
        return itself, "server"
    return victim, name


def _kill_server(server: Server, told: Told) -> None:
    if (code := server.process.poll()) is not None:
        told.faults.append(f"the server ended by itself ({code}): {_tail(server.log)}")
    server.process.kill()
    server.process.wait()
    server.start()


def _worker_name(worker: psutil.Process) -> str:
    with suppress(psutil.Error):
        words = " ".join([worker.name(), *worker.cmdline()])
        return next((name for name in ("sampler", "trainer") if name in words), "starting worker")
    return "starting worker"


def _crashes(state: Path) -> int:
    """How often the trainer of a job has died since the job's last saved state."""
    with closing(sqlite3.connect(state / "sandbox.db", timeout=30)) as db:
        return db.execute("SELECT COALESCE(MAX(crashes), 0) FROM jobs").fetchone()[0]


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-1000:]


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=math.inf, help="end earlier after these")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and the victims")
    parser.add_argument("--asleep", type=float, help="seconds: stop instead of killing")
    options = parser.parse_args()
    if options.asleep is None:
        rng = random.Random(options.seed)
        disturb = partial(kill_for, rng=rng, kills=options.kills, seconds=options.seconds)
    else:
        disturb = partial(sleep_each, seconds=options.asleep)
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        expected = Undisturbed(Path(folder) / "undisturbed", WEIGHTS)
        line, problems = run(Path(folder), disturb, options.seed, WEIGHTS, expected)
    print(line)
    print(*problems, sep="\n", end="\n" * bool(problems), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
