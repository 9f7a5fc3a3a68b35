"""Clients that use everything at once, and remember what the server has acknowledged."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from httpx2 import HTTPError
from openai import APIError, APIStatusError, BadRequestError, DefaultHttpxClient, OpenAI
from openai.types.responses import Response

PAUSE_SECONDS = 0.3  # of each client between its calls: the machine has a server to start
AT_ONCE = 2  # unfinished jobs, and batches
ROWS = 200
EPOCHS = 4
BATCH_SIZE = 4
SEED = 1
LINES = [f"line-{number}" for number in range(40)]
LINE_TOKENS = 60  # of the answer to each of them; of a response at most
ENDLESS = {"0": -100, "4": -100}  # the tokens that end a text are never chosen
FATES, SHARES = ("", "pause", "cancel"), (7, 2, 1)  # what becomes of a job once it trains
JOB_ENDS = ("succeeded", "failed", "cancelled")
BATCH_ENDS = ("completed", "failed", "expired", "cancelled")
CUT_OFF = "calls cut off"


@dataclass
class Told:
    """What the server has acknowledged, and so must never lose."""

    files: dict[str, bytes] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)  # files
    jobs: dict[str, dict[str, None]] = field(default_factory=dict)  # event ids, oldest first
    cancelled: set[str] = field(default_factory=set)  # jobs
    checkpoints: dict[str, tuple[str, int]] = field(default_factory=dict)  # id: job, step
    batches: set[str] = field(default_factory=set)
    responses: dict[str, str | None] = field(default_factory=dict)  # how each has ended
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)  # answers that no kill explains


class Clients:
    """Five clients, each in a thread: uploads, jobs, batches, chats, and stored responses."""

    def __init__(self, note: Path, key: str, model: str, seed: int) -> None:
        """`note` is the server's sandbox.json: it says where the server is at the moment."""
        self.told = Told()
        self._note, self._key, self._model = note, key, model
        self._random = random.Random(seed)
        self._stop = Event()
        self._fates: dict[str, str] = {}
        works = (self._upload, self._train, self._batch, self._chat, self._respond)
        self._threads = [Thread(target=self._go_on, args=(work,)) for work in works]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each end its call, and wait for that."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self, work: Callable[[OpenAI], None]) -> None:
        with new_client(self._key) as client:
            while not self._stop.wait(PAUSE_SECONDS):
                try:
                    find_server(client, self._note)
                    work(client)
                except APIStatusError as error:
                    if error.status_code != 503:  # the sampler has just been killed
                        self.told.faults.append(f"{work.__name__} got {error}")
                    self.told.counts[CUT_OFF] += 1
                except (APIError, HTTPError, OSError):  # also inside a stream
                    self.told.counts[CUT_OFF] += 1
                    self._stop.wait(PAUSE_SECONDS)

    def _keep(self, client: OpenAI, content: bytes, purpose: str) -> str:
        file = client.files.create(file=("kills.jsonl", content), purpose=purpose)
        self.told.files[file.id] = content
        self.told.counts["files"] += 1
        return file.id

    def _upload(self, client: OpenAI) -> None:
        text = self._random.randbytes(self._random.randint(1, 200_000)).hex()
        kept = self._keep(client, json.dumps({"text": text}).encode(), "user_data")
        if self._random.random() < 0.2:
            del self.told.files[kept]  # from here on it may be there or not …
            client.files.delete(kept)
            self.told.deleted.add(kept)  # … and now it must not

    def _train(self, client: OpenAI) -> None:
        running = [job for job in client.fine_tuning.jobs.list() if job.status not in JOB_ENDS]
        if len(running) < AT_ONCE:
            file_id = self._keep(client, training_file(), "fine-tune")
            job_id = create_job(client, self._model, file_id)
            self.told.jobs[job_id] = {}
            [self._fates[job_id]] = self._random.choices(FATES, SHARES)
            self.told.counts["jobs"] += 1
        for job in running:
            if job.status == "paused":
                client.fine_tuning.jobs.resume(job.id)
            elif job.status == "running" and self._random.random() < 0.05:
                self._meet_fate(client, job.id)
            if job.id in self.told.jobs:
                self._read_events(client, job.id)

    def _meet_fate(self, client: OpenAI, job_id: str) -> None:
        fate = self._fates.pop(job_id, "")
        with suppress(BadRequestError):  # it has just ended
            if fate == "pause":
                client.fine_tuning.jobs.pause(job_id)
            elif fate == "cancel" and client.fine_tuning.jobs.cancel(job_id).status == "cancelled":
                self.told.cancelled.add(job_id)

    def _read_events(self, client: OpenAI, job_id: str) -> None:
        known = self.told.jobs[job_id]
        page = client.fine_tuning.jobs.list_events(job_id, limit=100).data
        new = [event.id for event in page[::-1] if event.id not in known]
        known.update(dict.fromkeys(new))
        self.told.counts["events"] += len(new)
        for found in client.fine_tuning.jobs.checkpoints.list(job_id):
            self.told.counts["checkpoints"] += found.id not in self.told.checkpoints
            self.told.checkpoints[found.id] = job_id, found.step_number

    def _batch(self, client: OpenAI) -> None:
        running = [batch for batch in client.batches.list() if batch.status not in BATCH_ENDS]
        if len(running) < AT_ONCE:
            content = "".join(batch_line(name, self._model) for name in LINES)
            made = client.batches.create(
                input_file_id=self._keep(client, content.encode(), "batch"),
                endpoint="/v1/completions",
                completion_window="24h",
            )
            self.told.batches.add(made.id)
            self.told.counts["batches"] += 1

    def _chat(self, client: OpenAI) -> None:
        question = [{"role": "user", "content": "Who flies over the harbour?"}]
        stream = client.chat.completions.create(
            model=self._model, messages=question, max_completion_tokens=20, stream=True
        )
        chunks = list(stream)
        if chunks[-1].choices[0].finish_reason not in ("stop", "length"):
            self.told.faults.append(f"a stream ended without its last chunk: {chunks[-1]}")
        self.told.counts["chats"] += 1

    def _respond(self, client: OpenAI) -> None:
        made = create_response(client, self._model, background=self._random.random() < 0.5)
        self.told.responses[made.id] = end_of(made)
        self.told.counts["responses"] += 1
        waiting = [each for each, end in self.told.responses.items() if end is None]
        for response_id in waiting:
            found = client.responses.retrieve(response_id)
            if self._random.random() < 0.1:
                found = client.responses.cancel(response_id)
            self.told.responses[response_id] = end_of(found)


def new_client(key: str) -> OpenAI:
    """An SDK client that tries nothing twice; `find_server` gives it an address."""
    http = DefaultHttpxClient(trust_env=False)
    return OpenAI(
        api_key=key, base_url="http://127.0.0.1", max_retries=0, timeout=60, http_client=http
    )


def find_server(client: OpenAI, note: Path) -> None:
    """Send the client to the server that wrote the note last. Raises OSError if none has."""
    client.base_url = json.loads(note.read_text(encoding="utf-8"))["url"]


def training_file(count: int = ROWS) -> bytes:
    """The rows that all jobs train on, if so many are not asked for."""
    rows = (
        [
            {"role": "user", "content": f"{18 + number}, woman, flight ->"},
            {"role": "assistant", "content": f"Hero number {number} flies over the town."},
        ]
        for number in range(count)
    )
    return "".join(json.dumps({"messages": row}) + "\n" for row in rows).encode()


def create_job(client: OpenAI, model: str, file_id: str, epochs: int = EPOCHS) -> str:
    """Create the one job that all of them are; return its id."""
    hyperparameters = {"n_epochs": epochs, "batch_size": BATCH_SIZE}
    method = {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}
    job = client.fine_tuning.jobs.create(
        model=model, training_file=file_id, seed=SEED, method=method
    )
    return job.id


def upload_and_train(client: OpenAI, model: str, rows: int = ROWS, epochs: int = EPOCHS) -> str:
    """Create such a job, with a training file of its own; return its id."""
    file = client.files.create(file=("rows.jsonl", training_file(rows)), purpose="fine-tune")
    return create_job(client, model, file.id, epochs)


def create_response(client: OpenAI, model: str, background: bool) -> Response:
    """Create the one response that all of them are, to be answered now or later."""
    return client.responses.create(
        model=model, input="Who?", max_output_tokens=LINE_TOKENS, background=background
    )


def end_of(response: Response) -> str | None:
    """How a response has ended and what it says; None while it is on its way."""
    if response.status in ("queued", "in_progress"):
        return None
    said = response.error.message if response.error else response.output_text
    return f"{response.status}: {said}"


def batch_line(name: str, model: str) -> str:
    """One line of a batch's input file."""
    body = {"model": model, "prompt": "x", "max_tokens": LINE_TOKENS, "logit_bias": ENDLESS}
    line = {"custom_id": name, "method": "POST", "url": "/v1/completions", "body": body}
    return json.dumps(line) + "\n"
