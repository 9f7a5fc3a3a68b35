"""What do a class and an idle hour cost?

`python -m bench.classroom [--clients N] [--rows N] [--idle SECONDS]`: so many clients at once, each
with a key of its own, start a job, ask five questions and follow the job to its end. Before that,
the idle server's CPU; before, during and after, the memory of all its processes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from threading import Event, Thread
from typing import TypeVar

import psutil
from openai import APIError

from bench.clients import JOB_ENDS, find_server, new_client, upload_and_train
from bench.common import WEIGHTS, Server, seconds, show
from bench.undisturbed import settle
from sandbox.store import keys
from sandbox.store.database import Store

CHATS = 5
LOOK_SECONDS = 0.5  # between two looks at a job, or at the memory
T = TypeVar("T")


@dataclass
class Seen:
    """What all clients have seen: seconds of each call, and errors."""

    chats: list[float] = field(default_factory=list)
    controls: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def timed(kept: list[float], call: Callable[[], T]) -> T:
    """Make a call, keep its seconds, return its answer."""
    started = time.perf_counter()
    answer = call()
    kept.append(time.perf_counter() - started)
    return answer


def study(server: Server, key: str, rows: int, seen: Seen) -> None:
    """One client's job and chats; an error ends its work."""
    try:
        with new_client(key) as client:
            find_server(client, server.note)
            jobs, ask = client.fine_tuning.jobs, client.chat.completions.create
            job_id = upload_and_train(client, server.model, rows, epochs=1)
            status, number = "", 0
            while status not in JOB_ENDS or number < CHATS:
                if number < CHATS:
                    question = {"role": "user", "content": f"{20 + number}, woman, flight ->"}
                    sizes = {"max_completion_tokens": 40, "seed": number}
                    chat = {"model": server.model, "messages": [question], **sizes}
                    timed(seen.chats, lambda chat=chat: ask(**chat))
                    number += 1
                timed(seen.controls, lambda: jobs.list_events(job_id))
                status = timed(seen.controls, lambda: jobs.retrieve(job_id)).status
                time.sleep(LOOK_SECONDS)
            if status != "succeeded":
                seen.errors.append(f"{job_id} is {status}")
    except APIError as error:
        seen.errors.append(f"{type(error).__name__}: {error}")


def cost(server: Server) -> tuple[float, float]:
    """Megabytes of the server and all it has started (what they share counts once); CPU seconds."""
    main, size = psutil.Process(server.process.pid), "pss" if psutil.LINUX else "uss"
    processes = [main, *main.children(recursive=True)]
    memory = sum(getattr(each.memory_full_info(), size) for each in processes)
    return memory / 1e6, sum(sum(each.cpu_times()[:2]) for each in processes)


def measure(server: Server, clients: int, rows: int, idle: float) -> None:
    """Measure the idle server, then with a class, and print the figures."""
    with new_client(server.key) as client, Store(server.state) as store:
        settle(client, server)
        students = [keys.create_key(store, f"student-{n}", "")[1] for n in range(clients)]
    before, spent = cost(server)
    time.sleep(idle)
    spent = cost(server)[1] - spent
    show("idle server: CPU", 100 * spent / idle, "%", "< 0.1", f"{spent:.2f} s in {idle:.0f} s")
    seen, ended, sizes = Seen(), Event(), [before]

    def watch() -> None:
        while not ended.wait(LOOK_SECONDS):
            sizes.append(cost(server)[0])

    watcher = Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(clients) as pool:
        took = seconds(lambda: [*pool.map(lambda key: study(server, key, rows, seen), students)])
    ended.set()
    watcher.join()
    detail = f"a job of {rows} rows and {CHATS} chats each; errors: {len(seen.errors)}"
    show(f"{clients} clients at once", took, "s", "", detail)
    for name, found in (("chats", seen.chats), ("control calls while jobs train", seen.controls)):
        cuts = quantiles(found, n=20)
        show(f"{name}: p50", 1000 * cuts[9], "ms", "", f"{len(found)} calls")
        show(f"{name}: p95", 1000 * cuts[18], "ms", "", "")
    for name, size in (("idle", before), ("most", max(sizes)), ("after", cost(server)[0])):
        show(f"memory of all processes: {name}", size, "MB", "", "")
    print(*sorted(set(seen.errors)), sep="\n", end="\n" * bool(seen.errors))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.classroom", description=__doc__)
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--rows", type=int, default=20, help="of each client's training file")
    parser.add_argument("--idle", type=float, default=60, help="seconds")
    parser.add_argument("--base-model", type=Path, default=WEIGHTS, help="a folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="classroom-") as folder:
        server = Server(Path(folder) / "own", options.base_model, "--trainers", "2")
        try:
            measure(server, options.clients, options.rows, options.idle)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
