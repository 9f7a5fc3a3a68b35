"""What do a class and an idle hour cost?

`python -m bench.classroom [--clients N] [--rows N] [--idle SECONDS]`: so many clients, each with a
key of its own, start a job and ask five questions at the same time, and look at their job until
it has ended. Before that, the idle server's CPU; before, during and after, its memory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from threading import Event, Thread

import psutil
from openai import APIError, OpenAI

from bench.clients import JOB_ENDS, find_server, new_client, upload_and_train
from bench.common import WEIGHTS, Server, seconds, show
from bench.lost import settle
from sandbox.store import keys
from sandbox.store.database import Store

CHATS = 5
EPOCHS = 1
LOOK_SECONDS = 0.5  # between a client's calls about its job, and between looks at the memory


@dataclass
class Seen:
    """What all clients have seen: seconds of each call, and errors."""

    chats: list[float] = field(default_factory=list)
    controls: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def work_as_student(server: Server, key: str, rows: int, seen: Seen) -> None:
    """One client's job and chats; an error ends its work."""
    with new_client(key) as client:
        try:
            find_server(client, server.note)
            job_id = upload_and_train(client, server.model, rows, EPOCHS)
            for number in range(CHATS):
                seen.chats.append(seconds(lambda n=number: ask(client, server.model, n)))
                look(client, job_id, seen)
            while look(client, job_id, seen) not in JOB_ENDS:
                time.sleep(LOOK_SECONDS)
        except APIError as error:
            seen.errors.append(f"{type(error).__name__}: {error}")


def ask(client: OpenAI, model: str, number: int) -> None:
    """One chat of at most 40 tokens."""
    question = [{"role": "user", "content": f"{20 + number}, woman, flight ->"}]
    client.chat.completions.create(
        model=model, messages=question, max_completion_tokens=40, seed=number
    )


def look(client: OpenAI, job_id: str, seen: Seen) -> str:
    """The control calls of somebody who follows a job; return its status."""
    calls: list[Callable[[], object]] = [
        lambda: client.fine_tuning.jobs.list_events(job_id, limit=20),
        lambda: client.files.list(limit=20),
    ]
    seen.controls += [seconds(call) for call in calls]
    started = time.perf_counter()
    job = client.fine_tuning.jobs.retrieve(job_id)
    seen.controls.append(time.perf_counter() - started)
    if job.status == "failed":
        seen.errors.append(f"{job_id} failed: {job.error and job.error.message}")
    return job.status


def processes(server: Server) -> list[psutil.Process]:
    """The server and all that it has started."""
    main = psutil.Process(server.process.pid)
    return [main, *main.children(recursive=True)]


def memory(server: Server) -> float:
    """Megabytes of all processes; what they share counts once."""
    kind = "pss" if psutil.LINUX else "uss"
    return sum(getattr(each.memory_full_info(), kind) for each in processes(server)) / 1e6


def cpu(server: Server) -> float:
    """Seconds of CPU that all processes have used."""
    return sum(sum(each.cpu_times()[:2]) for each in processes(server))


def run(clients: int = 30, rows: int = 20, idle: float = 60, base: Path = WEIGHTS) -> None:
    """Start a server and measure, first without and then with a class."""
    seen, stop, used = Seen(), Event(), []

    def watch() -> None:
        while not stop.wait(LOOK_SECONDS):
            used.append(memory(server))

    with tempfile.TemporaryDirectory(prefix="classroom-") as folder:
        server = Server(Path(folder) / "own", base, "--trainers", "2")
        try:
            with new_client(server.key) as client, Store(server.state) as store:
                settle(client, server)
                students = [keys.create_key(store, f"student-{n}", "")[1] for n in range(clients)]
            time.sleep(min(5, idle))  # what the start has left to do
            before, spent = memory(server), cpu(server)
            time.sleep(idle)
            spent = cpu(server) - spent
            watcher = Thread(target=watch)
            watcher.start()
            with ThreadPoolExecutor(clients) as pool:
                took = seconds(
                    lambda: list(
                        pool.map(lambda key: work_as_student(server, key, rows, seen), students)
                    )
                )
            stop.set()
            watcher.join()
            after = memory(server)
        finally:
            server.stop()
    show("idle server: CPU", spent / idle * 100, "%", "< 0.1", f"{spent:.2f} s in {idle:.0f} s")
    detail = f"a job of {rows} rows, {CHATS} chats each; errors: {len(seen.errors)}"
    show(f"{clients} clients", took, "s", "", detail)
    show("chats: p95", quantiles(seen.chats, n=20)[-1], "s", "", f"{len(seen.chats)} chats")
    for name, value in (
        ("p50", median(seen.controls)),
        ("p95", quantiles(seen.controls, n=20)[-1]),
    ):
        detail = f"{len(seen.controls)} calls while jobs train"
        show(f"control calls: {name}", value * 1000, "ms", "", detail)
    for name, value in (("idle", before), ("most, training", max(used)), ("after", after)):
        show(f"memory of all processes: {name}", value, "MB", "", "")
    print(*sorted(set(seen.errors)), sep="\n", end="\n" * bool(seen.errors))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.classroom", description=__doc__)
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--rows", type=int, default=20, help="of each client's training file")
    parser.add_argument("--idle", type=float, default=60, help="seconds")
    parser.add_argument("--base-model", type=Path, default=WEIGHTS, help="a folder")
    options = parser.parse_args()
    run(options.clients, options.rows, options.idle, options.base_model)


if __name__ == "__main__":
    main()
