"""Does the sandbox lose anything when its processes are killed at random moments?

`python -m bench.kills [--kills N] [--seconds N] [--seed N]`: while clients upload, train, run
batches and chat, the server, its trainer and its sampler get a SIGKILL again and again, some
before they have quite started. Afterwards everything that was acknowledged must be there. Prints
one line of counts; if something was lost, says what, and exits with 1.
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
from contextlib import closing, suppress
from pathlib import Path

import psutil

from bench.clients import Clients, Told, new_client
from bench.common import WEIGHTS, Server
from bench.lost import Undisturbed, lost, lost_in_state, settle

WORKERS_BEFORE_SERVER = 4  # kills: a worker that dies six times in a row is given up
MOST_CRASHES = 3  # of one job's trainer since its last saved state: at the fourth, it fails
PATIENCE_SECONDS = 20  # for the progress that a kill waits for
FACTS = ("files", "jobs", "events", "checkpoints", "batches", "chats")  # told, and counted


def run(folder: Path, kills: int, seconds: float, seed: int, base: Path) -> tuple[str, list[str]]:
    """Kill until either limit is reached, then check; return the counts, and what was lost."""
    rng = random.Random(seed)
    expected = Undisturbed(folder / "undisturbed", base)
    server = Server(folder / "killed", base)
    crowd = Clients(server.note, server.key, server.model, seed)
    try:
        killed = _kill_for(server, crowd.told, rng, kills, seconds)
    finally:
        crowd.stop()
    problems = crowd.told.faults
    with new_client(server.key) as client:
        try:
            settle(client, server)
            problems += lost(client, crowd.told, expected)
        except Exception as error:  # noqa: BLE001 - whatever a check dies of is what was lost
            problems.append(f"{type(error).__name__}: {error}\n{_tail(server.log)}")
    if (code := server.stop()) != 0:
        problems.append(f"the server's exit code is {code}: {_tail(server.log)}")
    problems += [*server.orphans(), *lost_in_state(server.state, crowd.told, expected)]
    counts = ", ".join(f"{crowd.told.counts[name]:,} {name}" for name in FACTS)
    kinds = ", ".join(f"{name} {number}" for name, number in sorted(killed.items()))
    cut_off = crowd.told.counts["calls cut off"]
    line = f"{killed.total()} kills ({kinds}); {cut_off:,} calls cut off; told: {counts}"
    return f"{line}; lost: {len(problems)}", problems


def _kill_for(
    server: Server, told: Told, rng: random.Random, kills: int, seconds: float
) -> Counter[str]:
    killed, in_a_row = Counter[str](), 0
    deadline = time.monotonic() + seconds
    while killed.total() < kills and time.monotonic() < deadline:
        name = kill(server, told, rng, in_a_row)
        in_a_row = 0 if name == "server" else in_a_row + 1
        killed[name] += 1
    return killed


def kill(server: Server, told: Told, rng: random.Random, in_a_row: int) -> str:
    """Kill one process at a random moment; return which. A killed server is started again."""
    if rng.random() < 0.5:  # in the middle of something …
        kind = rng.choice(("files", "events", "checkpoints", "chats"))
        before, deadline = told.counts[kind], time.monotonic() + PATIENCE_SECONDS
        while told.counts[kind] == before and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.2))
    else:  # … or wherever it is, which is often in a start
        time.sleep(rng.uniform(0, 1.5))
    victims = server.workers() if in_a_row < WORKERS_BEFORE_SERVER else []
    victim = rng.choice([psutil.Process(server.process.pid), *victims])
    name = "server" if victim.pid == server.process.pid else _worker_name(victim)
    if name not in ("server", "sampler") and _crashes(server.state) >= MOST_CRASHES:
        victim, name = psutil.Process(server.process.pid), "server"
    if name != "server":
        with suppress(psutil.NoSuchProcess):
            victim.kill()
        return name
    if (code := server.process.poll()) is not None:
        told.faults.append(f"the server ended by itself ({code}): {_tail(server.log)}")
    server.process.kill()
    server.process.wait()
    server.start()
    return name


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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        line, problems = run(Path(folder), options.kills, options.seconds, options.seed, WEIGHTS)
    print(line)
    print(*problems, sep="\n", end="\n" * bool(problems), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
